import Addresses

extension SOCKS4 {
  /// What the client wants.
  ///
  ///     +----+----+---------+-------+----------+------+
  ///     | VN | CD | DSTPORT | DSTIP |  USERID  | NULL |
  ///     +----+----+---------+-------+----------+------+
  ///     | 1  | 1  |    2    |   4   | Variable |  1   |
  ///     +----+----+---------+-------+----------+------+
  ///
  /// With a DSTIP of 0.0.0.x, x not 0, SOCKS4a has a name follow, and another NULL. A command nobody knows is data:
  /// the reader answers it. An address in the name's place arrives as the address it is.
  package struct Request: Message {
    package let command: Command
    package let destination: Endpoint
    /// Whom the client says it works for: 0–255 octets of any value but 0, which prove nothing.
    package let userID: [UInt8]

    /// A request to a server, where `dialect` has words for it; a mapped address is unmapped.
    ///
    /// It has none, and the result is `nil`, for an IPv6 address; for a name, but in SOCKS4a; for 0.0.0.1 to
    /// 0.0.0.255, which would announce a name; for a user id with a NUL or of more than 255 octets.
    package init?(
      _ command: Command, to destination: Endpoint, userID: [UInt8] = [], as dialect: Dialect
    ) {
      guard userID.count <= Self.longestText, !userID.contains(0) else { return nil }
      self.command = command
      self.destination = destination.unmapped
      self.userID = userID
      let isName = destination.host.name != nil
      guard field != nil || isName && dialect == .socks4a else { return nil }
    }

    package init?(parsing input: inout ByteReader) throws(SOCKS4.Violation) {
      var rest = input
      guard let version = rest.byte() else { return nil }
      guard version == SOCKS4.version else { throw .version(version) }
      guard let command = rest.byte(), let port = rest.integer(UInt16.self),
        let field = rest.integer(UInt32.self)
      else { return nil }
      guard let userID = try rest.text(orThrow: .userIDTooLong) else { return nil }
      if Self.announcesName(field) {
        guard let name = try rest.text(orThrow: .name(.tooLong)) else { return nil }
        do throws(DomainName.Violation) {
          destination = Endpoint(try Host(nameField: name), port: port)
        } catch {
          throw .name(error)
        }
      } else {
        destination = Endpoint(.v4(field), port: port)
      }
      self.userID = Array(userID)
      self.command = Command(rawValue: command)
      input = rest
    }

    /// An address that DSTIP cannot say is written as it can only have been read: as text, in the name's place.
    package func append(to output: inout [UInt8]) {
      let field = field
      output.append(SOCKS4.version)
      output.append(command.rawValue)
      output.append(integer: destination.port)
      output.append(integer: field ?? 0x0000_0001)
      output.append(contentsOf: userID)
      output.append(0)
      if field == nil {
        output.append(contentsOf: destination.host.description.utf8)
        output.append(0)
      }
    }

    /// How many octets of a user id or a name are listened to.
    fileprivate static let longestText = 255

    /// Whether DSTIP is 0.0.0.x with x not 0. 0.0.0.0 is an address, if one that cannot be reached.
    private static func announcesName(_ field: UInt32) -> Bool { (0x01...0xff).contains(field) }

    /// The DSTIP that means the destination, if there is one.
    private var field: UInt32? {
      guard case .address(.v4(let bits)) = destination.host, !Self.announcesName(bits) else { return nil }
      return bits
    }
  }

  /// What a server understands.
  package enum Dialect: Hashable, Sendable {
    /// IPv4 addresses.
    case socks4
    /// Names too.
    case socks4a
  }

  /// CD of a request.
  package struct Command: RawRepresentable, Hashable, Sendable {
    package let rawValue: UInt8

    package init(rawValue: UInt8) {
      self.rawValue = rawValue
    }

    package static let connect = Command(rawValue: 1)
    package static let bind = Command(rawValue: 2)
  }
}

extension SOCKS4.Command: CustomStringConvertible {
  package var description: String {
    switch self {
    case .connect: "connect"
    case .bind: "bind"
    default: "command \(rawValue)"
    }
  }
}

extension ByteReader {
  /// The octets before the next NUL, read together with it; `nil` when it has not come.
  ///
  /// - Throws: `violation` as soon as it cannot come in time any more.
  fileprivate mutating func text(
    orThrow violation: SOCKS4.Violation
  ) throws(SOCKS4.Violation) -> ArraySlice<UInt8>? {
    let longest = SOCKS4.Request.longestText
    let head = remaining.prefix(longest + 1)
    guard let end = head.firstIndex(of: 0) else {
      guard head.count <= longest else { throw violation }
      return nil
    }
    let text = head[..<end]
    _ = bytes(text.count + 1)
    return text
  }
}
