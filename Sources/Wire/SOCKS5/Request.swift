import Addresses

extension SOCKS5 {
  /// What the client wants (RFC 1928 §4).
  ///
  ///     +-----+-----+-------+------+----------+----------+
  ///     | VER | CMD |  RSV  | ATYP | DST.ADDR | DST.PORT |
  ///     +-----+-----+-------+------+----------+----------+
  ///     |  1  |  1  | X'00' |  1   | Variable |    2     |
  ///     +-----+-----+-------+------+----------+----------+
  ///
  /// RSV is sent as 00 and not looked at. A command nobody knows is data: the reader answers it. An address
  /// in the name field, and an IPv4 address mapped into IPv6, arrive as the address they are.
  package struct Request: Message {
    package let command: Command
    package let destination: Endpoint

    package init(_ command: Command, to destination: Endpoint) {
      self.command = command
      self.destination = destination
    }

    package init?(parsing input: inout ByteReader) throws(SOCKS5.Violation) {
      var rest = input
      guard let version = rest.byte() else { return nil }
      guard version == SOCKS5.version else { throw .version(version) }
      guard let code = rest.byte(), rest.byte() != nil, let field = try AddressField(parsing: &rest)
      else { return nil }
      let command = Command(rawValue: code)
      // The field has been read to its end before its name is judged, so that what follows is the next message.
      do throws(DomainName.Violation) {
        self.init(command, to: try field.endpoint())
      } catch {
        // A client of this command tells no destination, but where it will send from, if it knows. PySocks, which does
        // not, writes the name "0".
        guard command == .associate else { throw .name(error) }
        self.init(command, to: Endpoint(.unspecified4, port: 0))
      }
      input = rest
    }

    package func append(to output: inout [UInt8]) {
      output.append(SOCKS5.version)
      output.append(command.rawValue)
      output.append(0)
      destination.append(to: &output)
    }
  }

  /// RFC 1928 §4, CMD, and the two that Tor added for names ("Tor's extensions to the SOCKS protocol", §2).
  package struct Command: RawRepresentable, Hashable, Sendable {
    package let rawValue: UInt8

    package init(rawValue: UInt8) {
      self.rawValue = rawValue
    }

    package static let connect = Command(rawValue: 0x01)
    package static let bind = Command(rawValue: 0x02)
    package static let associate = Command(rawValue: 0x03)
    package static let resolve = Command(rawValue: 0xf0)
    package static let resolvePTR = Command(rawValue: 0xf1)
  }
}

extension SOCKS5.Request {
  /// What a CONNECT to this destination is told without asking any route; `nil` for one that can be dialled.
  package var connectRefusal: SOCKS5.ReplyCode? {
    if let address = destination.host.address, !address.isDialable { return .notAllowed }
    return destination.port == 0 ? .generalFailure : nil
  }
}

extension SOCKS5.Command: CustomStringConvertible {
  package var description: String {
    switch self {
    case .connect: "connect"
    case .bind: "bind"
    case .associate: "udp associate"
    case .resolve: "resolve"
    case .resolvePTR: "resolve ptr"
    default: "command \(rawValue)"
    }
  }
}
