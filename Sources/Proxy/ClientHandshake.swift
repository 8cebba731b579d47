import Addresses
import Routing
import Settings
import Transport
import Wire

/// The inbound side of RFC 1928, of SOCKS4 and of HTTP: from the client's first octet to its request.
struct ClientHandshake {
  /// The listener in the table under which the client connected.
  private let accepted: Policy.Entry
  /// The listener in the newest table; `nil` when this has it no more.
  let newest: @Sendable () -> Policy.Entry?
  let hashes: HashThreads
  /// Who connects, as limits count clients.
  let client: Client
  let deadline: Deadline
  /// Who the client says it is, admitted or not.
  var claimedUser: String?
  /// A password has proven who it is.
  var hasLoggedIn = false
  /// Bytes received and not yet read as a message.
  var input: [UInt8] = []

  init(
    accepted: Policy.Entry, newest: @escaping @Sendable () -> Policy.Entry?, hashes: HashThreads,
    client: Client, deadline: Deadline
  ) {
    self.accepted = accepted
    self.newest = newest
    self.hashes = hashes
    self.client = client
    self.deadline = deadline
  }

  /// The listener as the newest table has it, so that a client that connected before a reload is admitted by the table
  /// behind it. Once a table has it no more, as it was.
  var entry: Policy.Entry { newest() ?? accepted }

  /// A login is required where the newest table requires it, and also where the table does by whose routes the request is
  /// judged.
  var authentication: Listener.Authentication {
    accepted.listener.authentication == .required ? .required : entry.listener.authentication
  }

  /// What the client wants, and who it is.
  struct Request {
    /// What the client speaks, and is answered in.
    var spoken: Listener.InboundProtocol
    var message: SOCKS5.Request
    var user: String?
    /// What the client sent behind its request: the first bytes to relay.
    var early: [UInt8]
  }

  /// Why there is no request, and what to send before closing.
  struct Refusal: Error {
    var ending: Event.Ending
    var answer: [UInt8]
  }

  mutating func run(_ client: borrowing TCPStream) async throws(Refusal) -> Request {
    switch try await identify(client) {
    case .socks5: try await runSOCKS5(client)
    case .socks4: try await runSOCKS4(client)
    case .http: try await runHTTP(client)
    }
  }

  private mutating func runSOCKS5(_ client: borrowing TCPStream) async throws(Refusal) -> Request {
    let greeting: SOCKS5.Greeting = try await receive(client) { _ in [] }
    let user = try await authenticate(client, methods: greeting.methods)
    let message: SOCKS5.Request = try await receive(client) { SOCKS5.Reply($0.reply).bytes }
    // A reload may have come since the greeting.
    guard hasLoggedIn || authentication != .required else {
      throw Refusal(ending: .unauthenticated(.notLoggedIn), answer: SOCKS5.Reply(.notAllowed).bytes)
    }
    return Request(spoken: .socks5, message: message, user: user, early: input)
  }

  /// SOCKS octets go only to a client that speaks SOCKS, and are answered as such only where the listener serves it.
  private mutating func identify(
    _ client: borrowing TCPStream
  ) async throws(Refusal) -> Listener.InboundProtocol {
    let isOpen: Bool
    do {
      isOpen = try await client.read(into: &input, until: deadline)
    } catch {
      throw Refusal(ending: .noRequest(.system(error)), answer: [])
    }
    guard isOpen else { throw Refusal(ending: .noRequest(.closed), answer: []) }
    let opening = Opening(firstOctet: input[0])
    switch opening {
    case .socks5 where entry.listener.protocols.contains(.socks5): return .socks5
    case .socks4 where entry.listener.protocols.contains(.socks4): return .socks4
    case .http where entry.listener.protocols.contains(.http): return .http
    default: throw Refusal(ending: .noRequest(.violation(.version(input[0]))), answer: opening.refusal)
    }
  }

  // MARK: SOCKS4

  /// One message says it all. It proves nothing, so that it cannot be served where proof is required.
  private mutating func runSOCKS4(_ client: borrowing TCPStream) async throws(Refusal) -> Request {
    let rejection = SOCKS4.Reply(.rejected).bytes
    let message: SOCKS4.Request = try await receive(client) { _ in rejection }
    guard authentication != .required else {
      throw Refusal(ending: .unauthenticated(.socks4), answer: rejection)
    }
    let command: SOCKS5.Command
    switch message.command {
    case .connect: command = .connect
    case .bind: command = .bind
    default: throw Refusal(ending: .unsupported("SOCKS4 \(message.command)"), answer: rejection)
    }
    let user =
      authentication == .optional && !message.userID.isEmpty
      ? String(decoding: message.userID, as: UTF8.self) : nil
    return Request(
      spoken: .socks4, message: SOCKS5.Request(command, to: message.destination), user: user, early: input)
  }

  // MARK: Authentication

  /// The user's name, if one was given.
  private mutating func authenticate(
    _ client: borrowing TCPStream, methods: [SOCKS5.Method]
  ) async throws(Refusal) -> String? {
    let method = choose(from: methods)
    guard method != .noneAcceptable else {
      let reason: Event.LoginFailure = authentication == .required ? .noCredentials : .noMethod
      throw Refusal(ending: .unauthenticated(reason), answer: SOCKS5.MethodSelection(method).bytes)
    }
    try await send(SOCKS5.MethodSelection(method).bytes, client)
    guard method == .usernamePassword else { return nil }

    let denial = SOCKS5.UsernamePasswordStatus.failure.bytes
    let claim: SOCKS5.UsernamePassword = try await receive(client) { _ in denial }
    if authentication == .required {
      try await logIn(claim.username, claim.password, client, owesRequest: true, orAnswer: denial)
    }
    try await send(SOCKS5.UsernamePasswordStatus.success.bytes, client)
    return claim.username.isEmpty ? nil : String(decoding: claim.username, as: UTF8.self)
  }

  /// Only ever one of those offered; with `required`, never "no authentication".
  private func choose(from methods: [SOCKS5.Method]) -> SOCKS5.Method {
    let acceptable: [SOCKS5.Method] =
      switch authentication {
      case .required: [.usernamePassword]
      case .optional: [.usernamePassword, .noAuthentication]
      case .none: [.noAuthentication]
      }
    return acceptable.first(where: methods.contains) ?? .noneAcceptable
  }

  // MARK: Messages

  mutating func receive<M: Message>(
    _ client: borrowing TCPStream, orAnswer answer: (M.Violation) -> [UInt8]
  ) async throws(Refusal) -> M where M.Violation: Explained {
    do throws(ReceiveError<M.Violation>) {
      return try await client.receive(input: &input, until: deadline)
    } catch {
      var words: [UInt8] = []
      if case .violation(let violation) = error { words = answer(violation) }
      throw Refusal(ending: .noRequest(Failure.Cause(error, on: client)), answer: words)
    }
  }

  private func send(_ bytes: [UInt8], _ client: borrowing TCPStream) async throws(Refusal) {
    do {
      try await client.write(bytes, until: deadline)
    } catch {
      throw Refusal(ending: .noRequest(.system(error)), answer: [])
    }
  }
}
