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
  let ledger: Ledger
  private let dialing: Dialer.Shared
  var census = Census()
  var listeners: [OpenListener] = []
  /// Those that wait for `settle`.
  var adopted: [OpenListener] = []
  /// The listeners are others than those that are waited for.
  var listenersChanged = true
  var sessions = 0
  /// Whose turn it is to serve a connection from a socket that only this worker has.
  var turn = 0
  /// Sessions that wait to be opened.
  var accepted: [Session] = []
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
  var idle: WaitID?

  init(_ server: Server, index: Int, on loop: EventLoop, resolver: Resolver) {
    self.server = server
    self.index = index
    self.loop = loop
    self.resolver = resolver
    ledger = Ledger()
    dialing = Dialer.Shared(
      loop: loop, resolver: resolver, ownListeners: server.ownListeners, pipelining: server.pipelining,
      identities: server.identities, shortages: server.shortages, shares: server.shares, ledger: ledger)
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
          // What another worker has dealt to this one arrives first.
          await server.passTurns(besides: loop)
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
    Dialer(shared: dialing, policy: policy, client: client)
  }

  /// Has the other loops keep their parts of a fixed number of tunnels.
  private func announce(_ chain: Chain, for purpose: WarmChains.Purpose) {
    for worker in server.running.workers where worker !== self {
      Task(executorPreference: worker.loop) { worker.warm.keep(chain, for: purpose) }
    }
  }

  // MARK: Beside the sessions

  /// Runs a task until it ends or the sessions have.
  func begin(_ task: @escaping @Sendable () async -> Void) {
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

  /// Counts what a client or a peer can repeat without end, and has the log told of it once a minute.
  ///
  /// - Returns: whether the log is to be told of this one now.
  func isNews(
    _ kind: Repetitions.Kind, _ detail: String = "", notice: @escaping @Sendable (Int) -> Notice
  ) -> Bool {
    server.repeated.isNews(kind, detail, on: loop, begin: begin, notice: notice)
  }
}
