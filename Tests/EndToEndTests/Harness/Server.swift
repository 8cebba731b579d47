import Foundation

/// A listening socket of the test's own, one thread a connection.
final class Server: Sendable {
  /// Whom it has seen: the peer address of each accepted connection.
  let accepted = Recorder<String>()
  let address: String
  private let listener: Socket
  private let live = Live()

  /// The connections being served, so that the end of the server is theirs too.
  private final class Live: Sendable {
    private let sockets = Locked<[ObjectIdentifier: Socket]?>([:])

    func add(_ socket: Socket) {
      let open = sockets.withLock { sockets in
        sockets?[ObjectIdentifier(socket)] = socket
        return sockets != nil
      }
      if !open { socket.hangUp() }
    }

    func remove(_ socket: Socket) {
      sockets.withLock { _ = $0?.removeValue(forKey: ObjectIdentifier(socket)) }
    }

    var all: [Socket] { sockets.withLock { $0.map { Array($0.values) } ?? [] } }

    func end() {
      let last = sockets.withLock { sockets in
        defer { sockets = nil }
        return sockets ?? [:]
      }
      for socket in last.values { socket.hangUp() }
    }
  }

  init(on address: String = "127.0.0.1:0", serve: @escaping @Sendable (Socket) throws -> Void) throws {
    listener = Socket(taking: try listen(on: address))
    listener.setTimeouts(0)
    self.address = listener.localAddress
    Thread.detachNewThread { [listener, live, accepted] in
      while true {
        let (descriptor, peer) = GNU.accept(listener.descriptor)
        guard descriptor >= 0 else {
          if errno == EINTR || errno == ECONNABORTED { continue }
          return
        }
        let client = Socket(taking: descriptor)
        live.add(client)
        accepted.record(peer)
        Thread.detachNewThread {
          // The client went away, or said what the script did not expect: the test sees that at its own end.
          try? serve(client)
          live.remove(client)
        }
      }
    }
  }

  /// Loses all that comes for the connections it has now: a filter of one instruction, which passes no octet of any
  /// packet (socket(7), SO_ATTACH_FILTER).
  func dropPackets() throws {
    let passNothing: [UInt8] = [6, 0, 0, 0, 0, 0, 0, 0]
    try passNothing.withUnsafeBufferPointer { instructions in
      var filter = (count: UInt16(1), instructions: instructions.baseAddress)
      let size = socklen_t(MemoryLayout.size(ofValue: filter))
      for socket in live.all {
        guard setsockopt(socket.descriptor, SOL_SOCKET, SO_ATTACH_FILTER, &filter, size) == 0 else {
          throw SocketError("setsockopt")
        }
      }
    }
  }

  deinit {
    listener.hangUp()
    live.end()
  }

  var port: UInt16 { portNumber(of: address) }
}

/// The number behind the last colon.
func portNumber(of address: String) -> UInt16 {
  address.lastIndex(of: ":").flatMap { UInt16(address[address.index(after: $0)...]) } ?? 0
}

func listen(on address: String, backlog: Int32 = 4096) throws -> Int32 {
  try withSocketAddress(address) { pointer, length in
    let descriptor = socket(
      Int32(pointer.pointee.sa_family), Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    var one: Int32 = 1
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, socklen_t(MemoryLayout<Int32>.size))
    guard bind(descriptor, pointer, length) == 0, Glibc.listen(descriptor, backlog) == 0 else {
      let error = SocketError("listen on \(address)")
      close(descriptor)
      throw error
    }
    return descriptor
  }
}

/// Ports for programs that must be told theirs. They lie below the range the kernel hands out, so nobody gets one
/// by chance between the test and the program.
enum FreePort {
  private static let next = Locked(UInt16(10_000 + getpid() % 20_000))

  /// The first of `count` in a row that are free for UDP.
  static func takeDatagramPorts(_ count: UInt16) throws -> UInt16 {
    while true {
      let first = next.withLock { next in
        next = next >= 32_000 ? 10_000 : next + count
        return next - count + 1
      }
      if (try? (first..<first + count).map { try DatagramSocket(on: "127.0.0.1:\($0)") }) != nil {
        return first
      }
    }
  }

  static func take() -> UInt16 {
    next.withLock { next in
      while true {
        next = next >= 32_000 ? 10_000 : next + 1
        if let descriptor = try? listen(on: "127.0.0.1:\(next)") {
          close(descriptor)
          return next
        }
      }
    }
  }
}

/// A port on which nothing listens, and will not as long as the value lives.
final class DeadPort: Sendable {
  let address: String
  private let holder: Socket

  init(on host: String = "127.0.0.1") throws {
    // Bound but not listening: connections are refused, and nobody else can take it.
    let descriptor = try withSocketAddress("\(host):0") { pointer, length in
      let descriptor = socket(
        Int32(pointer.pointee.sa_family), Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
      guard bind(descriptor, pointer, length) == 0 else { throw SocketError("bind") }
      return descriptor
    }
    holder = Socket(taking: descriptor)
    address = holder.localAddress
  }
}

/// A listener whose queue is full: whoever connects hears nothing, neither yes nor no.
final class FullListener: Sendable {
  let address: String
  private let sockets: [Socket]

  init(on host: String = "127.0.0.1") throws {
    let listener = Socket(taking: try listen(on: "\(host):\(FreePort.take())", backlog: 0))
    let address = listener.localAddress
    // With a backlog of 0 one connection is queued; the next are never answered.
    sockets = try [listener] + (0..<4).map { _ in try Socket(connectingTo: address) }
    self.address = address
  }
}
