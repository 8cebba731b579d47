/// An IPv4 or IPv6 address, in host byte order.
package enum IPAddress: Hashable, Sendable {
  case v4(UInt32)
  case v6(IPv6Bits)

  package static func v6(_ bits: UInt128) -> IPAddress { .v6(IPv6Bits(bits)) }

  package static let loopback4 = IPAddress.v4(0x7f00_0001)
  package static let loopback6 = IPAddress.v6(1)
  package static let unspecified4 = IPAddress.v4(0)
  package static let unspecified6 = IPAddress.v6(0)

  /// Its width in bits: 32 or 128.
  package var bitWidth: Int {
    switch self {
    case .v4: 32
    case .v6: 128
    }
  }

  package var family: Family {
    switch self {
    case .v4: .v4
    case .v6: .v6
    }
  }

  /// The address itself, or the IPv4 address inside `::ffff:a.b.c.d` (RFC 4291 §2.5.5.2).
  ///
  /// Every address that comes from outside passes through here before it is matched, dialled or logged:
  /// a rule for 10.0.0.0/8 must also hold for `::ffff:10.0.0.1`.
  package var unmapped: IPAddress {
    guard case .v6(let bits) = self, bits.value >> 32 == 0xffff else { return self }
    return .v4(UInt32(truncatingIfNeeded: bits.value))
  }
}

/// The two kinds of address: names are asked for each separately (A and AAAA records), and a socket has one of them.
package enum Family: Hashable, Sendable, CaseIterable {
  case v4
  case v6
}

/// The 128 bits of an IPv6 address, in two halves.
///
/// Not one `UInt128`, whose alignment is 16: Swift 6.3 misplaces such values in the frames of asynchronous functions
/// that pass arguments on the stack, and the program dies of it. To be undone when the compiler is mended.
package struct IPv6Bits: Hashable, Sendable {
  private let high: UInt64
  private let low: UInt64

  package init(_ value: UInt128) {
    high = UInt64(truncatingIfNeeded: value >> 64)
    low = UInt64(truncatingIfNeeded: value)
  }

  package var value: UInt128 { UInt128(high) << 64 | UInt128(low) }
}

// MARK: - Special ranges

extension IPAddress {
  /// 0.0.0.0 or `::`.
  package var isUnspecified: Bool {
    switch self {
    case .v4(let bits): bits == 0
    case .v6(let bits): bits.value == 0
    }
  }

  /// 127.0.0.0/8 or `::1`.
  package var isLoopback: Bool {
    switch self {
    case .v4(let bits): bits >> 24 == 127
    case .v6(let bits): bits.value == 1
    }
  }

  /// For use inside one network: RFC 1918, RFC 6598 (shared), RFC 4193 (unique local), and link-local addresses.
  package var isPrivate: Bool {
    switch self {
    case .v4(let bits):
      bits >> 24 == 10 || bits >> 20 == 0xac1 || bits >> 16 == 0xc0a8 || bits >> 22 == 0x6440 >> 6
        || bits >> 16 == 0xa9fe
    case .v6(let bits):
      bits.value >> 121 == 0xfc >> 1 || bits.value >> 118 == 0xfe80 >> 6
    }
  }

  /// 224.0.0.0/4 or `ff00::/8`.
  package var isMulticast: Bool {
    switch self {
    case .v4(let bits): bits >> 28 == 0xe
    case .v6(let bits): bits.value >> 120 == 0xff
    }
  }

  /// 255.255.255.255.
  package var isBroadcast: Bool { self == .v4(.max) }

  /// Whether it can be the address of one host. A connection to the unspecified address reaches this host itself, and no
  /// host answers TCP at a broadcast or multicast address.
  package var isDialable: Bool { !isUnspecified && !isBroadcast && !isMulticast }
}

// MARK: - Text

extension IPAddress {
  /// A strict dotted quad (four decimal numbers without leading zeros), or RFC 4291 §2.2 text without a zone.
  ///
  /// The loose forms of `inet_aton` (`127.1`, `0x7f.1`, `017700000001`) are not addresses here.
  package init?(_ text: some StringProtocol) {
    self.init(ascii: Array(text.utf8)[...])
  }

  /// The same for text as it came from the wire.
  package init?(ascii text: ArraySlice<UInt8>) {
    if let bits = Self.parseQuad(text) {
      self = .v4(bits)
    } else if let bits = Self.parseGroups(text) {
      self = .v6(bits)
    } else {
      return nil
    }
  }

