extension IPAddress {
  /// The IPv4 address that a packet to this IPv6 address may reach in the end; `nil` if it embeds none.
  ///
  /// IPv4-mapped and IPv4-compatible (RFC 4291 §2.5.5), NAT64 (RFC 6052 §2.1, and RFC 8215 with its usual /96),
  /// 6to4 (RFC 3056 §2), and the client behind a Teredo address (RFC 4380 §4). `::` and `::1` embed nothing.
  package var embedded4: IPAddress? {
    guard case .v6(let pair) = self, case let bits = pair.value, bits > 1 else { return nil }
    let last = UInt32(truncatingIfNeeded: bits)
    let isCompatible = bits >> 32 == 0
    let isMapped = bits >> 32 == 0xffff
    let isNAT64 = bits >> 32 == 0x64_ff9b << 64 || bits >> 80 == 0x64_ff9b_0001
    if isCompatible || isMapped || isNAT64 { return .v4(last) }
    if bits >> 112 == 0x2002 { return .v4(UInt32(truncatingIfNeeded: bits >> 80)) }
    if bits >> 96 == 0x2001_0000 { return .v4(~last) }
    return nil
  }
}
