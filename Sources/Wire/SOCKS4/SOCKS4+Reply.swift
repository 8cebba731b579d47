import Addresses

extension SOCKS4 {
  /// How a request ended.
  ///
  ///     +----+----+---------+-------+
  ///     | VN | CD | DSTPORT | DSTIP |
  ///     +----+----+---------+-------+
  ///     | 1  | 1  |    2    |   4   |
  ///     +----+----+---------+-------+
  ///
  /// VN is 00, but some servers repeat the request's 04: both are read, and the first is written. A refusal that is read is
  /// complete with CD: behind it nothing follows.
  package struct Reply: Message {
    package let code: ReplyCode
    /// An IPv4 address. Of the replies to BIND the first says where the peer shall connect, 0.0.0.0 being the
    /// server's own address, and the second who did; in all others it means nothing.
    package let bound: SocketAddress

    /// - Parameter bound: a mapped address is unmapped; for IPv6, which the message has no room for, 0.0.0.0 is said.
    package init(_ code: ReplyCode, bound: SocketAddress = SocketAddress(.unspecified4, port: 0)) {
      self.init(code, bits: Self.bits(of: bound.address), port: bound.port)
    }

    private init(_ code: ReplyCode, bits: UInt32, port: UInt16) {
      self.code = code
      bound = SocketAddress(.v4(bits), port: port)
    }

    package init?(parsing input: inout ByteReader) throws(SOCKS4.Violation) {
      var rest = input
      guard let version = rest.byte() else { return nil }
      guard version == 0 || version == SOCKS4.version else { throw .version(version) }
      guard let code = rest.byte().map(ReplyCode.init(rawValue:)) else { return nil }
      if code == .granted {
        guard let port = rest.integer(UInt16.self), let bits = rest.integer(UInt32.self) else { return nil }
        self.init(code, bits: bits, port: port)
      } else {
        self.init(code)
      }
      input = rest
    }

    package func append(to output: inout [UInt8]) {
      output.append(0)
      output.append(code.rawValue)
      output.append(integer: bound.port)
      output.append(integer: Self.bits(of: bound.address))
    }

    private static func bits(of address: IPAddress) -> UInt32 {
      guard case .v4(let bits) = address.unmapped else { return 0 }
      return bits
    }
  }

  /// CD of a reply.
  package struct ReplyCode: RawRepresentable, Hashable, Sendable {
    package let rawValue: UInt8

    package init(rawValue: UInt8) {
      self.rawValue = rawValue
    }

    package static let granted = ReplyCode(rawValue: 90)
    package static let rejected = ReplyCode(rawValue: 91)
    /// The server could not ask the client's identd.
    package static let identUnreachable = ReplyCode(rawValue: 92)
    /// The client's identd named another user than the request did.
    package static let identMismatch = ReplyCode(rawValue: 93)
  }
}

extension SOCKS4.ReplyCode: CustomStringConvertible {
  /// The code in decimal, as the memo has it, and its meaning where there is one: `91 (rejected or failed)`.
  package var description: String {
    switch self {
    case .granted: "90 (granted)"
    case .rejected: "91 (rejected or failed)"
    case .identUnreachable: "92 (identd not reached)"
    case .identMismatch: "93 (identd names another user)"
    default: "\(rawValue)"
    }
  }
}
