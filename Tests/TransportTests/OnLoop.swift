import Addresses
import Glibc
import Testing

@testable import Transport

/// Runs `body`, and the child tasks it starts, on a loop of its own.
func onLoop<Result: Sendable>(
  _ body: @escaping @Sendable (EventLoop) async throws -> Result
) async throws -> Result {
  let loop = try EventLoop()
  defer { loop.stop() }
  return try await on(loop) { try await body(loop) }
}

func on<Result: Sendable>(
  _ loop: EventLoop, _ body: @escaping @Sendable () async throws -> Result
) async throws -> Result {
  try await withThrowingTaskGroup { group in
    group.addTask(executorPreference: loop) { try await body() }
    guard let result = try await group.next() else { throw CancellationError() }
    return result
  }
}

/// Two connected TCP streams on `loop`.
func withConnection<Result: Sendable>(
  on loop: EventLoop,
  _ body: (_ client: consuming TCPStream, _ server: consuming TCPStream) async throws -> Result
) async throws -> Result {
  let listener = try TCPListener(on: SocketAddress(.loopback4, port: 0), loop: loop)
  let client = try await TCPStream.connect(to: try #require(listener.localAddress), on: loop, until: .never)
  let server = try TCPStream(try await listener.next(on: loop), on: loop)
  return try await body(client, server)
}

/// Two connected TCP streams on `loop`, each of which closes with its last reference.
func sharedConnection(on loop: EventLoop) async throws -> (client: SharedStream, server: SharedStream) {
  try await withConnection(on: loop) { (SharedStream($0), SharedStream($1)) }
}

extension TCPListener {
  /// Waits for the next connection.
  func next(on loop: EventLoop) async throws -> Connection {
    while true {
      if let connection = try accept() { return connection }
      _ = await loop.wait(for: interest, until: .never)
    }
  }
}

extension UDPSocket {
  func boundAddress() throws -> SocketAddress {
    let address = localAddress
    return try #require(address)
  }

  /// Waits until there is something to receive, into the loop's batch.
  func receive() async throws(Errno) -> Int {
    while true {
      let count = try loop.datagrams.receive(from: self)
      guard count == 0 else { return count }
      try await descriptor.wait(for: .readable, until: .never)
    }
  }
}

extension EventLoop {
  /// The loop's batch with these datagrams in it.
  func receive(_ datagrams: [[UInt8]]) async throws -> DatagramBatch {
    let receiver = try UDPSocket(bindingTo: SocketAddress(.loopback4, port: 0), on: self)
    let sender = try UDPSocket(.v4, on: self)
    for datagram in datagrams { try sender.send(datagram, to: receiver.localAddress) }
    try #require(try await receiver.receive() == datagrams.count)
    return self.datagrams
  }

  func receiveOne(_ datagram: [UInt8]) async throws -> DatagramBatch { try await receive([datagram]) }
}

extension TCPStream {
  func readToEnd() async throws(Errno) -> [UInt8] {
    var input: [UInt8] = []
    while try await read(into: &input, atMost: 1 << 20, until: .never) {}
    return input
  }
}

/// A stream that several tasks of one loop share; `@unchecked` holds because all of them run on its thread.
final class SharedStream: @unchecked Sendable {
  let stream: TCPStream

  init(_ stream: consuming TCPStream) {
    self.stream = stream
  }
}

/// A socket to be kept in an array; `@unchecked` holds because one task uses it.
final class SharedSocket: @unchecked Sendable {
  let socket: UDPSocket

  init(_ socket: consuming UDPSocket) {
    self.socket = socket
  }
}

/// So many bytes that do not repeat in step with any buffer.
func pattern(_ count: Int) -> [UInt8] {
  let period = (0..<65_521).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ $0 >> 8) }
  var bytes: [UInt8] = []
  while bytes.count < count { bytes += period }
  return Array(bytes.prefix(count))
}

/// An address on which nobody listens.
func freeAddress(on loop: EventLoop) throws -> SocketAddress {
  let listener = try TCPListener(on: SocketAddress(.loopback4, port: 0), loop: loop)
  return try #require(listener.localAddress)
}

/// An address to which nobody is bound.
func freePort(of address: IPAddress, on loop: EventLoop) throws -> SocketAddress {
  let socket = try UDPSocket(bindingTo: SocketAddress(address, port: 0), on: loop)
  return try socket.boundAddress()
}

/// A listener with room for one connection, so that the kernel leaves further ones unanswered.
func deafListener() throws -> (descriptor: Int32, address: SocketAddress) {
  let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
  try #require(Glibc.listen(descriptor, 0) == 0)
  var address = sockaddr_in()
  var length = socklen_t(MemoryLayout<sockaddr_in>.size)
  let result = withUnsafeMutablePointer(to: &address) {
    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
  }
  try #require(result == 0)
  return (descriptor, SocketAddress(.loopback4, port: UInt16(bigEndian: address.sin_port)))
}

/// A kernel pipe whose ends are the test's own, for waits without a protocol.
struct TestPipe: ~Copyable {
  let readEnd: PolledDescriptor
  let writeEnd: PolledDescriptor

  init(on loop: EventLoop) throws {
    var ends: [Int32] = [0, 0]
    try #require(pipe(&ends) == 0)
    let readEnd = try PolledDescriptor(FileDescriptor(owning: ends[0]), on: loop)
    let writeEnd = try PolledDescriptor(FileDescriptor(owning: ends[1]), on: loop)
    self.readEnd = readEnd
    self.writeEnd = writeEnd
  }

  func put() {
    _ = Glibc.write(writeEnd.rawValue, [1], 1)
  }

  func take() {
    var byte: UInt8 = 0
    _ = Glibc.read(readEnd.rawValue, &byte, 1)
  }

  var readable: Interest { readEnd.interest(in: .readable) }
}
