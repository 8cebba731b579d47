/// The text of RFC 9110 and 9112, as far as a tunnel needs it.
enum HTTP {
  static let established = "HTTP/1.1 200 Connection established\r\n\r\n"

  static func connect(to address: String, _ fields: String...) -> String {
    "CONNECT \(address) HTTP/1.1\r\nHost: \(address)\r\n" + fields.map { $0 + "\r\n" }.joined() + "\r\n"
  }

  /// A field of RFC 7617.
  static func basic(_ userAndPassword: String) throws -> String {
    let exit = try ChildProcess.run(
      try Program("base64", package: "coreutils"), ["--wrap=0"], input: userAndPassword)
    return "Proxy-Authorization: Basic \(exit.output.joined())"
  }
}

extension Socket {
  /// Everything up to the empty line, and not an octet more.
  @discardableResult
  func receiveHead() throws -> String {
    var head: [UInt8] = []
    while !head.suffix(4).elementsEqual("\r\n\r\n".utf8) {
      let byte = try receive(exactly: 1)
      guard !byte.isEmpty else { throw NeverHappened(description: "a head; there was \(head)") }
      head += byte
    }
    return String(decoding: head, as: UTF8.self)
  }

  /// Asks for a tunnel; the status that is answered.
  func requestTunnel(_ text: String) throws -> Int {
    try send(text)
    let head = try receiveHead()
    return head.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
  }
}
