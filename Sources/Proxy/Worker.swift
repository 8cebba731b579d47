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
  var census = Census()
  private var listeners: [OpenListener] = []
  /// Those that wait for `settle`.
  private var adopted: [OpenListener] = []
  /// The listeners are others than those that are waited for.
  private var listenersChanged = true
  private var sessions = 0
  /// Sessions that wait to be opened.
  private var accepted: [Session] = []
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
  }

  private struct OpenListener {
    let socket: TCPListener
    let number: Int
    /// The latest that has the listener: the connections that wait at one that is taken away are served as before.
    var policy: Policy
    /// More connections may be waiting than were taken.
    var mayAccept = true
  }

  // MARK: Listeners

  /// Takes over sockets that listen, from which nothing is accepted before `settle`. When it fails it has taken none.
  func adopt(_ sockets: [(socket: ListeningSocket, number: Int)], for policy: Policy) throws(Errno) {
    for (index, (socket, number)) in sockets.enumerated() {
      do throws(Errno) {
        adopted.append(
          OpenListener(socket: try TCPListener(socket, on: loop), number: number, policy: policy))
      } catch {
        adopted = []
        for (socket, _) in sockets[(index + 1)...] { socket.close() }
        throw error
      }
    }
  }

  /// Closes what was adopted and will not be served.
  func abandon() {
    adopted = []
  }

  /// Begins to serve what was adopted, and closes the listeners of these numbers.
  func settle(closing numbers: Set<Int>) {
    // First, since no descriptor may close while it is waited for.
    if let idle { loop.wake(idle) }
    close { numbers.contains($0.number) }
    listeners += adopted
    adopted = []
    listenersChanged = true
    // The table before is kept by none.
    for place in listeners.indices { listeners[place].policy = server.policy }
  }

  /// Closes listeners, once the connections that wait there are accepted: a client that is connected loses nothing.
  private func close(_ isConcerned: (OpenListener) -> Bool) {
    for place in listeners.indices where isConcerned(listeners[place]) {
      listeners[place].socket.stopListening()
      while acceptBatch(at: place), listeners[place].socket.restsUntil == nil {}
    }
    listeners.removeAll(where: isConcerned)
    listenersChanged = true
  }

  // MARK: Life

  /// Serves until the server drains, then waits for the sessions to end, for as long as they may last.
  func run() async throws(Errno) {
    // Here, on the loop, whatever happens.
    defer { listeners = [] }
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
      listeners = []
      group.cancelAll()
      loop.interrupt()
    }
    for session in accepted + opened { session.end() }
    (accepted, opened) = ([], [])
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
    var interests: [Interest] = []
    var deadline = Deadline.never
    while true {
      if server.isDraining {
        if deadline == .never {
          close { _ in true }
          warm.close()
          deadline = .after(server.policy.timeouts.drain)
        }
        if sessions == 0 { return }
      }
      var next = deadline
      for place in listeners.indices where listeners[place].mayAccept {
        listeners[place].mayAccept = acceptBatch(at: place)
        if listeners[place].mayAccept { next = min(next, listeners[place].socket.restsUntil ?? .now) }
      }
      for session in accepted { start(session, .opening) }
      accepted.removeAll(keepingCapacity: true)
      for session in opened { start(session, .serving) }
      opened.removeAll(keepingCapacity: true)
      for task in background { begin(task) }
      background.removeAll()

      if listenersChanged {
        interests = bells + listeners.map(\.socket.interest)
        listenersChanged = false
      }
      let wakeup = await loop.wait(for: interests, until: next) { idle = $0 }
      idle = nil
      if wakeup == .cancelled || server.isHalting || deadline <= loop.now { return }
      // While it waited, other listeners may have come in their place: all are tried then.
      if listenersChanged {
        for place in listeners.indices { listeners[place].mayAccept = true }
      } else if case .ready(let position) = wakeup, position >= bells.count {
        listeners[position - bells.count].mayAccept = true
      }
    }
  }

  // MARK: Dialling

  /// Dials from this loop as `policy` says, for a client or for the program itself.
  func dialer(_ policy: Policy, for client: Client? = nil) -> Dialer {
    Dialer(
      loop: loop, resolver: resolver, policy: policy, ownListeners: server.ownListeners,
      pipelining: server.pipelining, identities: server.identities, client: client,
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
  private func acceptBatch(at place: Int) -> Bool {
    let socket = listeners[place].socket
    do throws(Errno) {
      for _ in 0..<Self.batch {
        // Who comes is served before who may come.
        guard let connection = try socket.accept(makeRoom: { warm.giveUp() }) else {
          return socket.restsUntil != nil
        }
        admit(connection, at: place)
      }
      return true
    } catch {
      tell(error, at: listeners[place])
      return true
    }
  }

  private func admit(_ connection: TCPListener.Connection, at place: Int) {
    let number = listeners[place].number
    let current = server.policy
    if current !== listeners[place].policy, current[listener: number] != nil {
      listeners[place].policy = current
    }
    let policy = listeners[place].policy
    guard let listener = policy[listener: number]?.listener, listener.admits(connection.peer?.address) else {
      return connection.close()
    }
    let (admission, notice) = server.occupancy.enter(connection.client, limits: policy.limits)
    if let notice { tell(notice, of: connection.peer, at: listener) }
    guard case .admitted(let seat) = admission else { return connection.close() }
    do throws(Errno) {
      let session = try Session(connection, listener: number, policy: policy, place: seat, worker: self)
      sessions += 1
      accepted.append(session)
    } catch {
      server.occupancy.leave(seat)
      tell(error, at: listeners[place])
    }
  }

  private func tell(_ error: Errno, at listener: OpenListener) {
    guard let id = listener.policy[listener: listener.number]?.listener.id else { return }
    let notice = { @Sendable count in Notice.turnedAway(listener: id.address, error, count: count) }
    if isNews(.turnedAway(error), notice: notice) { server.sink.record(notice(1)) }
  }

  /// Counts what a client or a peer can repeat without end, and has the log told of it once a minute.
  ///
  /// - Returns: whether the log is to be told of this one now.
  func isNews(
    _ kind: Repetitions.Kind, _ detail: String = "", notice: @escaping @Sendable (Int) -> Notice
  ) -> Bool {
    server.repeated.isNews(kind, detail, on: loop, begin: begin, notice: notice)
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
