import Foundation

struct SocketError: Error, CustomStringConvertible {
  let description: String
  let code: Int32

  init(_ action: String, _ code: Int32 = errno) {
    description = "\(action): \(String(cString: strerror(code)))"
    self.code = code
  }
}

/// What one read brought.
enum Received: Equatable {
  case bytes([UInt8])
  /// The peer has sent everything, and says so.
  case end
  /// The peer has thrown the connection away.
  case reset
}

/// A blocking stream socket whose every wait ends after `patience`.
final class Socket: Sendable {
  let descriptor: Int32

  init(taking descriptor: Int32) {
    self.descriptor = descriptor
    setTimeouts(patience)
  }

  /// `host:port`, `[v6]:port` or `unix:/path`; `from` is the source address to use.
  convenience init(to address: String, from source: String? = nil) throws {
    let descriptor = try withSocketAddress(address) { pointer, length in
      let descriptor = socket(
        Int32(pointer.pointee.sa_family), Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
      guard descriptor >= 0 else { throw SocketError("socket") }
      if let source {
        var one: Int32 = 1
        // IP_BIND_ADDRESS_NO_PORT: the port is chosen at connect, when the whole pair of addresses is known.
        setsockopt(descriptor, Int32(IPPROTO_IP), 24, &one, socklen_t(MemoryLayout<Int32>.size))
        let bound = try withSocketAddress("\(source):0") { bind(descriptor, $0, $1) }
        guard bound == 0 else { throw SocketError("bind to \(source)") }
      }
      guard connect(descriptor, pointer, length) == 0 else {
        let error = SocketError("connect to \(address)")
        close(descriptor)
        throw error
      }
      return descriptor
    }
    self.init(taking: descriptor)
  }

  /// Begins to connect, and does not wait for the outcome.
  convenience init(connectingTo address: String) throws {
    let descriptor = try withSocketAddress(address) { pointer, length in
      let descriptor = socket(
        Int32(pointer.pointee.sa_family),
        Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
      guard connect(descriptor, pointer, length) == 0 || errno == EINPROGRESS else {
        throw SocketError("connect to \(address)")
      }
      return descriptor
    }
    self.init(taking: descriptor)
  }

  deinit { close(descriptor) }

  func setTimeouts(_ seconds: TimeInterval) {
    var limit = timeval(tv_sec: Int(seconds), tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
  }

  func send(_ bytes: [UInt8]) throws {
    try bytes.withUnsafeBytes { buffer in
      var sent = 0
      while sent < buffer.count {
        let count = Glibc.send(
          descriptor, buffer.baseAddress?.advanced(by: sent), buffer.count - sent, Int32(MSG_NOSIGNAL))
        if count < 0, errno == EINTR { continue }
        guard count >= 0 else { throw SocketError("send") }
        sent += count
      }
    }
  }

  func send(_ bytes: UInt8...) throws { try send(bytes) }

  func send(_ text: String) throws { try send(Array(text.utf8)) }

  /// One octet out of band, as FTP's ABOR does (RFC 793, the urgent pointer).
  func sendUrgently(_ byte: UInt8) throws {
    guard withUnsafePointer(to: byte, { Glibc.send(descriptor, $0, 1, Int32(MSG_OOB)) }) == 1 else {
      throw SocketError("send out of band")
    }
  }

  func receive(upTo limit: Int = 65_536) throws -> Received {
    var failure: Int32 = 0
    let bytes = [UInt8](unsafeUninitializedCapacity: limit) { buffer, initialized in
      var count = -1
      repeat {
        count = recv(descriptor, buffer.baseAddress, limit, 0)
        failure = count < 0 ? errno : 0
      } while failure == EINTR
      initialized = max(count, 0)
    }
    switch failure {
    case 0: return bytes.isEmpty ? .end : .bytes(bytes)
    case ECONNRESET: return .reset
    case EAGAIN: throw NeverHappened(description: "the peer neither sent nor closed")
    default: throw SocketError("receive", failure)
    }
  }

  /// Whether there is a byte, an end or a reset to read, now or before that many milliseconds have passed.
  func hasSomethingToRead(within milliseconds: Int32 = 0) -> Bool {
    var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    return poll(&entry, 1, milliseconds) == 1
  }

  /// Whether the kernel would take at least a byte, now or before that many milliseconds have passed.
  func canSend(within milliseconds: Int32) -> Bool {
    var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
    return poll(&entry, 1, milliseconds) == 1
  }

  /// Whether the peer is gone in both directions.
  func hasBeenClosed(within milliseconds: Int32) -> Bool {
    var entry = pollfd(fd: descriptor, events: 0, revents: 0)
    return poll(&entry, 1, milliseconds) == 1
  }

  /// As many bytes as asked for; fewer when the stream ends before.
  func receive(exactly count: Int) throws -> [UInt8] {
    var received: [UInt8] = []
    while received.count < count {
      guard case .bytes(let more) = try receive(upTo: count - received.count) else { break }
      received += more
    }
    return received
  }

  /// Everything until the peer ends or resets the stream, and which of the two.
  func receiveToEnd() throws -> (bytes: [UInt8], closing: Received) {
    var received: [UInt8] = []
    while true {
      switch try receive() {
      case .bytes(let more): received += more
      case let closing: return (received, closing)
      }
    }
  }

  /// Each `send` leaves at once, in a segment of its own.
  func sendWithoutDelay() {
    var one: Int32 = 1
    setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
  }

  /// Ends our direction only.
  func finish() { shutdown(descriptor, Int32(SHUT_WR)) }

  /// Makes the close, which comes with the last reference, a reset.
  func resetWhenClosed() {
    var linger = linger(l_onoff: 1, l_linger: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<linger>.size))
  }

  /// Wakes whoever waits on it.
  func hangUp() { shutdown(descriptor, Int32(SHUT_RDWR)) }

  var localAddress: String { addressText(of: descriptor, getsockname) }
  var peerAddress: String { addressText(of: descriptor, getpeername) }
}

/// Reads `host:port`, `[v6]:port` or `unix:/path`; names are not resolved.
func withSocketAddress<Result>(
  _ text: String, _ body: (UnsafePointer<sockaddr>, socklen_t) throws -> Result
) throws -> Result {
  if text.hasPrefix("unix:") {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) {
      $0.copyBytes(from: text.utf8.dropFirst(5).prefix($0.count - 1))
    }
    return try withUnsafePointer(to: address) {
      try $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        try body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
  }
  guard let colon = text.lastIndex(of: ":") else { throw SocketError(text, EINVAL) }
  let host = text[..<colon].filter { $0 != "[" && $0 != "]" }
  var hints = addrinfo()
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV
  hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
  var list: UnsafeMutablePointer<addrinfo>?
  guard getaddrinfo(host, String(text[text.index(after: colon)...]), &hints, &list) == 0, let list else {
    throw SocketError(text, EINVAL)
  }
  defer { freeaddrinfo(list) }
  return try body(list.pointee.ai_addr, list.pointee.ai_addrlen)
}

private func addressText(
  of descriptor: Int32,
  _ query: (Int32, UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32
) -> String {
  withAddressText { query(descriptor, $0, $1) }.text
}

/// What `fill` returns, and as text the address that it stored; “nowhere” when it stored none.
func withAddressText<Result>(
  _ fill: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) throws -> Result
) rethrows -> (result: Result, text: String) {
  var storage = sockaddr_storage()
  var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
  return try withUnsafeMutablePointer(to: &storage) { pointer in
    try pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
      let result = try fill(address, &length)
      var host = [CChar](repeating: 0, count: 64)
      var port = [CChar](repeating: 0, count: 8)
      guard
        getnameinfo(
          address, length, &host, socklen_t(host.count), &port, socklen_t(port.count),
          NI_NUMERICHOST | NI_NUMERICSERV) == 0
      else { return (result, "nowhere") }
      let text = host.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
      let digits = port.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
      return (result, text.contains(":") ? "[\(text)]:\(digits)" : "\(text):\(digits)")
    }
  }
}
