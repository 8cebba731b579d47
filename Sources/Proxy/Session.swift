import Addresses
import Routing
import Settings
import Transport
import Wire

/// One client, from accept to the closing event.
struct Session: Sendable {
  let connection: TCPListener.Connection
  /// The index of the listener it came to.
  let listener: Int
  let policy: Policy
  /// There is no room for it: its request is heard, and refused.
  let isOverLimit: Bool
  let worker: Worker

  private typealias Refusal = ClientHandshake.Refusal

  /// How long, and how many bytes of what it still sends, a refused client is listened to, so that the answer is not
  /// destroyed by a reset (RFC 1928 §6 allows ten seconds).
  private static let lingerTime = Duration.seconds(2)
  private static let lingerBytes = 64 * 1024

  func run() async {
    let start = Deadline.now
    var event = Event(listener: policy.listeners[listener].id.name ?? policy.listeners[listener].id.address)
    event.client = connection.peer
    do throws(Errno) {
      let client = try TCPStream(connection, on: worker.loop)
      do throws(Refusal) {
        try await serve(client, since: start, event: &event)
      } catch {
        event.ending = error.ending
        if !error.answer.isEmpty { await sayFarewell(error.answer, to: client) }
      }
    } catch {
      worker.server.occupancy.endHandshake()
      event.ending = .noRequest(.system(error))
    }
    worker.server.occupancy.leave(connection.peer?.address)
    event.time = Deadline.now.since(start)
    worker.server.sink.record(event)
  }

  private func serve(
    _ client: borrowing TCPStream, since start: Deadline, event: inout Event
  ) async throws(Refusal) {
    let (request, early) = try await handshake(client, until: start + policy.timeouts.handshake)
    event.user = request.user
    event.destination = request.destination

    let verdict = try await route(request, client, until: start + policy.timeouts.handshake, event: &event)
    let upstream = try await dial(request, verdict, event: &event)
    try await reply(client, bound: upstream.bound)

    var relay = TCPRelay(
      fromClient: early, fromUpstream: upstream.early,
      idle: verdict.route?.idle ?? policy.timeouts.idle, halfClosed: policy.timeouts.halfClosed)
    event.ending = Event.Ending(await relay.run(client: client, upstream: upstream.stream))
    event.up = relay.up.byteCount
    event.down = relay.down.byteCount
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
      to: heard.message.destination, client: connection.peer?.address, user: heard.user,
      listener: policy.listeners[listener].id)
    return (request, handshake.input)
  }

  // MARK: Deciding

  /// The verdict, if it lets the request pass.
  private func route(
    _ request: Request, _ client: borrowing TCPStream, until deadline: Deadline, event: inout Event
  ) async throws(Refusal) -> Verdict {
    let verdict = policy.table.verdict(for: request)
    event.route = verdict.route?.label ?? "default"
    event.outcome = verdict.outcome
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
    var input: [UInt8] = []
    while (try? await client.read(into: &input, until: deadline)) == true {
      input.removeAll(keepingCapacity: true)
    }
  }

  // MARK: Dialling

  private func dial(_ request: Request, _ verdict: Verdict, event: inout Event) async throws(Refusal)
    -> Connection
  {
    let start = Deadline.now
    defer { event.dial = Deadline.now.since(start) }
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
      client.shutdownWriting()
      var input: [UInt8] = []
      while input.count < Self.lingerBytes {
        guard try await client.read(into: &input, atMost: Self.lingerBytes - input.count, until: deadline)
        else {
          return
        }
      }
    } catch {
      // The client is gone, or does not end: closing is all that is left.
    }
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
