/// Whether two secrets of at most 255 octets are equal, found out in a time that does not tell where they
/// differ.
///
/// Both are padded to one width, their lengths folded in, and every octet is looked at. Longer ones, which
/// RFC 1929 cannot carry, are equal to nothing.
package func areEqualInConstantTime(_ one: [UInt8], _ other: [UInt8]) -> Bool {
  guard one.count <= 255, other.count <= 255 else { return false }
  var difference: UInt8 = 0
  for (own, its) in zip(padded(one), padded(other)) { difference |= own ^ its }
  return difference == 0
}

/// `octets`, zeros up to 255, and the length.
private func padded(_ octets: [UInt8]) -> [UInt8] {
  octets + repeatElement(0, count: 255 - octets.count) + [UInt8(octets.count)]
}
