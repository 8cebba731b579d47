import Addresses
import Routing
import Settings
import Transport
import Wire

/// One client, from accept to the closing event.
///
/// `@unchecked` holds because its tasks run on the worker's loop: its variables are touched by one thread.
final class Session: @unchecked Sendable {
  private var client: TCPStream?
  private let listener: Int
  private let policy: Policy
  private let isOverLimit: Bool
  let worker: Worker
  private let start = Deadline.now
  private let peer: SocketAddress?
  private var user: String?
  private var destination: Endpoint?
  private var route: String?
  private var outcome: Outcome?
  private var dialTime = Duration.zero
  private var ending = Event.Ending.finished
  /// Once there is one, it is to be relayed.
  private(set) var tunnel: TCPRelay?

  private typealias Refusal = ClientHandshake.Refusal

  /// How long a refused client is listened to, so that the answer is not destroyed by a reset (RFC 1928 §6 allows ten
  /// seconds).
  private static let lingerTime = Duration.seconds(2)
  /// How many bytes are read only to be forgotten: a client that floods must not keep the loop from others.
  private static let forgottenBytes = 64 * 1024

  /// - Parameters:
  ///   - listener: the index of the one it came to.
  ///   - isOverLimit: there is no room for it: its request is heard, and refused.
  init(
    _ connection: TCPListener.Connection, listener: Int, policy: Policy, isOverLimit: Bool, worker: Worker
  ) throws(Errno) {
    client = try TCPStream(connection, on: worker.loop)
    self.listener = listener
    self.policy = policy
    self.isOverLimit = isOverLimit
    self.worker = worker
    peer = connection.peer
  }

  // MARK: Life

  /// Hears the client and reaches what it asks for; if that fails, tells it so.
  func open() async {
    guard let client = client.take() else { return }
    let reached: Reached
    do throws(Refusal) {
      reached = try await reach(client)
    } catch {
      ending = error.ending
      if !error.answer.isEmpty { await sayFarewell(error.answer, to: client) }
      return
    }
    tunnel = TCPRelay(
      client: client, upstream: reached.connection.stream, fromClient: reached.fromClient,
      fromUpstream: reached.connection.early, idle: reached.idle, halfClosed: policy.timeouts.halfClosed)
  }

  /// Closes, and tells how it went.
  func end() {
    worker.server.occupancy.leave(peer?.address)
    let id = policy.listeners[listener].id
    var event = Event(
      listener: id.name ?? id.address, client: peer, user: user, destination: destination, route: route,
      outcome: outcome, dial: dialTime, time: Deadline.now.since(start), ending: ending)
    if let tunnel {
      event.ending = tunnel.ending.map(Event.Ending.init) ?? .stopped
      event.up = tunnel.up.byteCount
      event.down = tunnel.down.byteCount
    }
    tunnel = nil
    worker.server.sink.record(event)
  }

  /// A destination that is reached, and what the tunnel to it begins with.
  private struct Reached: ~Copyable {
    let connection: Connection
    /// What the client sent behind its request.
    let fromClient: [UInt8]
    let idle: Duration
  }

  /// All that happens before the first byte is relayed, in order.
  private func reach(_ client: borrowing TCPStream) async throws(Refusal) -> Reached {
    let deadline = start + policy.timeouts.handshake
    let (request, early) = try await handshake(client, until: deadline)
    user = request.user
    destination = request.destination

    let verdict = try await route(request, client, until: deadline)
    let upstream = try await dial(request, verdict)
    try await reply(client, bound: upstream.bound)
    return Reached(connection: upstream, fromClient: early, idle: verdict.route?.idle ?? policy.timeouts.idle)
  }

  // MARK: Hearing

