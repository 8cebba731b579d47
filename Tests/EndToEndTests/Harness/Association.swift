import Foundation

extension SOCKS {
  /// RFC 1928 §7: RSV, FRAG, the address, and the payload.
  static func datagram(
    to address: String, _ payload: [UInt8], reserved: [UInt8] = [0, 0], fragment: UInt8 = 0
  ) -> [UInt8] {
    reserved + [fragment] + encoded(address) + payload
  }

  /// A header with a name of any content.
  static func datagram(toName name: some Collection<UInt8>, port: UInt16, _ payload: [UInt8]) -> [UInt8] {
    [0, 0, 0, 3, UInt8(name.count)] + name + bigEndian(port) + payload
  }

  /// What a datagram's header says, a name in quotation marks, and what stands behind it; `nil` for any that RFC 1928 §7
  /// does not describe.
  static func unwrap(_ bytes: [UInt8]) -> (address: String, payload: [UInt8])? {
    guard bytes.count > 4, bytes[0] == 0, bytes[1] == 0, bytes[2] == 0 else { return nil }
    let start = bytes[3] == 3 ? 5 : 4
    let length = bytes[3] == 1 ? 4 : bytes[3] == 4 ? 16 : bytes[3] == 3 ? Int(bytes[4]) : -1
    guard length >= 0, bytes.count >= start + length + 2 else { return nil }
    let field = Array(bytes[start..<start + length])
    let port = UInt16(bytes[start + length]) << 8 | UInt16(bytes[start + length + 1])
    let payload = Array(bytes[(start + length + 2)...])
    guard bytes[3] != 3 else { return ("“\(String(decoding: field, as: UTF8.self))”:\(port)", payload) }
    var text = [CChar](repeating: 0, count: 64)
    _ = field.withUnsafeBytes { inet_ntop(length == 4 ? AF_INET : AF_INET6, $0.baseAddress, &text, 64) }
    let host = text.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    return (length == 4 ? "\(host):\(port)" : "[\(host)]:\(port)", payload)
  }
}

extension Socket {
  /// Greets, without authentication or with a name and a password, and asks for an association.
  func requestAssociation(
    hint: String = "0.0.0.0:0", as user: (name: String, password: String)? = nil
  ) throws -> (code: UInt8, bound: String) {
    try send(5, 1, user == nil ? 0 : 2)
    guard try receive(exactly: 2) == [5, user == nil ? 0 : 2] else {
      throw NeverHappened(description: "the method")
    }
    if let user {
      try send(SOCKS.credentials(user.name, user.password))
      guard try receive(exactly: 2) == [1, 0] else { throw NeverHappened(description: "the right password") }
    }
    return try request(SOCKS.request(command: 3, to: hint))
  }
}

/// A UDP association as its client has it.
final class Association: Sendable {
  struct Refused: Error {
    let code: UInt8
  }

  let control: Socket
  let socket: DatagramSocket
  /// Where the server says it takes datagrams.
  let relay: String

  /// - Parameters:
  ///   - source: the client's address, for the control connection and the datagrams.
  ///   - hint: what it says of where it will send from; by default nothing.
  init(
    through proxy: String, from source: String? = nil, on socket: DatagramSocket? = nil,
    hint: String = "0.0.0.0:0", as user: (name: String, password: String)? = nil
  ) throws {
    control = try Socket(to: proxy, from: source)
    let reply = try control.requestAssociation(hint: hint, as: user)
    guard reply.code == 0 else { throw Refused(code: reply.code) }
    relay = reply.bound
    self.socket =
      try socket ?? DatagramSocket(on: relay.hasPrefix("[") ? "[::1]:0" : "\(source ?? "127.0.0.1"):0")
  }

  func send(_ payload: [UInt8], to destination: String) throws {
    try socket.send(SOCKS.datagram(to: destination, payload), to: relay)
  }

  func send(_ text: String, to destination: String) throws { try send(Array(text.utf8), to: destination) }

  /// Any bytes, without a header of ours.
  func send(raw bytes: [UInt8]) throws { try socket.send(bytes, to: relay) }

  /// The next datagram from the relay.
  func receive() throws -> Datagram {
    let received = try socket.receive()
    guard received.source == relay else { throw NeverHappened(description: "from \(relay): \(received)") }
    guard let (address, payload) = SOCKS.unwrap(received.bytes) else {
      throw NeverHappened(description: "a header: \(received)")
    }
    return Datagram(source: address, bytes: payload)
  }

  /// Sends, and expects the same back, from there and before anything else.
  func expectEcho(_ payload: [UInt8], from destination: String) throws {
    try send(payload, to: destination)
    let answer = try receive()
    guard answer == Datagram(source: destination, bytes: payload) else {
      throw NeverHappened(
        description: "\(Datagram(source: destination, bytes: payload)); there was \(answer)")
    }
  }

  func expectEcho(_ text: String, from destination: String) throws {
    try expectEcho(Array(text.utf8), from: destination)
  }

  /// Waits until nobody takes datagrams at the relay any more.
  func waitForEnd() throws { try waitForRefusal(of: relay) }
}

/// Waits until nobody takes datagrams at this address: until it could be taken.
///
/// Asking by a datagram would reach whoever is the next to get the port.
func waitForRefusal(of relay: String) throws {
  try eventually("\(relay) is still open") {
    do {
      _ = try DatagramSocket(on: relay)
      return true
    } catch let error as SocketError {
      guard error.code == EADDRINUSE else { throw error }
      return false
    }
  }
}

extension Sockeye {
  /// Ends an association and waits for what the log has to say about it.
  func closing(_ association: Association) throws -> String {
    let client = association.control.localAddress
    association.control.finish()
    return try process.line(containing: " udp client=\(client) ")
  }
}
