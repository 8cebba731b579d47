import Addresses
import Routing
import Settings
import Transport

extension Server {
  /// Why a table was not taken over: no new client would be served by it.
  package struct NotServing: Error {}

  /// - Throws: before `run` has opened the listeners, and once the server drains.
  package func checkServing() throws(NotServing) {
    guard !running.workers.isEmpty, !isDraining else { throw NotServing() }
  }

  /// A listener that is open and not yet served.
  private struct Opened {
    let place: Place
    /// One for each worker, or fewer: then the first workers have them.
    let sockets: [ListeningSocket]

    /// What the worker with this index, of so many, is to serve.
    func doors(for index: Int, of workers: Int) -> [Worker.Door] {
      // More than there are workers may have been passed.
      let isDealt = place.isPassed && sockets.count < workers
      return stride(from: index, to: sockets.count, by: workers).map {
        Worker.Door(socket: sockets[$0], number: place.number, isDealt: isDealt)
      }
    }
  }

  /// Where a listener is, for the log: with the port that the system chose, where the table says port 0.
  func address(of listener: ListenerID) -> String {
    let running = running
    let places = zip(running.configuration.listeners, running.places).filter { $0.0.id == listener }
    // The table may have removed it, or have several with port 0 that it does not tell apart.
    return places.count == 1 ? places[0].1.address.description : listener.address
  }

  /// Makes the listeners those of `configuration`, and then this the one that new sessions obey. When one of the listeners
  /// cannot be opened, nothing has changed.
  ///
  /// - Returns: where listeners were opened and closed.
  func change(
    to configuration: Configuration, on workers: [Worker]
  ) throws -> (opened: [Listener.Address], closed: [Listener.Address]) {
    var configuration = configuration
    let wantedLimits = configuration.limits
    let (descriptors, size) = (
      OwnProcess.raiseDescriptorLimit(), (workers.count, configuration.listeners.count)
    )
    configuration.limits = wantedLimits.fitted(to: descriptors, loops: size.0, listeners: size.1)
    var (old, nextNumber) = state.withLock { ($0.places, $0.nextNumber) }
    // Several may have port 0: they keep their order.
    let kept = configuration.listeners.map { listener in
      old.firstIndex { $0.wanted == listener.address }.map { old.remove(at: $0) }
    }
    let wanted = try share(
      zip(configuration.listeners, kept).filter { $1 == nil }.map(\.0), beside: kept.compactMap(\.self),
      of: configuration.listeners)
    var opened = try open(
      wanted, numberedFrom: nextNumber, beside: (kept.compactMap(\.self) + old).map(\.address),
      for: workers.count)
    nextNumber += opened.count
    let new = opened
    let places = kept.map { $0 ?? opened.removeFirst().place }
    let policy = Policy(configuration, numbers: places.map(\.number), after: self.policy)
    try give(new, to: workers, for: policy)

    ownListeners.replace(with: places.compactMap(\.socketAddress))
    state.withLock { state in
      state.configuration = configuration
      state.policy = policy
      state.loaded = .now
      state.workers = workers
      state.places = places
      state.nextNumber = nextNumber
    }
    let needed = wantedLimits.descriptors(loops: size.0, listeners: size.1)
    if needed > descriptors {
      sink.record(
        .limitsLowered(from: wantedLimits, to: configuration.limits, needed: needed, available: descriptors))
    }
    let closing = Set(old.map(\.number))
    // Nothing fails any more: the table holds.
    for worker in workers { worker.loop.perform { worker.settle(closing: closing) } }
    return (new.map(\.place.address), old.map(\.address))
  }

  private func open(
    _ listeners: [(listener: Listener, passed: [PassedSocket])], numberedFrom first: Int,
    beside existing: [Listener.Address], for workers: Int
  ) throws(StartFailure) -> [Opened] {
    var opened: [Opened] = []
    for (index, (listener, passed)) in listeners.enumerated() {
      let wanted = listener.address
      var sockets: [ListeningSocket] = []
      var address = wanted
      do throws(Errno) {
        if let first = passed.first {
          // The real port, where the table leaves it to the system.
          address = first.listenerAddress
          for socket in passed { sockets.append(try ListeningSocket(socket)) }
        } else {
          switch wanted {
          case .tcp(let socketAddress):
            // Beside `0.0.0.0:1080`, `127.0.0.1:1080` may have a listener of its own. One of them may be about to be closed.
            var joins = (existing + opened.map(\.place.address)).contains {
              $0.sharesPort(with: socketAddress)
            }
            var next = socketAddress
            for _ in 0..<workers {
              let socket = try ListeningSocket(on: next, joins: joins)
              sockets.append(socket)
              // All share the port that the first was given.
              next = socket.localAddress ?? next
              joins = true
            }
            address = .tcp(next)
          case .unix(let path):
            sockets.append(try ListeningSocket(unixPath: path))
          }
        }
      } catch {
        for socket in opened.flatMap(\.sockets) + sockets { socket.close() }
        throw StartFailure(address: wanted, error: error)
      }
      let place = Place(
        number: first + index, wanted: wanted, address: address, isPassed: !passed.isEmpty)
      opened.append(Opened(place: place, sockets: sockets))
    }
    return opened
  }

  /// Has each worker watch its sockets. When one cannot, none does.
  private func give(_ opened: [Opened], to workers: [Worker], for policy: Policy) throws {
    let shares = workers.indices.map { index in
      opened.flatMap { $0.doors(for: index, of: workers.count) }
    }
    for (index, worker) in workers.enumerated() {
      do {
        try worker.loop.perform { () throws(Errno) in try worker.adopt(shares[index], for: policy) }
      } catch {
        for worker in workers[..<index] { worker.loop.perform { worker.abandon() } }
        for door in shares[(index + 1)...].joined() { door.socket.close() }
        throw error
      }
    }
  }
}

extension Server.Place {
  fileprivate var socketAddress: SocketAddress? {
    if case .tcp(let address) = address { address } else { nil }
  }
}

extension Listener.Address {
  fileprivate func sharesPort(with other: SocketAddress) -> Bool {
    if case .tcp(let address) = self { address.port == other.port && other.port != 0 } else { false }
  }
}
