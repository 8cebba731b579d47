import Addresses
import Routing
import TLS
import Transport
import Wire

/// The outbound side: asks one hop, over a stream that already reaches it, for the next hop or for the destination.
struct Hop {
  let upstream: Upstream
  let index: Int
  let count: Int

  var isLast: Bool { index == count - 1 }

  var place: Failure.Place { .hop(index, of: count, name: upstream.name) }

  /// What it can be asked to connect to, beside names.
  var families: [Family] { upstream.kind.isSOCKS4 ? [.v4] : Family.allCases }

  /// Whether it begins with a greeting: SOCKS4 and HTTP begin with the request.
  var isGreeted: Bool { upstream.kind == .socks5 }

  /// What a hop answers to a request, whichever protocol it speaks.
  struct Reply {
    /// Why it refuses; `nil` when it does not.
    let refusal: Failure.Cause?
    let bound: Endpoint
  }

  // MARK: TLS

  /// Agrees with it on TLS; `input` is what has come and nobody has taken.
  func secure(
    _ stream: inout TCPStream, with context: TLSContext, input: [UInt8], until deadline: Deadline
  ) async throws(Failure) {
    // Nobody who speaks TLS speaks first.
    guard input.isEmpty else { throw Failure(place, .tls, .tls(.notTLS)) }
    do throws(TCPStream.SecuringError) {
      try await stream.secure(with: context, to: upstream.endpoint.host, until: deadline)
    } catch {
      switch error {
      case .system(let error): throw Failure(place, .tls, .system(error))
      case .tls(let failure): throw Failure(place, .tls, Failure.Cause(failure))
      }
    }
  }

  // MARK: Greeting

  /// What it may choose from. It is offered to do without user name and password, unless they are to tell it who this
  /// is: a hop that asks nobody would make all identities one.
  var methods: [SOCKS5.Method] {
    if upstream.isIsolated { return [.usernamePassword] }
    return upstream.credentials == nil ? [.noAuthentication] : [.noAuthentication, .usernamePassword]
  }

  /// What is sent when it chose to see a user name and a password.
  var claim: [UInt8]? {
    upstream.credentials.map { SOCKS5.UsernamePassword(username: $0.username, password: $0.password).bytes }
  }

  /// The one that it chose of those that were offered.
  func method(
    among offered: [SOCKS5.Method], over stream: borrowing TCPStream, input: inout [UInt8],
    until deadline: Deadline
  ) async throws(Failure) -> SOCKS5.Method {
    let selection: SOCKS5.MethodSelection = try await receive(stream, .greet, input: &input, until: deadline)
    guard offered.contains(selection.method) else { throw Failure(place, .greet, .method(selection.method)) }
    return selection.method
  }

  /// Throws when it does not take the claim.
  func admission(
    over stream: borrowing TCPStream, input: inout [UInt8], until deadline: Deadline
  ) async throws(Failure) {
    let status: SOCKS5.UsernamePasswordStatus = try await receive(
      stream, .authenticate, input: &input, until: deadline)
    guard status == .success else { throw Failure(place, .authenticate, .credentials) }
  }

  // MARK: Requests

  /// The hop's next reply: to BIND it gives two.
  func reply(
    over stream: borrowing TCPStream, input: inout [UInt8], phase: Failure.Phase = .request,
    until deadline: Deadline
  ) async throws(Failure) -> Reply {
    switch upstream.kind {
    case .socks5:
      let reply: SOCKS5.Reply = try await receive(stream, phase, input: &input, until: deadline)
      return Reply(refusal: reply.code == .succeeded ? nil : .reply(reply.code), bound: reply.bound)
    case .socks4, .socks4a:
      let reply: SOCKS4.Reply = try await receive(stream, phase, input: &input, until: deadline)
      return Reply(
        refusal: reply.code == .granted ? nil : .socks4Reply(reply.code),
        bound: Endpoint(reply.bound.address, port: reply.bound.port))
    case .http:
      let status = try await status(over: stream, input: &input, phase: phase, until: deadline)
      if status.isAboutCredentials {
        let cause = upstream.credentials == nil ? Failure.Cause.status(status) : .credentials
        var failure = Failure(place, .authenticate, cause)
        // Proxies may ask for another login for some destinations, and the last hop's the client chose.
        failure.hasRequestUnderway = index == count - 1
        throw failure
      }
      return Reply(
        refusal: status.isSuccess ? nil : .status(status), bound: Endpoint(.unspecified4, port: 0))
    }
  }

  /// That of the first response that is not interim; of those a few are put up with.
  private func status(
    over stream: borrowing TCPStream, input: inout [UInt8], phase: Failure.Phase, until deadline: Deadline
  ) async throws(Failure) -> HTTP.Status {
    for _ in 0..<8 {
      let response: HTTP.Response = try await receive(stream, phase, input: &input, until: deadline)
      if !response.status.isInterim { return response.status }
    }
    throw Failure(place, phase, .http(.tooLong))
  }

  // MARK: What can be asked

  /// Throws when the hop's protocol has no words for a request.
  func check(_ command: SOCKS5.Command, _ destination: Endpoint) throws(Failure) {
    guard upstream.kind != .socks5 else { return }
    _ = try request(command, destination)
  }

  /// What asks the hop for something; throws when its protocol has no words for that.
  ///
  /// - Parameter phase: what a failure is told as.
  func request(
    _ command: SOCKS5.Command, _ destination: Endpoint, phase: Failure.Phase = .request
  ) throws(Failure) -> [UInt8] {
    do throws(Failure.Limit) {
      switch upstream.kind {
      case .http:
        guard command == .connect else { break }
        // What Basic authentication cannot say, the table does not accept.
        let credentials = upstream.credentials.flatMap {
          HTTP.BasicCredentials(username: $0.username, password: $0.password)
        }
        return HTTP.Request(connectingTo: destination, credentials: credentials, fields: upstream.headers)
          .bytes
      case .socks5: return SOCKS5.Request(command, to: destination).bytes
      case .socks4: return try socks4Request(command, destination, .socks4).bytes
      case .socks4a: return try socks4Request(command, destination, .socks4a).bytes
      }
    } catch {
      throw Failure(place, phase, .beyondSOCKS4(error))
    }
    throw Failure(place, phase, .beyondHTTP)
  }

  private func socks4Request(
    _ command: SOCKS5.Command, _ destination: Endpoint, _ dialect: SOCKS4.Dialect
  ) throws(Failure.Limit) -> SOCKS4.Request {
    let ownCommand: SOCKS4.Command
    switch command {
    case .connect: ownCommand = .connect
    case .bind: ownCommand = .bind
    default: throw .command
    }
    let userID = upstream.credentials?.username ?? []
    if let request = SOCKS4.Request(ownCommand, to: destination, userID: userID, as: dialect) {
      return request
    }
    switch destination.host {
    case .name where dialect == .socks4: throw .name
    case .address(.v6): throw .ipv6
    case .name, .address: throw .other
    }
  }

  // MARK: Messages

  private func receive<M: Message>(
    _ stream: borrowing TCPStream, _ phase: Failure.Phase, input: inout [UInt8], until deadline: Deadline
  ) async throws(Failure) -> M where M.Violation: Explained {
    do throws(ReceiveError<M.Violation>) {
      return try await stream.receive(input: &input, until: deadline)
    } catch {
      throw Failure(place, phase, Failure.Cause(error, on: stream))
    }
  }
}
