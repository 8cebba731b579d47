import Addresses
import DNS
import Routing
import Settings
import Transport
import Wire

/// One client, from accept to the closing event.
///
/// `@unchecked` holds because its tasks run on the worker's loop: its variables are touched by one thread.
final class Session: @unchecked Sendable {
  private var client: TCPStream?
  private let listenerNumber: Int
  /// What the listener is called in the log.
  private let listenerName: String
  /// `nil` once the session is a tunnel: no rule is asked about it again, and a tunnel that outlives many reloads must not
  /// keep the table of each.
  private var obeyed: Policy?
  private(set) var place: Occupancy.Place
  let worker: Worker
  private let start = Deadline.now
  let peer: SocketAddress?
  // Fields of one byte are adjacent: each tunnel keeps them.
  /// What the client speaks, once its first octet has told.
  private var spoken = Listener.InboundProtocol.socks5
  private var command = Event.Command.connect
  private var stage = Census.Stage.handshake
  var isWarm = false
  /// Its place was given to another client before the request was heard.
  private var displacedFor: Limit?
  /// The client is gone.
  private var isAbandoned = false
  private var user: String?
  private var destination: Endpoint?
  /// What is dialled instead, when the route says so.
  var rewritten: Endpoint?
  private var route: String?
  /// What the route leads to, unless that is a plan, of which a tunnel keeps no more than the name: it has the proxies of
  /// all its ways.
  private var outcome: Outcome?
  private var plan: String?
  /// By which ways the plan is followed, until there is a tunnel.
  var journey: Journey?
  /// What a tunnel keeps of its journey: the way that was taken, which counts among the connections of its hops, and those
  /// that failed.
  private var way: Way?
  private var attempts: [Journey.Attempt] = []
  var dialTime = Duration.zero
  private var ending = Event.Ending.finished
  /// The task that hears the request and reaches what the client asked for, while it does: it is cancelled when that is
  /// awaited no more.
  private var opening: RunningTask?
  /// Once there is one, it is to be run.
  private(set) var service: Service?

  typealias Refusal = ClientHandshake.Refusal

  /// - Parameters:
  ///   - listener: the number of the one it came to.
  ///   - policy: one that has this listener.
  ///   - place: what it holds until it ends; it may say that the request is refused once it was heard.
  init(
    _ connection: TCPListener.Connection, listener: Int, policy: Policy, place: Occupancy.Place,
    worker: Worker
  ) throws(Errno) {
    client = try TCPStream(connection, on: worker.loop)
    listenerNumber = listener
    let id = policy[listener: listener]?.listener.id
    listenerName = id?.name ?? id?.address ?? ""
    obeyed = policy
    self.place = place
    self.worker = worker
    peer = connection.peer
    worker.census.enter(listener)
  }

  /// - Precondition: the session is no tunnel.
  var policy: Policy {
    guard let obeyed else { preconditionFailure("a tunnel obeys no policy") }
    return obeyed
  }

  /// - Precondition: the session is no tunnel.
  var listener: Listener { entry.listener }

  private var entry: Policy.Entry {
    guard let entry = policy[listener: listenerNumber] else {
      preconditionFailure("the policy has the listener")
    }
    return entry
  }

  /// For all that the client has to say before it is served.
  private var handshakeDeadline: Deadline { start + policy.timeouts.handshake }

  // MARK: Life

  /// Hears the client and reaches what it asks for; if that fails, tells it so.
  func open() async {
    guard let client = client.take() else { return }
    opening = RunningTask()
    defer { opening = nil }
    let opened: Opened
    do throws(Refusal) {
      let request = try await hear(client)
      opened = try await answer(request, client)
    } catch {
      ending = error.ending
      if !error.answer.isEmpty { await client.close(saying: error.answer) }
      return
    }
    switch consume opened {
    case .tunnel(let tunnel):
      service = .tunnel(
        TCPRelay(
          client: client, upstream: tunnel.connection.stream, fromClient: tunnel.fromClient,
          fromUpstream: tunnel.connection.early, idle: tunnel.idle, halfClosed: policy.timeouts.halfClosed))
      obeyed = nil
      endJourney()
      advance(to: .tunnel)
      if let chain { worker.ledger.enter(chain) }
    case .association(let association):
      service = .association(association, ControlConnection(client))
      advance(to: .association)
    case .answer(let answer):
      await client.close(saying: answer)
    }
  }

