import Addresses
import Transport
import Wire

/// How the load client reaches a target.
struct Road {
  /// Whom to connect to.
  let entry: SocketAddress
  /// What to ask of the SOCKS5 server there; `nil`: the entry is the target, or knows it.
  let destination: SocketAddress?

  enum Failure: Error {
    case closed
    case refused(SOCKS5.ReplyCode)
  }

  /// A tunnel, once the proxy says that it stands. What the target sent with that word is passed over.
  func open(on loop: EventLoop, until deadline: Deadline) async throws -> TCPStream {
    let stream = try await TCPStream.connect(to: entry, on: loop, until: deadline)
    guard let destination else { return stream }

    var input: [UInt8] = []
    try await stream.write(Self.greeting, until: deadline)
    _ = try await receive(SOCKS5.MethodSelection.self, from: stream, &input, until: deadline)
    let request = SOCKS5.Request(.connect, to: Endpoint(destination.address, port: destination.port))
    try await stream.write(request.bytes, until: deadline)
    let reply = try await receive(SOCKS5.Reply.self, from: stream, &input, until: deadline)
    guard reply.code == .succeeded else { throw Failure.refused(reply.code) }
    return stream
  }

  private static let greeting = SOCKS5.Greeting(methods: [.noAuthentication]).bytes

  private func receive<Answer: Message>(
    _: Answer.Type, from stream: borrowing TCPStream, _ input: inout [UInt8], until deadline: Deadline
  ) async throws -> Answer {
    while true {
      guard try await stream.read(into: &input, until: deadline) else { throw Failure.closed }
      var reader = ByteReader(input)
      guard let answer = try Answer(parsing: &reader) else { continue }
      input = Array(reader.remaining)
      return answer
    }
  }
}
