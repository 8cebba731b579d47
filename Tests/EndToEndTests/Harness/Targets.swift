import Foundation

/// A web server: `/` is one line, `/bytes/N` is N bytes of `Pattern`.
final class HTTPTarget: Sendable {
  static let greeting = "hello from the target"
  private let server: Server
  /// The first line of every request.
  let requests: Recorder<String>
  /// The address each accepted connection was made to, without its port.
  private let destinations: Recorder<String>
  var localAddresses: [String] { destinations.all }

  init(on address: String = "127.0.0.1:0") throws {
    let requests = Recorder<String>()
    self.requests = requests
    let destinations = Recorder<String>()
    self.destinations = destinations
    server = try Server(on: address) { client in
      destinations.record(String(client.localAddress.prefix { $0 != ":" }))
      var head: [UInt8] = []
      while !head.reversed().starts(with: "\n\r\n\r".utf8) {
        let byte = try client.receive(exactly: 1)
        guard !byte.isEmpty else { return }
        head += byte
      }
      let line = String(decoding: head.prefix { $0 != 0x0D }, as: UTF8.self)
      requests.record(line)
      if let count = line.firstMatch(of: /\/bytes\/(\d+)/).flatMap({ Int($0.1) }) {
        try client.send("HTTP/1.0 200 OK\r\nContent-Length: \(count)\r\n\r\n")
        try Pattern.stream(count) { try client.send($0) }
      } else {
        let body = HTTPTarget.greeting + "\n"
        try client.send("HTTP/1.0 200 OK\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
      }
    }
  }

  var address: String { server.address }
  var port: UInt16 { server.port }
  var accepted: Recorder<String> { server.accepted }
  var url: String { "http://\(address)/" }
}

/// Bytes without a period that a lost or repeated block could hide in: each MiB is stamped with its number.
enum Pattern {
  private static let block = [UInt8](unsafeUninitializedCapacity: 1 << 20) { buffer, initialized in
    var state: UInt64 = 0x9E37_79B9_7F4A_7C15
    for index in 0..<(1 << 20) {
      state ^= state << 13
      state ^= state >> 7
      state ^= state << 17
      buffer[index] = UInt8(truncatingIfNeeded: state)
    }
    initialized = 1 << 20
  }

  static func stream(_ count: Int, _ send: ([UInt8]) throws -> Void) throws {
    var block = block
    var left = count
    var number: UInt64 = 0
    while left > 0 {
      withUnsafeBytes(of: number.bigEndian) { stamp in
        for (index, byte) in stamp.enumerated() { block[index] = byte }
      }
      try send(left < block.count ? Array(block.prefix(left)) : block)
      left -= min(left, block.count)
      number += 1
    }
  }
}

extension Socket {
  /// Reads to the end, which must be that of the pattern, and keeps none of it.
  func expectPattern(_ count: Int) throws {
    var pending: [UInt8] = []
    try Pattern.stream(count) { block in
      while pending.count < block.count, case .bytes(let more) = try receive(upTo: 1 << 20) {
        pending += more
      }
      guard pending.starts(with: block) else { throw NeverHappened(description: "the block that was sent") }
      pending.removeFirst(block.count)
    }
    guard pending.isEmpty, try receiveToEnd() == ([], .end) else {
      throw NeverHappened(description: "the end after \(count) bytes")
    }
  }
}

extension Server {
  /// Sends everything back; ends when the client has ended.
  static func echo(on address: String = "127.0.0.1:0") throws -> Server {
    try Server(on: address) { client in
      while case .bytes(let bytes) = try client.receive() { try client.send(bytes) }
    }
  }

  /// Says nothing until the client has ended, then how many bytes there were, as decimal text.
  static func counting() throws -> Server {
    try Server { client in try client.send("\(try client.receiveToEnd().bytes.count)") }
  }

  /// Keeps each connection open until the client ends it.
  static func silent(on address: String = "127.0.0.1:0") throws -> Server {
    try Server(on: address) { _ = try $0.receiveToEnd() }
  }
}
