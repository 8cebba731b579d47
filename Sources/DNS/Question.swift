import Addresses

/// What name servers are asked, and answers are known by.
enum Question: Hashable, Sendable {
  case addresses(of: DomainName, Family)
  case name(of: IPAddress)

  typealias Answer = Result<Finding, ResolutionFailure>

  /// CLASS IN (RFC 1035 §3.2.4).
  static let internet: UInt16 = 1

  /// QNAME, which is absolute.
  var recordName: String {
    switch self {
    case .addresses(let name, _): name.text
    case .name(let address): address.reverseName
    }
  }

  /// QTYPE: A or PTR (RFC 1035 §3.2.2), or AAAA (RFC 3596 §2.1).
  var recordType: UInt16 {
    switch self {
    case .addresses(_, .v4): 1
    case .addresses(_, .v6): 28
    case .name: 12
    }
  }

  /// QNAME as it travels, without the final zero. Its letters are lower-case already.
  var wireName: MessageReader.Name {
    var name: MessageReader.Name = []
    for label in recordName.utf8.split(separator: UInt8(ascii: ".")) {
      name.append(UInt8(label.count))
      name += label
    }
    return name
  }

  /// The message that asks this (RFC 1035 §4.1), and asks the server to ask others (RD).
  ///
  /// - Parameter isExtended: whether it says, in a record of its own (RFC 6891 §6.1.2), that the reply may have as many
  ///   octets as every path carries in one piece.
  func message(id: UInt16, isExtended: Bool = false) -> [UInt8] {
    let header = [UInt8(id >> 8), UInt8(id & 255), 0x01, 0, 0, 1, 0, 0, 0, 0, 0, isExtended ? 1 : 0]
    let extent: [UInt8] = [
      0, 0, 41, UInt8(Self.extent >> 8), UInt8(Self.extent & 255), 0, 0, 0, 0, 0, 0,
    ]
    return header + wireName + [0, UInt8(recordType >> 8), UInt8(recordType & 255), 0, UInt8(Self.internet)]
      + (isExtended ? extent : [])
  }

  /// 1,280 octets, which IPv6 never divides, without the headers of IPv6 and UDP.
  private static let extent = 1232
}

/// What was found: addresses if they were asked for, at least one; or a name.
enum Finding: Hashable, Sendable {
  case addresses([IPAddress])
  case name(DomainName)
}

extension IPAddress {
  /// Where its name is registered: octets in reverse under in-addr.arpa (RFC 1035 §3.5), or hexadecimal digits in
  /// reverse under ip6.arpa (RFC 3596 §2.5).
  var reverseName: String {
    switch self {
    case .v4(let bits):
      return "\(bits & 255).\(bits >> 8 & 255).\(bits >> 16 & 255).\(bits >> 24).in-addr.arpa"
    case .v6(let bits):
      let digits = (0..<32).map { String(bits.value >> UInt128(4 * $0) & 15, radix: 16) }
      return digits.joined(separator: ".") + ".ip6.arpa"
    }
  }
}