  private func endJourney() {
    guard let journey else { return }
    (way, attempts) = (journey.way, journey.attempts)
    if let way { worker.server.health.count(way, by: 1, admitted: .max) }
    self.journey = nil
  }

  /// Closes, and tells how it went.
  func end() {
    worker.server.occupancy.leave(place)
    worker.census.leave(listenerNumber, in: stage)
    if case .tunnel? = service, let chain { worker.ledger.leave(chain) }
    if let way { worker.server.health.count(way, by: -1, admitted: .max) }
    var event = Event(
      listener: listenerName, client: peer, command: command, user: user, destination: destination,
      rewritten: rewritten, route: route, outcome: outcome, plan: plan, way: way ?? journey?.way,
      attempts: journey?.attempts ?? attempts, dial: dialTime, isWarm: isWarm,
      time: Deadline.now.since(start),
      ending: ending)
    service?.tell(&event)
    // What a dial has run short of was told with its endpoint, and is told once.
    if case .failed(let failure) = event.ending, let endpoint = destination ?? peer.map({ Endpoint($0) }) {
      worker.server.shortages.note(failure.cause, towards: endpoint)
    }
    service = nil
    journey = nil
    if case .unauthenticated(let reason) = ending {
      event.isRepeated = !worker.isNews(.refusedLogin(place.client), user ?? "") { [event] count in
        .loginsRefused(client: event.client, user: event.user, reason, count: count)
      }
    }
    worker.server.sink.record(event)
  }

  func advance(to next: Census.Stage) {
    worker.census.move(from: stage, to: next)
    stage = next
  }

  /// The hops that its tunnel passes, if it passes any.
  private var chain: Chain? {
    if case .chain(let chain)? = outcome { return chain }
    if case .chain(let chain)? = way { return chain }
    return nil
  }

  /// What a request has led to, and what is still missing of a service: the client's end.
  enum Opened: ~Copyable {
    case tunnel(Tunnel)
    case association(Association)
    /// Nothing: the answer is all that was asked for.
    case answer([UInt8])
  }

  /// A destination that is reached, and what the tunnel to it begins with.
  struct Tunnel: ~Copyable {
    let connection: Connection
    /// What the client sent behind its request.
    let fromClient: [UInt8]
    let idle: Duration
  }

  // MARK: Hearing

  private func hear(_ client: borrowing TCPStream) async throws(Refusal) -> ClientHandshake.Request {
    defer { worker.server.occupancy.endHandshake(&place) }
    var handshake = ClientHandshake(
      accepted: entry,
      newest: { [server = worker.server, listenerNumber] in server.policy[listener: listenerNumber] },
      hashes: worker.server.hashes, client: place.client, deadline: handshakeDeadline)
    defer { user = user ?? handshake.claimedUser }
    let request: ClientHandshake.Request
    do throws(Refusal) {
      if let displacement { throw displacement }
      request = try await handshake.run(client)
      // The request may have arrived just as its place was given away.
      if let displacement { throw displacement }
    } catch {
      throw displacement ?? error
    }
    advance(to: .dial)
    spoken = request.spoken
    command = Event.Command(request.message.command) ?? .connect
    user = request.user
    // A client that associates gives a hint of where it will send from, and no destination.
    destination = command == .udp ? nil : request.message.destination
    if let limit = place.refusal {
      throw refusal(.overLimit(ReachedLimit(limit, of: policy.limits)), .generalFailure)
    }
    return request
  }

  private var displacement: Refusal? {
    displacedFor.map { Refusal(ending: .overLimit(ReachedLimit($0, of: policy.limits)), answer: []) }
  }

  /// Everything behind the request, up to the first byte that is relayed.
  private func answer(
    _ request: ClientHandshake.Request, _ client: borrowing TCPStream
  ) async throws(Refusal) -> Opened {
    switch request.message.command {
    case .connect: try await connect(request, client)
    case .bind: try await bind(request, client)
    case .associate: try await associate(request, client)
    case .resolve, .resolvePTR: try await resolve(request, client)
    case let command: throw refusal(.unsupported(command.description), .commandNotSupported)
    }
  }

  // MARK: Deciding

  /// What the client asks for, as routes see it.
  func routed(_ request: ClientHandshake.Request, as command: Request.Command) -> Request {
    Request(
      command, to: request.message.destination, client: peer?.address, user: request.user,
      listener: listener.id, of: place.client)
  }

