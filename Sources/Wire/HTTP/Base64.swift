/// RFC 4648 §4.
enum Base64 {
  private static let alphabet = Array(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
  private static let values: [UInt8: UInt32] = Dictionary(
    uniqueKeysWithValues: zip(alphabet, 0...))

  static func encode(_ bytes: [UInt8]) -> [UInt8] {
    var output: [UInt8] = []
    for start in stride(from: 0, to: bytes.count, by: 3) {
      let group = bytes[start..<min(start + 3, bytes.count)]
      let bits = (0..<3).reduce(UInt32(0)) { $0 << 8 | ($1 < group.count ? UInt32(group[start + $1]) : 0) }
      for index in 0..<4 {
        let digit = alphabet[Int(bits >> (18 - 6 * UInt32(index)) & 0x3f)]
        output.append(index <= group.count ? digit : UInt8(ascii: "="))
      }
    }
    return output
  }

  /// `nil` for what is no encoding of anything. The padding may be missing.
  static func decode(_ text: ArraySlice<UInt8>) -> [UInt8]? {
    let end = text.lastIndex { $0 != UInt8(ascii: "=") }.map { $0 + 1 } ?? text.startIndex
    let padding = text.endIndex - end
    let digits = text[..<end]
    guard padding == 0 || padding <= 2 && text.count.isMultiple(of: 4), digits.count % 4 != 1 else {
      return nil
    }
    var output: [UInt8] = []
    var bits: UInt32 = 0
    var count = 0
    for digit in digits {
      guard let value = values[digit] else { return nil }
      bits = bits << 6 | value
      count += 6
      guard count >= 8 else { continue }
      count -= 8
      output.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
    }
    return output
  }
}
