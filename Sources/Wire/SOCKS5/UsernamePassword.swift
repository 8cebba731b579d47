extension SOCKS5 {
  /// A client's name and password (RFC 1929 §2).
  ///
  ///     +-----+------+----------+------+----------+
  ///     | VER | ULEN |  UNAME   | PLEN |  PASSWD  |
  ///     +-----+------+----------+------+----------+
  ///     |  1  |  1   | 1 to 255 |  1   | 1 to 255 |
  ///     +-----+------+----------+------+----------+
  ///
  /// VER is 01. Both are octets of any value, not text. Empty ones parse, since some clients send them;
  /// whether they match is for the reader to say. However it is printed, the password does not show.
  package struct UsernamePassword: Message {
    /// The VER octet of both messages of this sub-negotiation.
    static let version: UInt8 = 1

    package let username: [UInt8]
    package let password: [UInt8]

    /// - Precondition: both are at most 255 octets long.
    package init(username: [UInt8], password: [UInt8]) {
      precondition(username.count <= 255 && password.count <= 255)
      self.username = username
      self.password = password
    }

    package init?(parsing input: inout ByteReader) throws(SOCKS5.Violation) {
      var rest = input
      guard let version = rest.byte() else { return nil }
      guard version == Self.version else { throw .version(version) }
      guard let usernameCount = rest.byte(), let username = rest.bytes(Int(usernameCount)),
        let passwordCount = rest.byte(), let password = rest.bytes(Int(passwordCount))
      else { return nil }
      self.init(username: Array(username), password: Array(password))
      input = rest
    }

    package func append(to output: inout [UInt8]) {
      output.append(Self.version)
      output.append(UInt8(username.count))
      output.append(contentsOf: username)
      output.append(UInt8(password.count))
      output.append(contentsOf: password)
    }
  }

  /// The server's answer to a name and password (RFC 1929 §2).
  ///
  ///     +-----+--------+
  ///     | VER | STATUS |
  ///     +-----+--------+
  ///     |  1  |   1    |
  ///     +-----+--------+
  ///
  /// VER is sent as 01 and not looked at: some servers repeat the 05 of the other messages, and STATUS says the same. Every
  /// status but 00 is a refusal, after which the connection is closed.
  package struct UsernamePasswordStatus: Message {
    package let rawValue: UInt8

    package init(rawValue: UInt8) {
      self.rawValue = rawValue
    }

    package static let success = UsernamePasswordStatus(rawValue: 0)
    package static let failure = UsernamePasswordStatus(rawValue: 1)

    package init?(parsing input: inout ByteReader) throws(SOCKS5.Violation) {
      var rest = input
      guard rest.byte() != nil, let status = rest.byte() else { return nil }
      self.init(rawValue: status)
      input = rest
    }

    package func append(to output: inout [UInt8]) {
      output.append(UsernamePassword.version)
      output.append(rawValue)
    }
  }
}

extension SOCKS5.UsernamePassword: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  package var description: String { "user \(String(decoding: username, as: UTF8.self).debugDescription)" }
  package var debugDescription: String { description }
  package var customMirror: Mirror { Mirror(self, children: ["username": description]) }
}
