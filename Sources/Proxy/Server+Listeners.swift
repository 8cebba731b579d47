import Addresses
import Settings
import Transport

extension Server {
  /// Why a table was not taken over: there is nobody to serve it.
  package struct NotServing: Error, CustomStringConvertible {
    package var description: String { "the program has not begun to serve, or is about to end" }
  }

  /// A listener that is open and not yet served: a socket for each worker, or for the first.
  private struct Opened {
    let place: Place
    let sockets: [ListeningSocket]
  }

  /// Makes the listeners those of `configuration`, and then this the one that new sessions obey. When one of the listeners
  /// cannot be opened, nothing has changed.
  ///
  /// - Returns: where listeners were opened and closed.
  func change(
    to configuration: Configuration, on workers: [Worker]
  ) throws -> (opened: [Listener.Address], closed: [Listener.Address]) {
    var (old, nextNumber) = state.withLock { ($0.places, $0.nextNumber) }
    // Several may have port 0: they keep their order.
    let kept = configuration.listeners.map { listener in
      old.firstIndex { $0.wanted == listener.address }.map { old.remove(at: $0) }
    }
    let wanted = zip(configuration.listeners, kept).filter { $1 == nil }.map(\.0.address)
    var opened = try open(
      wanted, numberedFrom: nextNumber, beside: (kept.compactMap(\.self) + old).map(\.address),
      for: workers.count)
    nextNumber += opened.count
    let new = opened
    let places = kept.map { $0 ?? opened.removeFirst().place }
    let policy = Policy(configuration, numbers: places.map(\.number))
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
    let closing = Set(old.map(\.number))
    for worker in workers { try worker.loop.perform { worker.settle(closing: closing) } }
    return (new.map(\.place.address), old.map(\.address))
  }

  private func open(
    _ addresses: [Listener.Address], numberedFrom first: Int, beside existing: [Listener.Address],
    for workers: Int
  ) throws(StartFailure) -> [Opened] {
    var opened: [Opened] = []
    for (index, wanted) in addresses.enumerated() {
      var sockets: [ListeningSocket] = []
      var address = wanted
      do throws(Errno) {
        switch wanted {
        case .tcp(let socketAddress):
          // Beside `0.0.0.0:1080`, `127.0.0.1:1080` may have a listener of its own. One of them may be about to be closed.
          var joins = (existing + opened.map(\.place.address)).contains { $0.sharesPort(with: socketAddress) }
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
      } catch {
        for socket in opened.flatMap(\.sockets) + sockets { socket.close() }
        throw StartFailure(address: wanted, error: error)
      }
      opened.append(
        Opened(place: Place(number: first + index, wanted: wanted, address: address), sockets: sockets))
    }
    return opened
  }

  /// Has each worker watch its sockets. When one cannot, none does.
  private func give(_ opened: [Opened], to workers: [Worker], for policy: Policy) throws {
    for (index, worker) in workers.enumerated() {
      let sockets = opened.compactMap { opened in
        opened.sockets.indices.contains(index) ? (opened.sockets[index], opened.place.number) : nil
      }
      do {
        try worker.loop.perform { try worker.adopt(sockets, for: policy) }
      } catch {
        for worker in workers[..<index] { try? worker.loop.perform { worker.abandon() } }
        for socket in opened.flatMap({ $0.sockets.dropFirst(index + 1) }) { socket.close() }
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
