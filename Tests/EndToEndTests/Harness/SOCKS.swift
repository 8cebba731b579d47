import Foundation

/// The bytes of RFC 1928 and 1929, written down a second time: the program is tested against the text, not
/// against its own parser.
enum SOCKS {
  static let noAuthentication: [UInt8] = [5, 1, 0]

  static func connect(to address: String) -> [UInt8] {
    request(command: 1, to: address)
  }

  static func request(command: UInt8, to address: String) -> [UInt8] {
    [5, command, 0] + encoded(address)
  }

  /// A request with a name field of any content.
  static func connect(toName name: some Collection<UInt8>, port: UInt16) -> [UInt8] {
    [5, 1, 0, 3, UInt8(name.count)] + name + bigEndian(port)
  }

  static func credentials(_ user: String, _ password: String) -> [UInt8] {
    credentials(Array(user.utf8), Array(password.utf8))
  }

  static func credentials(_ user: [UInt8], _ password: [UInt8]) -> [UInt8] {
    [1, UInt8(user.count)] + user + [UInt8(password.count)] + password
  }

  /// Every failure is these ten bytes.
  static func failure(_ code: UInt8) -> [UInt8] { [5, code, 0, 1, 0, 0, 0, 0, 0, 0] }

  static func bigEndian(_ port: UInt16) -> [UInt8] { [UInt8(port >> 8), UInt8(port & 0xFF)] }

  /// Address type, address and port.
  static func encoded(_ address: String) -> [UInt8] {
    guard let colon = address.lastIndex(of: ":") else { return [] }
    let host = address[..<colon].filter { $0 != "[" && $0 != "]" }
    return encoded(host: host) + bigEndian(portNumber(of: address))
  }

  private static func encoded(host: String) -> [UInt8] {
    var v4 = in_addr()
    if inet_pton(AF_INET, host, &v4) == 1 { return [1] + withUnsafeBytes(of: v4) { Array($0) } }
    var v6 = in6_addr()
    if inet_pton(AF_INET6, host, &v6) == 1 { return [4] + withUnsafeBytes(of: v6) { Array($0) } }
    return [3, UInt8(host.utf8.count)] + Array(host.utf8)
  }
}

extension Socket {
  /// Greets without authentication and asks for a connection; the reply's code, and what it is bound to.
  @discardableResult
  func requestConnect(to address: String) throws -> (code: UInt8, bound: String) {
    try send(SOCKS.noAuthentication)
    guard try receive(exactly: 2) == [5, 0] else { throw NeverHappened(description: "method 00") }
    return try request(SOCKS.connect(to: address))
  }

  func request(_ bytes: [UInt8]) throws -> (code: UInt8, bound: String) {
    try send(bytes)
    return try receiveReply()
  }

  func receiveReply() throws -> (code: UInt8, bound: String) {
    let head = try receive(exactly: 4)
    guard head.count == 4, head[0] == 5, head[2] == 0, head[3] == 1 || head[3] == 4 else {
      throw NeverHappened(description: "a reply; there was \(head)")
    }
    let address = try receive(exactly: head[3] == 1 ? 4 : 16)
    let port = try receive(exactly: 2)
    var text = [CChar](repeating: 0, count: 64)
    _ = address.withUnsafeBytes { inet_ntop(head[3] == 1 ? AF_INET : AF_INET6, $0.baseAddress, &text, 64) }
    let host = text.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    let number = UInt16(port[0]) << 8 | UInt16(port[1])
    return (head[1], head[3] == 1 ? "\(host):\(number)" : "[\(host)]:\(number)")
  }

  /// As the server of the conversation: reads a greeting, chooses no authentication, reads the request.
  @discardableResult
  func acceptRequest() throws -> String {
    try receiveGreeting()
    try send(5, 0)
    return try receiveRequest()
  }

  @discardableResult
  func receiveGreeting() throws -> [UInt8] {
    let head = try receive(exactly: 2)
    guard head.count == 2 else { throw NeverHappened(description: "a greeting") }
    return try receive(exactly: Int(head[1]))
  }

  @discardableResult
  func receiveCredentials() throws -> (user: [UInt8], password: [UInt8]) {
    let head = try receive(exactly: 2)
    guard head.count == 2 else { throw NeverHappened(description: "credentials") }
    let user = try receive(exactly: Int(head[1]))
    let length = try receive(exactly: 1)
    return (user, try receive(exactly: Int(length.first ?? 0)))
  }

  /// The destination of a request, a name in quotation marks.
  @discardableResult
  func receiveRequest() throws -> String { try receiveCommand().destination }

  func receiveCommand() throws -> (code: UInt8, destination: String) {
    let head = try receive(exactly: 4)
    guard head.count == 4 else { throw NeverHappened(description: "a request") }
    let host: String
    switch head[3] {
    case 3:
      let length = try receive(exactly: 1)
      host = "“" + String(decoding: try receive(exactly: Int(length.first ?? 0)), as: UTF8.self) + "”"
    case 1:
      host = try receive(exactly: 4).map(String.init).joined(separator: ".")
    default:
      host = try receive(exactly: 16).map { String($0, radix: 16) }.joined(separator: " ")
    }
    let port = try receive(exactly: 2)
    guard port.count == 2 else { throw NeverHappened(description: "a port") }
    return (head[1], "\(host):\(UInt16(port[0]) << 8 | UInt16(port[1]))")
  }
}
