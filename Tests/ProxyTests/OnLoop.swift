import Addresses
import Testing
import Transport

/// No test waits that long for what will happen.
let patience = Duration.seconds(300)

/// Runs `body`, and the child tasks it starts, on a loop of its own.
func onLoop<Result: Sendable>(
  _ body: @escaping @Sendable (EventLoop) async throws -> Result
) async throws -> Result {
  let loop = try EventLoop()
  defer { loop.stop() }
  return try await withThrowingTaskGroup { group in
    group.addTask(executorPreference: loop) { try await body(loop) }
    guard let result = try await group.next() else { throw CancellationError() }
    return result
  }
}

extension TCPListener {
  /// Waits for the next connection.
  func next(on loop: EventLoop) async throws -> TCPStream {
    while true {
      if let connection = try accept() { return try TCPStream(connection, on: loop) }
      guard case .ready = await loop.wait(for: interest, until: .after(patience)) else {
        throw Errno.timedOut
      }
    }
  }
}

/// A bound UDP socket of a test's own; `@unchecked` holds because tasks of its loop use it.
final class Peer: @unchecked Sendable {
  struct Datagram: Hashable {
    let bytes: [UInt8]
    let source: SocketAddress
  }

  let address: SocketAddress
  private let socket: UDPSocket
  private var received: [Datagram] = []

  init(_ address: IPAddress = .loopback4, on loop: EventLoop) throws {
    let socket = try UDPSocket(bindingTo: SocketAddress(address, port: 0), on: loop)
    let bound = socket.localAddress
    self.address = try #require(bound)
    self.socket = consume socket
  }

  func send(_ bytes: [UInt8], to address: SocketAddress) throws {
    try socket.send(bytes, to: address)
  }

  /// The next datagram.
  func receive() async throws -> Datagram {
    while received.isEmpty {
      let batch = socket.loop.datagrams
      let count = try batch.receive(from: socket)
      received = (0..<count).map { Datagram(bytes: batch.copy(of: $0), source: batch.source(of: $0)) }
      if count == 0 { try await socket.descriptor.wait(for: .readable, until: .after(patience)) }
    }
    return received.removeFirst()
  }
}
