import Addresses

extension SOCKS5 {
  /// How a request ended (RFC 1928 §6).
  ///
  ///     +-----+-----+-------+------+----------+----------+
  ///     | VER | REP |  RSV  | ATYP | BND.ADDR | BND.PORT |
  ///     +-----+-----+-------+------+----------+----------+
  ///     |  1  |  1  | X'00' |  1   | Variable |    2     |
  ///     +-----+-----+-------+------+----------+----------+
  ///
  /// Write it with an address: OpenBSD's netcat refuses ATYP 03, and older versions of curl hang on a short one. Only
  /// the answer to a RESOLVE_PTR is a name.
  package struct Reply: Message {
    package let code: ReplyCode
    /// 0.0.0.0:0 in a refusal that was read. 0.0.0.0 where the peer sent neither an address nor a name.
    package let bound: Endpoint

    /// - Parameter bound: for a success, the address the destination sees, or the relay listens at, or the answer of a
    ///   resolver; a mapped address is unmapped.
    package init(_ code: ReplyCode, bound: Endpoint) {
      self.code = code
      self.bound = bound.unmapped
    }

    package init(_ code: ReplyCode, bound: SocketAddress = SocketAddress(.unspecified4, port: 0)) {
      self.init(code, bound: Endpoint(bound.address, port: bound.port))
    }

    /// Reads any peer's reply.
    ///
    /// A refusal is complete with REP: some servers send no more, and behind a refusal nothing follows, so that it does not
    /// matter where it ends. A success is read to its end. A name in BND.ADDR that is no name is 0.0.0.0: the server did
    /// not tell its address.
    package init?(parsing input: inout ByteReader) throws(SOCKS5.Violation) {
      var rest = input
      guard let version = rest.byte() else { return nil }
      guard version == SOCKS5.version else { throw .version(version) }
      guard let code = rest.byte().map(ReplyCode.init(rawValue:)) else { return nil }
      if code == .succeeded {
        guard rest.byte() != nil, let field = try AddressField(parsing: &rest) else { return nil }
        self.init(code, bound: (try? field.endpoint()) ?? Endpoint(.unspecified4, port: field.port))
      } else {
        self.init(code)
      }
      input = rest
    }

    package func append(to output: inout [UInt8]) {
      output.append(SOCKS5.version)
      output.append(code.rawValue)
      output.append(0)
      bound.append(to: &output)
    }
  }
}

extension SOCKS5 {
  /// RFC 1928 §6, REP.
  package struct ReplyCode: RawRepresentable, Hashable, Sendable {
    package let rawValue: UInt8

    package init(rawValue: UInt8) {
      self.rawValue = rawValue
    }

    package static let succeeded = ReplyCode(rawValue: 0x00)
    package static let generalFailure = ReplyCode(rawValue: 0x01)
    package static let notAllowed = ReplyCode(rawValue: 0x02)
    package static let networkUnreachable = ReplyCode(rawValue: 0x03)
    package static let hostUnreachable = ReplyCode(rawValue: 0x04)
    package static let connectionRefused = ReplyCode(rawValue: 0x05)
    package static let ttlExpired = ReplyCode(rawValue: 0x06)
    package static let commandNotSupported = ReplyCode(rawValue: 0x07)
    package static let addressTypeNotSupported = ReplyCode(rawValue: 0x08)
  }
}

extension SOCKS5.ReplyCode: CustomStringConvertible {
  /// The code in hexadecimal and, where the RFC has them, its words: `05 (connection refused)`.
  package var description: String {
    let code = (rawValue < 0x10 ? "0" : "") + String(rawValue, radix: 16)
    return words.map { "\(code) (\($0))" } ?? code
  }

  private var words: String? {
    switch self {
    case .succeeded: "succeeded"
    case .generalFailure: "general SOCKS server failure"
    case .notAllowed: "connection not allowed by ruleset"
    case .networkUnreachable: "network unreachable"
    case .hostUnreachable: "host unreachable"
    case .connectionRefused: "connection refused"
    case .ttlExpired: "TTL expired"
    case .commandNotSupported: "command not supported"
    case .addressTypeNotSupported: "address type not supported"
    default: nil
    }
  }
}
