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
  /// Among the server's workers, from 0.
  private let index: Int
  let ledger = Ledger()
  var census: Census
  private var listeners: [OpenListener] = []
  private var sessions = 0
  /// Sessions that wait for their service to be run.
  private var opened: [Session] = []
  /// What waits to be begun beside the sessions.
  private var background: [@Sendable () async -> Void] = []
  /// Tunnels for connections to come.
  private(set) lazy var warm = WarmChains(
    on: loop, of: server.loopCount, rank: index, health: server.health,
    makeDialer: { [unowned self] in dialer(server.policy) },
    announce: { [unowned self] in announce($0, for: $1) },
    begin: { [unowned self] in begin($0) })
  /// The wait of `serve`, for new connections and opened sessions.
  private var idle: WaitID?

  /// How many connections to accept before the sessions already begun have a turn.
  private static let batch = 64

  init(_ server: Server, index: Int, on loop: EventLoop, resolver: Resolver) {
    self.server = server
    self.index = index
    self.loop = loop
    self.resolver = resolver
    census = Census(listeners: server.policy.listeners.count)
  }

  private struct OpenListener {
    let socket: TCPListener
    /// Among the table's listeners: not every worker has a socket for each.
    let index: Int
    /// More connections may be waiting than were taken.
    var mayAccept = true
  }

  // MARK: Life

  /// Listens on these addresses, and tells where: the real port where 0 was asked for.
  ///
  /// Several workers can share a TCP address, but only the first a Unix-domain socket.
  func open(_ addresses: [Listener.Address], isFirst: Bool) throws(Server.StartFailure) -> [Listener.Address]
  {
    var opened: [Listener.Address] = []
    for (index, address) in addresses.enumerated() {
      do throws(Errno) {
        switch address {
        case .tcp(let wanted):
          let socket = try TCPListener(on: wanted, joins: !isFirst, loop: loop)
          listeners.append(OpenListener(socket: socket, index: index))
          opened.append(.tcp(socket.localAddress ?? wanted))
        case .unix(let path):
          if isFirst {
            let socket = try TCPListener(unixPath: path, loop: loop)
            listeners.append(OpenListener(socket: socket, index: index))
          }
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
    // Here, on the loop, whatever happens.
    defer { close() }
    let drain = try server.drainBell.watched(on: loop)
    let halt = try server.haltBell.watched(on: loop)
    let bells = [drain.interest(in: .readable), halt.interest(in: .readable)]
    await withDiscardingTaskGroup { group in
      group.addTask(executorPreference: loop) { await self.resolver.run() }
      await serve(bells) { session, phase in
        group.addTask(executorPreference: loop) {
          switch phase {
          case .opening: await session.open()
          case .serving: await session.service?.run()
          }
          session.worker.finished(phase, of: session)
        }
      } begin: { task in
        group.addTask(executorPreference: loop) { await task() }
      }
      close()
      group.cancelAll()
      loop.interrupt()
    }
    for session in opened { session.end() }
    opened = []
  }

  // MARK: Serving

  /// A task keeps the memory of its deepest call for as long as it lives, and to open a tunnel goes far deeper than to
  /// relay through it. So each is a task of its own, and an idle tunnel is left with a small one.
  private enum Phase {
    case opening
    case serving
  }

  private typealias Start = (Session, Phase) -> Void

  private func serve(
    _ bells: [Interest], start: Start, begin: (@escaping @Sendable () async -> Void) -> Void
  ) async {
    var interests = bells + listeners.map(\.socket.interest)
    var deadline = Deadline.never
    while sessions > 0 || !server.isDraining {
      if server.isDraining, deadline == .never {
        close()
        warm.close()
        interests = bells
        deadline = .after(server.policy.timeouts.drain)
      }
      for session in opened { start(session, .serving) }
      opened.removeAll(keepingCapacity: true)
      for task in background { begin(task) }
      background.removeAll()

      var next = deadline
      for place in listeners.indices where listeners[place].mayAccept {
        let listener = listeners[place]
        listeners[place].mayAccept = acceptBatch(from: listener, start: start)
        if listeners[place].mayAccept { next = min(next, listener.socket.restsUntil ?? .now) }
      }
      let wakeup = await loop.wait(for: interests, until: next) { idle = $0 }
      idle = nil
      if wakeup == .cancelled || server.isHalting || deadline <= loop.now { return }
      if case .ready(let position) = wakeup, position >= bells.count, !listeners.isEmpty {
        listeners[position - bells.count].mayAccept = true
      }
    }
  }

  // MARK: Dialling

  /// Dials from this loop, for somebody who obeys `policy`.
  func dialer(_ policy: Policy, for owner: Resolver.Owner = .program) -> Dialer {
    Dialer(
      loop: loop, resolver: resolver, policy: policy, ownListeners: server.ownListeners,
      pipelining: server.pipelining, identities: server.identities, owner: owner,
      shortages: server.shortages, ledger: ledger)
  }

  /// Has the other loops keep their parts of a fixed number of tunnels.
  private func announce(_ chain: Chain, for purpose: WarmChains.Purpose) {
    for worker in server.running.workers where worker !== self {
      Task(executorPreference: worker.loop) { worker.warm.keep(chain, for: purpose) }
    }
  }

  /// Whoever follows a plan from here. The groups that it passes are checked from this loop, unless they are already.
  func journey(by plan: Plan, for request: Request) -> Journey {
    Journey(by: plan, for: request, health: server.health) { [self] group in
      let checks = GroupChecks(
        name: group.name, health: server.health, makeDialer: { [self] in dialer(server.policy) },
        isDraining: { [self] in server.isDraining })
      begin { await checks.run() }
    }
  }

  // MARK: Beside the sessions

  /// Runs a task until it ends or the sessions have.
  private func begin(_ task: @escaping @Sendable () async -> Void) {
    background.append(task)
    if let idle { loop.wake(idle) }
  }

  private func finished(_ phase: Phase, of session: Session) {
    if phase == .opening, session.service != nil {
      opened.append(session)
    } else {
      sessions -= 1
      session.end()
      guard sessions == 0, server.isDraining else { return }
    }
    if let idle { loop.wake(idle) }
  }

  // MARK: Accepting

  /// True when there may be more waiting than were taken, now or when the listener has rested.
  private func acceptBatch(from listener: OpenListener, start: Start) -> Bool {
    do throws(Errno) {
      for _ in 0..<Self.batch {
        // Who comes is served before who may come.
        guard let connection = try listener.socket.accept(makeRoom: { warm.giveUp() }) else {
          return listener.socket.restsUntil != nil
        }
        admit(connection, to: listener.index, start: start)
      }
      return true
    } catch {
      server.sink.record(.turnedAway(listener: server.policy.listeners[listener.index].id.address, error))
      return true
    }
  }

  private func admit(_ connection: TCPListener.Connection, to index: Int, start: Start) {
    let policy = server.policy
    let listener = policy.listeners[index]
    guard listener.admits(connection.peer?.address) else { return connection.close() }
    let (admission, notice) = server.occupancy.enter(Client(connection), limits: policy.limits)
    if let notice { tell(notice, of: connection.peer, at: listener) }
    guard case .admitted(let place) = admission else { return connection.close() }
    do throws(Errno) {
      let session = try Session(connection, listener: index, policy: policy, place: place, worker: self)
      sessions += 1
      start(session, .opening)
    } catch {
      server.occupancy.leave(place)
      server.sink.record(.turnedAway(listener: listener.id.address, error))
    }
  }

  /// Tells the log that a limit has refused a client.
  func tell(_ notice: RefusalCounts.Notice, of client: SocketAddress?, at listener: Listener) {
    server.sink.record(
      .limitReached(
        notice.reached, client: client?.address.description ?? "unix", listener: listener.id.address,
        count: notice.count))
  }
}

extension Listener {
  /// Whether a client at that address may connect at all.
  fileprivate func admits(_ client: IPAddress?) -> Bool {
    guard !clients.isEmpty, let client else { return true }
    return clients.contains { $0.contains(client) }
  }
}