  /// The verdict, if it lets the request pass.
  func route(_ request: Request, _ client: borrowing TCPStream) async throws(Refusal) -> Verdict {
    let verdict = policy.table.verdict(for: request)
    note(verdict.outcome, by: verdict.route)
    rewritten = verdict.rewritten
    switch verdict.outcome {
    case .direct, .chain, .plan: return verdict
    case .reject: throw refusal(.rejected, .notAllowed)
    case .drop: throw await drop(client)
    }
  }

  /// Notes for the log what decides.
  func note(_ outcome: Outcome, by route: Route?) {
    self.route = route?.label ?? "default"
    if case .plan(let plan) = outcome { self.plan = plan.description } else { self.outcome = outcome }
  }

  /// Holds a client without an answer, for as long as it has to say what it wants.
  func drop(_ client: borrowing TCPStream) async -> Refusal {
    await client.hold(until: handshakeDeadline)
    return Refusal(ending: .dropped, answer: [])
  }

  // MARK: Dialling

  /// Does what takes a dial, and counts the time.
  func dial<Reached: ~Copyable>(
    _ request: Request, _ verdict: Verdict, for client: borrowing TCPStream,
    _ body: (Dialer, _ budget: Duration) async throws(Failure) -> Reached
  ) async throws(Refusal) -> Reached {
    let start = Deadline.now
    defer { dialTime = Deadline.now.since(start) }
    var dialer = worker.dialer(policy, for: place.client)
    if case .plan(let plan) = verdict.outcome {
      journey = worker.journey(by: plan, for: request)
      dialer.journey = journey
    }
    dialer.warm = worker.warm
    return try await whileAwaited(by: client) { () async throws(Failure) in
      try await body(dialer, verdict.route?.timeout ?? policy.timeouts.dial)
    }
  }

  /// Does `body`, which ends as a cancelled task does when the client is gone.
  func whileAwaited<Reached: ~Copyable>(
    by client: borrowing TCPStream, _ body: () async throws(Failure) -> Reached
  ) async throws(Refusal) -> Reached {
    client.descriptor.watch(self)
    defer { client.descriptor.endWatch() }
    do throws(Failure) {
      return try await body()
    } catch {
      if isAbandoned { throw Refusal(ending: .left, answer: []) }
      if case .overLimit(let reached) = error.cause { throw refusal(by: reached) }
      throw refusal(.failed(error), SOCKS5.ReplyCode(error))
    }
  }

  // MARK: Answering

  func refusal(_ ending: Event.Ending, _ code: SOCKS5.ReplyCode) -> Refusal {
    Refusal(ending: ending, answer: spoken.refusal(ending, code))
  }

  /// What a limit refuses that is met behind the request, counted and told to the log.
  func refusal(by reached: ReachedLimit) -> Refusal {
    worker.tell(reached, of: peer, at: listener.id)
    return refusal(.overLimit(reached), .generalFailure)
  }

  /// Success is told after success.
  func reply(_ client: borrowing TCPStream, bound: SocketAddress) async throws(Refusal) {
    do {
      try await client.write(spoken.success(bound: bound), until: .after(policy.timeouts.handshake))
    } catch {
      throw Refusal(ending: .failed(Failure(.client, .relay, .system(error))), answer: [])
    }
  }
}

extension Session: Handshaking {
  func giveUpHandshake(for limit: Limit) {
    Task(executorPreference: worker.loop) { [self] in
      guard stage == .handshake else { return }
      displacedFor = limit
      opening?.cancel()
    }
  }
}

extension Session: PeerWatcher {
  /// A client that ends its direction may still await an answer to CONNECT; BIND and UDP ASSOCIATE last only as long as
  /// it holds the connection.
  func peerEnded(isGone: Bool) {
    if !isGone, command != .bind, command != .udp,
      worker.server.occupancy.clientEnded(&place, limits: policy.limits)
    {
      return
    }
    isAbandoned = true
    opening?.cancel()
  }
}

/// The task that made this object, to be cancelled from outside of it. An object, since copies of the reference that the
/// library makes of a task are dear.
///
/// `@safe` as long as the task itself lets go of the object before it ends: a session's does, on the thread that cancels.
@safe private final class RunningTask {
  private let task: UnsafeCurrentTask?

  init() {
    unsafe task = withUnsafeCurrentTask { unsafe $0 }
  }

  func cancel() {
    unsafe task?.cancel()
  }
}
