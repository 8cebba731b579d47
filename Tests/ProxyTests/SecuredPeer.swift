import Addresses
import Glibc
import TLS
import TLSPeer
import Testing

@testable import Transport

/// The far end of a stream with TLS; `@unchecked` holds because tasks of its loop use it, one that takes and one that
/// sends.
final class SecuredPeer: @unchecked Sendable {
  private let stream: SharedStream
  let server: TLSServer
  /// What has come, in the clear.
  private(set) var received: [UInt8] = []
  private(set) var isAtEnd = false

  init(_ stream: SharedStream, _ server: TLSServer) {
    self.stream = stream
    self.server = server
  }

  /// Agrees with the client.
  func establish() async throws {
    while !server.isEstablished {
      try await take()
      try await flush()
    }
  }

  /// Takes what the client sends next; false when the connection has ended.
  @discardableResult func take(atMost limit: Int = 65_536) async throws -> Bool {
    var input: [UInt8] = []
    isAtEnd = try await !stream.incoming.read(into: &input, atMost: limit, until: .after(patience))
    server.take(input)
    if server.isEstablished { received += server.read() }
    return !isAtEnd
  }

  /// Takes all until the client says that no more will follow, or the connection ends.
  func takeAll() async throws -> [UInt8] {
    while !server.hasEnded, try await take() {}
    return received
  }

  func write(_ bytes: [UInt8]) async throws {
    var rest = bytes[...]
    while !rest.isEmpty {
      server.write(Array(rest.prefix(30_000)))
      rest = rest.dropFirst(30_000)
      try await flush()
    }
  }

  func end() async throws {
    server.end()
    try await flush()
  }

  func updateKeys() async throws {
    server.updateKeys()
    try await flush()
  }

  /// Sends what the server has to say.
  func flush() async throws {
    let bytes = server.give()
    if !bytes.isEmpty { try await stream.write(bytes) }
  }

  /// Sends octets as they are.
  func send(_ bytes: [UInt8]) async throws {
    try await stream.write(bytes)
  }

  /// What the server has to say, octet by octet.
  func flushSlowly() async throws {
    for octet in server.give() {
      try await send([octet])
      await Task.yield()
    }
  }
}

/// A stream on its way from one owner to the next; `@unchecked` holds because one task uses it at a time.
final class StreamBox: @unchecked Sendable {
  private var stream: TCPStream?

  init(_ stream: consuming TCPStream) {
    self.stream = consume stream
  }

  func secure(with context: TLSContext, to name: String) async throws {
    try await stream?.secure(with: context, to: .name(try DomainName(name)), until: .after(patience))
  }

  func take() -> TCPStream {
    guard let stream = stream.take() else { preconditionFailure("a stream was taken twice") }
    return stream
  }
}

/// A stream that two tasks of one loop share, one that reads and one that writes; `@unchecked` holds because both run on
/// its thread.
final class SharedStream: @unchecked Sendable {
  let outgoing: TCPStream
  /// The same, known to the loop by another descriptor: no two tasks wait for one.
  let incoming: TCPStream

  init(_ stream: consuming TCPStream) throws {
    incoming = try TCPStream(
      TCPListener.Connection(rawValue: dup(stream.descriptor.rawValue), peer: nil), on: stream.loop)
    outgoing = stream
  }

  func readAll() async throws -> [UInt8] {
    var input: [UInt8] = []
    while try await incoming.read(into: &input, atMost: 65_536, until: .after(patience)) {}
    return input
  }

  func take(atLeast count: Int) async throws -> [UInt8] {
    var input: [UInt8] = []
    while input.count < count, try await incoming.read(into: &input, atMost: 65_536, until: .after(patience))
    {}
    return input
  }

  /// What still comes, and whether a reset follows it.
  func rest() async throws(Errno) -> (bytes: [UInt8], isReset: Bool) {
    var bytes: [UInt8] = []
    do throws(Errno) {
      while try await incoming.read(into: &bytes, atMost: 65_536, until: .after(patience)) {}
      return (bytes, false)
    } catch {
      guard error == .connectionReset else { throw error }
      return (bytes, true)
    }
  }

  func write(_ bytes: [UInt8]) async throws {
    try await outgoing.write(bytes, until: .after(patience))
  }

  func writeAndEnd(_ bytes: [UInt8]) async throws {
    try await write(bytes)
    _ = try? outgoing.shutdownWriting()
  }
}

extension TCPStream {
  /// Has the kernel hold little of what is on its way.
  func shrinkBuffers() {
    var size: CInt = 2048
    for option in [SO_SNDBUF, SO_RCVBUF] {
      setsockopt(descriptor.rawValue, SOL_SOCKET, option, &size, socklen_t(MemoryLayout<CInt>.size))
    }
  }
}

extension TCPStream {
  /// Has the kernel hold little of what has come, so that the sender's holds the rest.
  func holdLittle() {
    var size: CInt = 4096
    setsockopt(descriptor.rawValue, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<CInt>.size))
  }

  /// Has the kernel hold much of what is to be sent.
  func holdMuch() {
    var size: CInt = 200_000
    setsockopt(descriptor.rawValue, SOL_SOCKET, SO_SNDBUF, &size, socklen_t(MemoryLayout<CInt>.size))
  }
}

/// Two connected streams.
func withConnection<Result>(
  on loop: EventLoop, isSmall: Bool = false,
  _ body: (_ client: consuming TCPStream, _ server: consuming TCPStream) async throws -> Result
) async throws -> Result {
  let listener = try TCPListener(on: SocketAddress(.loopback4, port: 0), loop: loop)
  let address = try #require(listener.localAddress)
  let client = try await TCPStream.connect(to: address, on: loop, until: .after(patience))
  let server = try await listener.next(on: loop)
  if isSmall {
    client.shrinkBuffers()
    server.shrinkBuffers()
  }
  return try await body(client, server)
}

private let period = (0..<65_521).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ $0 >> 8) }

/// So many bytes that do not repeat in step with any buffer.
func pattern(_ count: Int) -> [UInt8] {
  var bytes: [UInt8] = []
  while bytes.count < count { bytes += period }
  return Array(bytes.prefix(count))
}
