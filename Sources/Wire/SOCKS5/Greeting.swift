extension SOCKS5 {
  /// The client's first message: the methods it can authenticate with (RFC 1928 §3).
  ///
  ///     +-----+----------+----------+
  ///     | VER | NMETHODS | METHODS  |
  ///     +-----+----------+----------+
  ///     |  1  |    1     | 1 to 255 |
  ///     +-----+----------+----------+
  ///
  /// A greeting without methods parses: it offers nothing acceptable, and the answer says so.
  package struct Greeting: Message {
    package let methods: [Method]

    /// - Precondition: `methods` holds at most 255.
    package init(methods: [Method]) {
      precondition(methods.count <= 255)
      self.methods = methods
    }

    package init?(parsing input: inout ByteReader) throws(SOCKS5.Violation) {
      var rest = input
      guard let version = rest.byte() else { return nil }
      guard version == SOCKS5.version else { throw .version(version) }
      guard let count = rest.byte(), let methods = rest.bytes(Int(count)) else { return nil }
      self.init(methods: methods.map(Method.init(rawValue:)))
      input = rest
    }

    package func append(to output: inout [UInt8]) {
      output.append(SOCKS5.version)
      output.append(UInt8(methods.count))
      for method in methods { output.append(method.rawValue) }
    }
  }

  /// The server's answer to a greeting (RFC 1928 §3).
  ///
  ///     +-----+--------+
  ///     | VER | METHOD |
  ///     +-----+--------+
  ///     |  1  |   1    |
  ///     +-----+--------+
  ///
  /// That the method was offered is for the reader to check.
  package struct MethodSelection: Message {
    package let method: Method

    package init(_ method: Method) {
      self.method = method
    }

    package init?(parsing input: inout ByteReader) throws(SOCKS5.Violation) {
      var rest = input
      guard let version = rest.byte() else { return nil }
      guard version == SOCKS5.version else { throw .version(version) }
      guard let method = rest.byte() else { return nil }
      self.init(Method(rawValue: method))
      input = rest
    }

    package func append(to output: inout [UInt8]) {
      output.append(SOCKS5.version)
      output.append(method.rawValue)
    }
  }

  /// A way to authenticate, as IANA numbers them.
  package struct Method: RawRepresentable, Hashable, Sendable {
    package let rawValue: UInt8

    package init(rawValue: UInt8) {
      self.rawValue = rawValue
    }

    package static let noAuthentication = Method(rawValue: 0x00)
    package static let gssapi = Method(rawValue: 0x01)
    package static let usernamePassword = Method(rawValue: 0x02)
    /// Not a method: the server's word that it accepts none of those offered.
    package static let noneAcceptable = Method(rawValue: 0xff)
  }
}

extension SOCKS5.Method: CustomStringConvertible {
  package var description: String {
    switch self {
    case .noAuthentication: "no authentication"
    case .gssapi: "GSSAPI"
    case .usernamePassword: "username/password"
    case .noneAcceptable: "none acceptable"
    default: "method \(rawValue)"
    }
  }
}
