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
    /// Datagrams that did not come back.
    case lost
  }

  /// A tunnel, once the proxy says that it stands. What the target sent with that word is passed over.
  func open(on loop: EventLoop, until deadline: Deadline) async throws -> TCPStream {
    let stream = try await TCPStream.connect(to: entry, on: loop, until: deadline)
    guard let destination else { return stream }
    _ = try await ask(.connect, to: destination, over: stream, until: deadline)
    return stream
  }

  /// An association with the server, and a socket that only its relay reaches. Without a server, only the socket.
  func associate(on loop: EventLoop, until deadline: Deadline) async throws -> Association {
    let socket = try UDPSocket(.v4, on: loop)
    guard let destination else {
      try socket.connect(to: entry)
      return Association(control: nil, socket: socket, header: [])
    }
    let stream = try await TCPStream.connect(to: entry, on: loop, until: deadline)
    let any = SocketAddress(.unspecified4, port: 0)
    let reply = try await ask(.associate, to: any, over: stream, until: deadline)
    guard let relay = reply.bound.host.address else { throw Failure.closed }
    try socket.connect(to: SocketAddress(relay, port: reply.bound.port))
    var header: [UInt8] = []
    SOCKS5.DatagramHeader(Endpoint(destination.address, port: destination.port)).append(to: &header)
    return Association(control: stream, socket: socket, header: header)
  }

  private func ask(
    _ command: SOCKS5.Command, to destination: SocketAddress, over stream: borrowing TCPStream,
    until deadline: Deadline
  ) async throws -> SOCKS5.Reply {
    var input: [UInt8] = []
    try await stream.write(Self.greeting, until: deadline)
    _ = try await receive(SOCKS5.MethodSelection.self, from: stream, &input, until: deadline)
    let request = SOCKS5.Request(command, to: Endpoint(destination.address, port: destination.port))
    try await stream.write(request.bytes, until: deadline)
    let reply = try await receive(SOCKS5.Reply.self, from: stream, &input, until: deadline)
    guard reply.code == .succeeded else { throw Failure.refused(reply.code) }
    return reply
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

/// A way for datagrams, which lasts as long as this value. An array cannot hold sockets, which have one owner, so it is
/// a reference.
final class Association {
  private let control: TCPStream?
  let socket: UDPSocket
  /// What stands before the payload of every datagram, there and back.
  let header: [UInt8]

  init(control: consuming TCPStream?, socket: consuming UDPSocket, header: [UInt8]) {
    self.control = control
    self.socket = socket
    self.header = header
  }
}