  private static func parseQuad(_ text: ArraySlice<UInt8>) -> UInt32? {
    guard (7...15).contains(text.count) else { return nil }
    var bits: UInt32 = 0
    var number: UInt32 = 0
    var digits = 0
    var dots = 0
    for octet in text {
      switch octet {
      case UInt8(ascii: "0")...UInt8(ascii: "9"):
        let hasLeadingZero = digits > 0 && number == 0
        guard !hasLeadingZero else { return nil }
        number = number * 10 + UInt32(octet - UInt8(ascii: "0"))
        guard number <= 255 else { return nil }
        digits += 1
      case UInt8(ascii: "."):
        guard digits > 0, dots < 3 else { return nil }
        bits = bits << 8 | number
        (number, digits) = (0, 0)
        dots += 1
      default:
        return nil
      }
    }
    guard dots == 3, digits > 0 else { return nil }
    return bits << 8 | number
  }

  private static func parseGroups(_ text: ArraySlice<UInt8>) -> UInt128? {
    guard (2...45).contains(text.count) else { return nil }
    let colon = UInt8(ascii: ":")
    var rest = text
    var bits: UInt128 = 0
    var count = 0
    // The number of groups before "::".
    var gap: Int?
    if rest.starts(with: [colon, colon]) {
      gap = 0
      rest = rest.dropFirst(2)
    }
    while !rest.isEmpty {
      let part = rest.prefix { $0 != colon }
      rest = rest.dropFirst(part.count)
      if rest.isEmpty, let quad = parseQuad(part) {
        bits = bits << 32 | UInt128(quad)
        count += 2
        break
      }
      guard let group = parseHex(part) else { return nil }
      bits = bits << 16 | UInt128(group)
      count += 1
      guard rest.popFirst() != nil else { break }
      if rest.first == colon {
        guard gap == nil else { return nil }
        gap = count
        rest = rest.dropFirst()
      } else if rest.isEmpty {
        return nil
      }
    }
    guard let gap else { return count == 8 ? bits : nil }
    guard count <= 7 else { return nil }
    let behind = 16 * (count - gap)
    let low = bits & ((1 << behind) - 1)
    return (bits >> behind) << (128 - 16 * gap) | low
  }

  /// One to four digits.
  private static func parseHex(_ digits: ArraySlice<UInt8>) -> UInt16? {
    guard (1...4).contains(digits.count) else { return nil }
    var value: UInt16 = 0
    for digit in digits {
      switch digit {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): value = value << 4 | UInt16(digit - UInt8(ascii: "0"))
      case UInt8(ascii: "a")...UInt8(ascii: "f"): value = value << 4 | UInt16(digit - UInt8(ascii: "a") + 10)
      case UInt8(ascii: "A")...UInt8(ascii: "F"): value = value << 4 | UInt16(digit - UInt8(ascii: "A") + 10)
      default: return nil
      }
    }
    return value
  }
}

extension IPAddress: CustomStringConvertible {
  /// Dotted quad, or RFC 5952 text. A mapped address keeps its quad, as §5 recommends.
  package var description: String {
    switch self {
    case .v4(let bits):
      return "\(bits >> 24).\(bits >> 16 & 255).\(bits >> 8 & 255).\(bits & 255)"
    case .v6(let bits) where unmapped != self:
      return "::ffff:\(IPAddress.v4(UInt32(truncatingIfNeeded: bits.value)))"
    case .v6(let bits):
      let groups = (0..<8).map { UInt16(truncatingIfNeeded: bits.value >> (112 - 16 * $0)) }
      let zeros = Self.longestRunOfZeros(in: groups)
      func text(_ range: Range<Int>) -> String {
        groups[range].map { String($0, radix: 16) }.joined(separator: ":")
      }
      guard zeros.count > 1 else { return text(0..<8) }
      return text(0..<zeros.lowerBound) + "::" + text(zeros.upperBound..<8)
    }
  }

  private static func longestRunOfZeros(in groups: [UInt16]) -> Range<Int> {
    var longest = 0..<0
    var start = 0
    for index in 0...groups.count where index == groups.count || groups[index] != 0 {
      if index - start > longest.count { longest = start..<index }
      start = index + 1
    }
    return longest
  }
}
