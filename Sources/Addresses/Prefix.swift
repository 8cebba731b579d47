/// An address range in CIDR notation (RFC 4632): the leading `length` bits are fixed.
package struct Prefix: Hashable, Sendable {
  /// The first address of the range: its host bits are zero.
  package let address: IPAddress
  /// The number of fixed bits, 0 to 32 or 128.
  package let length: Int

  /// The range of `length` bits around `address`, whose host bits are cleared.
  ///
  /// - Precondition: `length` is within 0 and the address's width.
  package init(_ address: IPAddress, length: Int) {
    precondition((0...address.bitWidth).contains(length))
    self.length = length
    switch address {
    case .v4(let bits): self.address = .v4(bits & Self.mask(length))
    case .v6(let bits): self.address = .v6(bits.value & Self.mask(length))
    }
  }

  /// The range that holds only `address`.
  package init(_ address: IPAddress) {
    self.init(address, length: address.bitWidth)
  }

  /// `10.0.0.0/8`, `fc00::/7`, or a single address. An IPv4-mapped address is unmapped.
  ///
  /// Text whose host bits are not zero, such as `10.0.0.1/8`, is refused: it is more often a slip than meant.
  package init?(_ text: some StringProtocol) {
    let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    guard let address = IPAddress(parts[0]) else { return nil }
    guard parts.count == 2 else {
      self.init(address.unmapped)
      return
    }
    // Comparing with the number's own text refuses signs and leading zeros.
    guard let length = Int(parts[1]), String(length) == parts[1], (0...address.bitWidth).contains(length)
    else { return nil }
    let isMapped = address.unmapped != address && length >= 96
    self.init(isMapped ? address.unmapped : address, length: isMapped ? length - 96 : length)
    guard self.address == (isMapped ? address.unmapped : address) else { return nil }
  }

  package func contains(_ other: IPAddress) -> Bool {
    switch (address, other) {
    case (.v4(let own), .v4(let bits)): own == bits & Self.mask(length)
    case (.v6(let own), .v6(let bits)): own.value == bits.value & Self.mask(length)
    default: false
    }
  }

  private static func mask<Bits: FixedWidthInteger>(_ length: Int) -> Bits {
    ~(length == Bits.bitWidth ? 0 : Bits.max >> length)
  }
}

extension Prefix: CustomStringConvertible {
  package var description: String { "\(address)/\(length)" }
}