  /// The request, and what the client sent behind it.
  private func handshake(
    _ client: borrowing TCPStream, until deadline: Deadline
  ) async throws(Refusal) -> (Request, early: [UInt8]) {
    defer { worker.server.occupancy.endHandshake() }
    var handshake = ClientHandshake(
      listener: policy.listeners[listener], authenticator: policy.authenticators[listener], deadline: deadline
    )
    let heard = try await handshake.run(client)
    if isOverLimit { throw Refusal(.overLimit, .generalFailure) }
    guard heard.message.command == .connect else {
      throw Refusal(.unsupported(heard.message.command), .commandNotSupported)
    }
    if let code = heard.message.connectRefusal { throw Refusal(.refused(code), code) }
    let request = Request(
      to: heard.message.destination, client: peer?.address, user: heard.user,
      listener: policy.listeners[listener].id)
    return (request, handshake.input)
  }

  // MARK: Deciding

  /// The verdict, if it lets the request pass.
  private func route(
    _ request: Request, _ client: borrowing TCPStream, until deadline: Deadline
  ) async throws(Refusal) -> Verdict {
    let verdict = policy.table.verdict(for: request)
    route = verdict.route?.label ?? "default"
    outcome = verdict.outcome
    switch verdict.outcome {
    case .direct, .chain: return verdict
    case .reject: throw Refusal(.rejected, .notAllowed)
    case .drop:
      await hold(client, until: deadline)
      throw Refusal(ending: .dropped, answer: [])
    }
  }

  /// Leaves the client without an answer until it goes away or the deadline passes.
  private func hold(_ client: borrowing TCPStream, until deadline: Deadline) async {
    if await forget(client, until: deadline) { try? await client.loop.sleep(until: deadline) }
  }

  /// Reads what the client sends, for nothing; true when it sends without end.
  private func forget(_ client: borrowing TCPStream, until deadline: Deadline) async -> Bool {
    var count = 0
    while count < Self.forgottenBytes {
      var input: [UInt8] = []
      // Whether it ended, failed or took too long: there is no more to come.
      guard (try? await client.read(into: &input, until: deadline)) == true else { return false }
      count += input.count
    }
    return true
  }

  // MARK: Dialling

  private func dial(_ request: Request, _ verdict: Verdict) async throws(Refusal) -> Connection {
    let start = Deadline.now
    defer { dialTime = Deadline.now.since(start) }
    let dialer = Dialer(
      loop: worker.loop, resolver: worker.resolver, policy: policy, ownListeners: worker.server.ownListeners)
    do {
      return try await dialer.dial(
        request, via: verdict.outcome, budget: verdict.route?.timeout ?? policy.timeouts.dial)
    } catch {
      throw Refusal(.failed(error), SOCKS5.ReplyCode(error))
    }
  }

  // MARK: Answering

  /// Success is told after success.
  private func reply(_ client: borrowing TCPStream, bound: SocketAddress) async throws(Refusal) {
    do {
      try await client.write(
        SOCKS5.Reply(.succeeded, bound: bound).bytes, until: .after(policy.timeouts.handshake))
    } catch {
      throw Refusal(ending: .failed(Failure(.client, .relay, .system(error))), answer: [])
    }
  }

  /// Sends the last words and closes so that they arrive: bytes left unread would turn the close into a reset.
  private func sayFarewell(_ answer: [UInt8], to client: borrowing TCPStream) async {
    let deadline = Deadline.after(Self.lingerTime)
    do {
      try await client.write(answer, until: deadline)
    } catch {
      return
    }
    client.shutdownWriting()
    _ = await forget(client, until: deadline)
  }
}

extension ClientHandshake.Refusal {
  fileprivate init(_ ending: Event.Ending, _ code: SOCKS5.ReplyCode) {
    self.init(ending: ending, answer: SOCKS5.Reply(code).bytes)
  }
}

extension Event.Ending {
  fileprivate init(_ ending: TCPRelay.Ending) {
    self =
      switch ending {
      case .finished: .finished
      case .reset: .reset
      case .idle: .idle
      case .stopped: .stopped
      }
  }
}
