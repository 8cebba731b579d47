import Foundation

/// What is downloaded: bytes that tell where in which stream they stand, so that none can be lost, doubled or taken from
/// another stream unseen.
struct Content: Sendable {
  /// A prime, so that a block of any even size is missed when it is lost.
  static let period = 1_000_003
  /// The most that is looked at in one go.
  static let window = 64 << 10

  private static let noise = {
    var state: UInt64 = 0x9E37_79B9_7F4A_7C15
    let bytes = (0..<period).map { _ in
      state ^= state << 13
      state ^= state >> 7
      state ^= state << 17
      return UInt8(truncatingIfNeeded: state)
    }
    return bytes + bytes.prefix(window)
  }()

  /// Which stream it is, below `period`.
  let number: Int
  let count: Int

  /// What stands from `position` on, no more than `window` bytes.
  func bytes(from position: Int) -> ArraySlice<UInt8> {
    let start = (number + position) % Self.period
    return Self.noise[start..<start + min(Self.window, count - position)]
  }
}

/// How a server gives content away.
enum Delivery: UInt64, CaseIterable {
  /// Its length goes before it.
  case counted
  /// Its end is the end of the stream.
  case untilTheEnd
  /// As `untilTheEnd`, but the server throws the stream away halfway.
  case reset
}

extension Server {
  /// Gives away `Content`, to whoever asks for it as `Download` does.
  static func content() throws -> Server {
    try Server { client in
      let request = try client.receive(exactly: Download.requestLength)
      guard request.count == Download.requestLength else { return }
      let numbers = request.withUnsafeBytes { $0.bindMemory(to: UInt64.self).map { $0 } }
      let delivery = Delivery(rawValue: numbers[2])
      let whole = Int(numbers[1])
      let content = Content(number: Int(numbers[0]), count: delivery == .reset ? whole / 2 : whole)
      if delivery == .counted { try client.send(withUnsafeBytes(of: numbers[1]) { Array($0) }) }
      var sent = 0
      while sent < content.count {
        let block = content.bytes(from: sent)
        try client.send(Array(block))
        sent += block.count
      }
      if delivery == .reset { return client.resetWhenClosed() }
      client.finish()
      _ = try client.receiveToEnd()
    }
  }
}

/// One transfer as its client sees it, which knows what it has to be.
struct Download: Sendable {
  enum Outcome: Hashable, Sendable {
    case whole
    /// The proxy's reply was no success.
    case refused(UInt8)
    /// Success, and then an end or a reset before the last byte.
    case short(isReset: Bool)
    /// The client itself had enough.
    case left
  }

  /// What must never happen.
  struct Fault: Error, CustomStringConvertible {
    let description: String
  }

  static let requestLength = 24

  let content: Content
  let delivery: Delivery
  /// The request for the content leaves together with that for the tunnel.
  var isEager = false
  /// The client goes away after as many bytes.
  var patience = Int.max

  private var request: [UInt8] {
    [UInt64(content.number), UInt64(content.count), delivery.rawValue].withUnsafeBytes { Array($0) }
  }

  /// - Throws: when it is neither whole nor failed in a way that a client sees.
  func run(through proxy: String, to target: String) throws -> Outcome {
    let socket = try Socket(to: proxy)
    try socket.send(SOCKS.noAuthentication)
    guard try socket.receive(exactly: 2) == [5, 0] else { throw Fault(description: "no method") }
    try socket.send(SOCKS.connect(to: target) + (isEager ? request : []))
    let code = try socket.receiveReply().code
    guard code == 0 else { return .refused(code) }
    do {
      if !isEager { try socket.send(request) }
    } catch let error as SocketError where [EPIPE, ECONNRESET].contains(error.code) {
      return .short(isReset: error.code == ECONNRESET)
    }
    if delivery == .counted {
      let head = try receive(8, from: socket)
      guard case .bytes(let length) = head else { return .short(isReset: head == .reset) }
      guard length == withUnsafeBytes(of: UInt64(content.count), { Array($0) }) else {
        throw Fault(description: "the length is \(length)")
      }
    }
    return try body(from: socket)
  }

  private func body(from socket: Socket) throws -> Outcome {
    var received = 0
    while received < patience {
      let next = try socket.receive(upTo: Content.window)
      guard case .bytes(let bytes) = next else {
        // Whoever knows the length knows that this is everything, however the stream ended.
        let isComplete = received == content.count && (delivery == .counted || next == .end)
        return isComplete ? .whole : .short(isReset: next == .reset)
      }
      guard bytes.count <= content.count - received else {
        throw Fault(description: "more than \(content.count) bytes")
      }
      let expected = content.bytes(from: received)
      let isRight = bytes.withUnsafeBytes { bytes in
        expected.withUnsafeBytes { memcmp(bytes.baseAddress!, $0.baseAddress!, bytes.count) == 0 }
      }
      guard isRight else {
        throw Fault(description: "other bytes behind \(received) of \(content.count)")
      }
      received += bytes.count
    }
    return .left
  }

  private func receive(_ count: Int, from socket: Socket) throws -> Received {
    var all: [UInt8] = []
    while all.count < count {
      let next = try socket.receive(upTo: count - all.count)
      guard case .bytes(let bytes) = next else { return next }
      all += bytes
    }
    return .bytes(all)
  }
}
