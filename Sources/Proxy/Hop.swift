import Addresses
import Routing
import Transport
import Wire

/// The outbound side of RFC 1928: asks one hop, over a stream that already reaches it, to open the next.
struct Hop {
  let upstream: Upstream
  let index: Int
  let count: Int

  var place: Failure.Place { .hop(index, of: count, name: upstream.name) }

  /// Greets the hop and authenticates. Bytes it sends early stay in `input`.
  func greet(
    _ stream: borrowing TCPStream, input: inout [UInt8], until deadline: Deadline
  ) async throws(Failure) {
    let credentials = upstream.credentials
    let offered: [SOCKS5.Method] =
      credentials == nil ? [.noAuthentication] : [.noAuthentication, .usernamePassword]
    try await send(SOCKS5.Greeting(methods: offered).bytes, stream, .greet, until: deadline)
    let selection: SOCKS5.MethodSelection = try await receive(stream, .greet, input: &input, until: deadline)
    guard offered.contains(selection.method) else { throw Failure(place, .greet, .method(selection.method)) }
    guard selection.method == .usernamePassword, let credentials else { return }

    let claim = SOCKS5.UsernamePassword(username: credentials.username, password: credentials.password)
    try await send(claim.bytes, stream, .authenticate, until: deadline)
    let status: SOCKS5.UsernamePasswordStatus = try await receive(
      stream, .authenticate, input: &input, until: deadline)
    guard status == .success else { throw Failure(place, .authenticate, .credentials) }
  }

  /// Asks something of the hop. The reply may be a refusal.
  ///
  /// - Parameter phase: what a failure is told as.
  func request(
    _ command: SOCKS5.Command, _ destination: Endpoint, over stream: borrowing TCPStream,
    input: inout [UInt8], phase: Failure.Phase = .request, until deadline: Deadline
  ) async throws(Failure) -> SOCKS5.Reply {
    try await send(SOCKS5.Request(command, to: destination).bytes, stream, phase, until: deadline)
    return try await receive(stream, phase, input: &input, until: deadline)
  }

  private func send(
    _ bytes: [UInt8], _ stream: borrowing TCPStream, _ phase: Failure.Phase, until deadline: Deadline
  ) async throws(Failure) {
    do {
      try await stream.write(bytes, until: deadline)
    } catch {
      throw Failure(place, phase, .system(error))
    }
  }

  private func receive<M: Message>(
    _ stream: borrowing TCPStream, _ phase: Failure.Phase, input: inout [UInt8], until deadline: Deadline
  ) async throws(Failure) -> M where M.Violation == SOCKS5.Violation {
    do {
      return try await stream.receive(input: &input, until: deadline)
    } catch {
      throw Failure(place, phase, Failure.Cause(error))
    }
  }
}
