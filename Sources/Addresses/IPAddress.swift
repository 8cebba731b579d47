/// An IPv4 or IPv6 address, in host byte order.
package enum IPAddress: Hashable, Sendable {
  case v4(UInt32)
  case v6(UInt128)

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

  /// The address itself, or the IPv4 address inside `::ffff:a.b.c.d` (RFC 4291 §2.5.5.2).
  ///
  /// Every address that comes from outside passes through here before it is matched, dialled or logged:
  /// a rule for 10.0.0.0/8 must also hold for `::ffff:10.0.0.1`.
  package var unmapped: IPAddress {
    guard case .v6(let bits) = self, bits >> 32 == 0xffff else { return self }
    return .v4(UInt32(truncatingIfNeeded: bits))
  }
}

// MARK: - Special ranges

extension IPAddress {
  /// 0.0.0.0 or `::`.
  package var isUnspecified: Bool {
    switch self {
    case .v4(let bits): bits == 0
    case .v6(let bits): bits == 0
    }
  }

  /// 127.0.0.0/8 or `::1`.
  package var isLoopback: Bool {
    switch self {
    case .v4(let bits): bits >> 24 == 127
    case .v6(let bits): bits == 1
    }
  }

  /// 224.0.0.0/4 or `ff00::/8`.
  package var isMulticast: Bool {
    switch self {
    case .v4(let bits): bits >> 28 == 0xe
    case .v6(let bits): bits >> 120 == 0xff
    }
  }

  /// 255.255.255.255.
  package var isBroadcast: Bool { self == .v4(.max) }
}

// MARK: - Text

extension IPAddress {
  /// A strict dotted quad (four decimal numbers without leading zeros), or RFC 4291 §2.2 text without a zone.
  ///
  /// The loose forms of `inet_aton` (`127.1`, `0x7f.1`, `017700000001`) are not addresses here.
  package init?(_ text: some StringProtocol) {
    let bytes = Array(text.utf8)
    if let bits = Self.parseQuad(bytes[...]) {
      self = .v4(bits)
    } else if let bits = Self.parseGroups(bytes) {
      self = .v6(bits)
    } else {
      return nil
    }
  }

  private static func parseQuad(_ text: ArraySlice<UInt8>) -> UInt32? {
    guard (7...15).contains(text.count) else { return nil }
    let parts = text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    guard parts.count == 4 else { return nil }
    var bits: UInt32 = 0
    for part in parts {
      guard (1...3).contains(part.count), part.count == 1 || part.first != UInt8(ascii: "0") else { return nil }
      var value: UInt32 = 0
      for digit in part {
        guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
        value = value * 10 + UInt32(digit - UInt8(ascii: "0"))
      }
      guard value <= 255 else { return nil }
      bits = bits << 8 | value
    }
    return bits
  }

  private static func parseGroups(_ text: [UInt8]) -> UInt128? {
    guard (2...45).contains(text.count) else { return nil }
    let colon = UInt8(ascii: ":")
    guard text[0] != colon || text[1] == colon else { return nil }
    guard text[text.count - 1] != colon || text[text.count - 2] == colon else { return nil }

    let parts = text.split(separator: colon, omittingEmptySubsequences: false)
    var head: [UInt16] = []
    var tail: [UInt16]?
    for (index, part) in parts.enumerated() {
      var groups: [UInt16] = []
      if part.isEmpty {
        // "::" leaves one empty part inside, two at either end of the text.
        let atEdge = index == 0 || index == parts.count - 1
        if !atEdge {
          guard tail == nil else { return nil }
          tail = []
        }
        continue
      } else if index == parts.count - 1, part.contains(UInt8(ascii: ".")) {
        guard let quad = parseQuad(part) else { return nil }
        groups = [UInt16(quad >> 16), UInt16(truncatingIfNeeded: quad)]
      } else {
        guard part.count <= 4, let group = parseHex(part) else { return nil }
        groups = [group]
      }
      if tail == nil { head += groups } else { tail? += groups }
    }

    let count = head.count + (tail?.count ?? 0)
    guard tail == nil ? count == 8 : count <= 7 else { return nil }
    let groups = head + Array(repeating: 0, count: 8 - count) + (tail ?? [])
    return groups.reduce(0) { $0 << 16 | UInt128($1) }
  }

  private static func parseHex(_ digits: ArraySlice<UInt8>) -> UInt16? {
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
  /// Dotted quad, or RFC 5952 text.
  package var description: String {
    switch self {
    case .v4(let bits):
      return "\(bits >> 24).\(bits >> 16 & 255).\(bits >> 8 & 255).\(bits & 255)"
    case .v6(let bits):
      let groups = (0..<8).map { UInt16(truncatingIfNeeded: bits >> (112 - 16 * $0)) }
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
