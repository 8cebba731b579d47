import Addresses
import DNS
import Routing
import Settings
import Transport

/// What the sessions of one loop share, and the loop's part of the server: it accepts, and waits for the last to end.
///
/// `@unchecked` holds because everything but `init` runs in tasks with the worker's loop as their executor: its
/// variables are touched by one thread.
final class Worker: @unchecked Sendable {
  let loop: EventLoop
  let resolver: Resolver
  unowned let server: Server
  private var listeners: [TCPListener] = []
  private var sessions = 0
  /// The wait for the last session to end, while draining.
  private var lastSession: WaitID?

  /// How many connections to accept before the sessions already begun have a turn.
  private static let batch = 64

  init(_ server: Server, on loop: EventLoop, resolver: Resolver) {
    self.server = server
    self.loop = loop
    self.resolver = resolver
  }

  // MARK: Life

  /// Listens on these addresses, and tells where: the real port where 0 was asked for.
  ///
  /// Several workers can share a TCP address, but only the first a Unix-domain socket.
  func open(_ addresses: [Listener.Address], isFirst: Bool) throws(Server.StartFailure) -> [Listener.Address]
  {
    var opened: [Listener.Address] = []
    for address in addresses {
      do throws(Errno) {
        switch address {
        case .tcp(let wanted):
          let listener = try TCPListener(on: wanted, loop: loop)
          listeners.append(listener)
          opened.append(.tcp(listener.localAddress ?? wanted))
        case .unix(let path):
          if isFirst { listeners.append(try TCPListener(unixPath: path, loop: loop)) }
          opened.append(address)
        }
      } catch {
        close()
        throw Server.StartFailure(address: address, error: error)
      }
    }
    return opened
  }

  func close() {
    listeners = []
  }

  /// Serves until the server drains, then waits for the sessions to end, for as long as they may last.
  func run() async throws(Errno) {
    let drain = try server.drainBell.watched(on: loop)
    let halt = try server.haltBell.watched(on: loop)
    let (draining, halting) = (drain.interest(in: .readable), halt.interest(in: .readable))
    await withDiscardingTaskGroup { group in
      group.addTask(executorPreference: loop) { await self.resolver.run() }
      await accept(until: draining) { session in
        sessions += 1
        group.addTask(executorPreference: loop) {
          await session.run()
          self.sessionEnded()
        }
      }
      close()
      await waitForSessions(until: .after(server.policy.timeouts.drain), or: halting)
      group.cancelAll()
    }
  }

  // MARK: Accepting

  private func accept(until draining: Interest, start: (Session) -> Void) async {
    while !server.isDraining {
      var isFull = false
      for index in listeners.indices { isFull = acceptBatch(from: index, start: start) || isFull }
      if isFull {
        await Task.yield()
        continue
      }
      let rest = listeners.compactMap(\.restsUntil).min() ?? .never
      let wakeup = await loop.wait(for: [draining] + listeners.map(\.interest), until: rest)
      if wakeup == .cancelled { return }
    }
  }

  /// True when there may be more waiting than were taken.
  private func acceptBatch(from index: Int, start: (Session) -> Void) -> Bool {
    do throws(Errno) {
      for _ in 0..<Self.batch {
        guard let connection = try listeners[index].accept() else { return false }
        admit(connection, to: index, start: start)
      }
      return true
    } catch {
      server.sink.record(.turnedAway(listener: server.policy.listeners[index].id.address, error))
      return false
    }
  }

  private func admit(_ connection: TCPListener.Connection, to index: Int, start: (Session) -> Void) {
    let policy = server.policy
    let client = connection.peer?.address
    guard policy.listeners[index].admits(client) else { return connection.close() }
    let admission = server.occupancy.enter(client, limits: policy.limits)
    guard admission != .turnedAway else { return connection.close() }
    start(
      Session(
        connection: connection, listener: index, policy: policy, isOverLimit: admission == .overLimit,
        worker: self))
  }

  // MARK: Draining

  private func waitForSessions(until deadline: Deadline, or halting: Interest) async {
    while sessions > 0, !server.isHalting {
      let wakeup = await loop.wait(for: [halting], until: deadline) { lastSession = $0 }
      lastSession = nil
      guard case .ready = wakeup else { return }
    }
  }

  private func sessionEnded() {
    sessions -= 1
    if sessions == 0, let lastSession { loop.wake(lastSession) }
  }
}

extension Listener {
  /// Whether a client at that address may connect at all.
  fileprivate func admits(_ client: IPAddress?) -> Bool {
    guard !clients.isEmpty, let client else { return true }
    return clients.contains { $0.contains(client) }
  }
}
