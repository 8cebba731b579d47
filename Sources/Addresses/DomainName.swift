/// A host name in the one spelling that rules, resolvers and hops see: lower-case ASCII, no trailing dot.
///
/// 1–253 octets in labels of 1–63 (RFC 1035 §2.3.4): letters, digits, `-` and `_`. What only looks like a
/// name, such as `127.1` or `0x7f000001`, cannot be one: its last label would be read as a number by
/// `inet_aton`.
package struct DomainName: Hashable, Sendable {
  package let text: String

  /// Why octets are not a name.
  package enum Violation: Error, Hashable, Sendable {
    /// Empty, a forbidden octet, an empty label, or a shape that `inet_aton` reads as an address.
    case malformed
    /// More than 253 octets, or a label of more than 63: no name server can know it.
    case tooLong
  }

  /// Checks and normalizes `bytes`: ASCII letters become lower case, exactly one trailing dot is removed.
  package init(_ bytes: ArraySlice<UInt8>) throws(Violation) {
    var name: [UInt8] = []
    name.reserveCapacity(bytes.count)
    var labelStart = 0
    var isTooLong = false
    for byte in bytes {
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
        UInt8(ascii: "-"), UInt8(ascii: "_"):
        name.append(byte)
      case UInt8(ascii: "A")...UInt8(ascii: "Z"):
        name.append(byte | 0x20)
      case UInt8(ascii: "."):
        guard name.count > labelStart else { throw .malformed }
        isTooLong = isTooLong || name.count - labelStart > 63
        name.append(byte)
        labelStart = name.count
      default:
        throw .malformed
      }
    }
    if name.last == UInt8(ascii: ".") { name.removeLast() }
    guard !name.isEmpty else { throw .malformed }
    let lastLabel = name[(name.lastIndex(of: UInt8(ascii: ".")).map { $0 + 1 } ?? 0)...]
    guard !Self.looksNumeric(lastLabel) else { throw .malformed }
    guard !isTooLong, lastLabel.count <= 63, name.count <= 253 else { throw .tooLong }
    text = String(decoding: name, as: UTF8.self)
  }

  package init(_ bytes: some Collection<UInt8>) throws(Violation) {
    try self.init(Array(bytes)[...])
  }

  package init(_ text: some StringProtocol) throws(Violation) {
    try self.init(Array(text.utf8)[...])
  }

  /// All digits, or `0x` and hexadecimal digits: the WHATWG URL standard's "ends in a number".
  private static func looksNumeric(_ label: ArraySlice<UInt8>) -> Bool {
    let digits = UInt8(ascii: "0")...UInt8(ascii: "9")
    if label.allSatisfy({ digits.contains($0) }) { return true }
    guard label.starts(with: [UInt8(ascii: "0"), UInt8(ascii: "x")]) else { return false }
    return label.dropFirst(2).allSatisfy {
      digits.contains($0) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0)
    }
  }
}

extension DomainName: CustomStringConvertible {
  package var description: String { text }
}
