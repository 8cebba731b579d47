/// The bytes of SOCKS4 and SOCKS4a, as their memos draw them.
enum SOCKS4 {
  static let granted: UInt8 = 90
  static let rejected: UInt8 = 91

  /// Every failure is these eight bytes.
  static let rejection: [UInt8] = [0, 91, 0, 0, 0, 0, 0, 0]

  /// A request for an IPv4 address, or in SOCKS4a for any other text as a name.
  static func request(_ command: UInt8 = 1, to address: String, userID: String = "") -> [UInt8] {
    let host = address.prefix { $0 != ":" }
    let octets = host.split(separator: ".").compactMap { UInt8($0) }
    let isAddress = octets.count == 4
    return [4, command] + SOCKS.bigEndian(portNumber(of: address)) + (isAddress ? octets : [0, 0, 0, 1])
      + Array(userID.utf8) + [0] + (isAddress ? [] : Array(host.utf8) + [0])
  }
}

extension Socket {
  /// Asks in SOCKS4: the reply's code, and the address in it.
  func requestSOCKS4(_ bytes: [UInt8]) throws -> (code: UInt8, bound: String) {
    try send(bytes)
    return try receiveSOCKS4Reply()
  }

  func receiveSOCKS4Reply() throws -> (code: UInt8, bound: String) {
    let reply = try receive(exactly: 8)
    guard reply.count == 8, reply[0] == 0 else {
      throw NeverHappened(description: "a reply; there was \(reply)")
    }
    let host = reply[4...].map(String.init).joined(separator: ".")
    return (reply[1], "\(host):\(UInt16(reply[2]) << 8 | UInt16(reply[3]))")
  }

  /// As the server of the conversation: reads a request, and tells user id and destination, a name in quotation marks.
  @discardableResult
  func receiveSOCKS4Request() throws -> (command: UInt8, userID: String, destination: String) {
    let head = try receive(exactly: 8)
    guard head.count == 8, head[0] == 4 else {
      throw NeverHappened(description: "a request; there was \(head)")
    }
    let port = UInt16(head[2]) << 8 | UInt16(head[3])
    let userID = try receiveToNUL()
    if head[4..<7] == [0, 0, 0], head[7] != 0 { return (head[1], userID, "“\(try receiveToNUL())”:\(port)") }
    return (head[1], userID, head[4...].map(String.init).joined(separator: ".") + ":\(port)")
  }

  private func receiveToNUL() throws -> String {
    var text: [UInt8] = []
    while let octet = try receive(exactly: 1).first, octet != 0 { text.append(octet) }
    return String(decoding: text, as: UTF8.self)
  }
}
