/// What must hold before a YAML parser sees a file: UTF-8, no control characters, no tabs in the indentation.
///
/// libyaml would stop at the first of these, count it in octets, and spend time on `%TAG` lines that grows with
/// the square of their number; here all are found in one pass, with their lines and columns.
struct Scan {
  /// A character that libyaml takes for the end of a line, and hardly an editor does.
  struct Separator {
    /// Which character of the file it is, from 0, a byte order mark not counted.
    let index: Int
    let position: Position
    /// U+0085, U+2028 or U+2029.
    let scalar: Unicode.Scalar

    var code: String { Scan.code(scalar) }
    /// As it is written between double quotes.
    var escape: String {
      let digits = String(scalar.value, radix: 16)
      return "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
    }
  }

  private(set) var findings: [(position: Position, message: String)] = []
  /// In the order of the file, no more than `findings` may have.
  private(set) var separators: [Separator] = []
  /// Where the text starts: behind a byte order mark.
  private(set) var start = 0

  /// U+FEFF in UTF-8.
  static let byteOrderMark: [UInt8] = [0xef, 0xbb, 0xbf]

  init(_ bytes: [UInt8], limit: Int) {
    if bytes.starts(with: Self.byteOrderMark) { start = Self.byteOrderMark.count }
    var position = Position(line: 1, column: 1)
    var isIndentation = true
    var tab: Position?
    var index = start
    var character = 0

    while index < bytes.count, findings.count < limit {
      let byte = bytes[index]
      let length = Self.lengthOfScalar(in: bytes, at: index)
      switch byte {
      case UInt8(ascii: "\n"):
        position = Position(line: position.line + 1, column: 0)
        isIndentation = true
        tab = nil
      case UInt8(ascii: "\r"):
        if index + 1 < bytes.count, bytes[index + 1] == UInt8(ascii: "\n") { break }
        position = Position(line: position.line + 1, column: 0)
        isIndentation = true
        tab = nil
      case UInt8(ascii: " "): break
      case UInt8(ascii: "\t"):
        if isIndentation { tab = tab ?? position }
      case UInt8(ascii: "%") where position.column == 1 || separators.last?.index == character - 1:
        findings.append((position, "YAML directives are not supported (remove this line)"))
        isIndentation = false
      case 0..<0x20, 0x7f:
        let code = Self.code(Unicode.Scalar(byte))
        findings.append((position, "there is a control character here, \(code) (remove it)"))
      case 0x80... where length == 0:
        findings.append((position, "this is not UTF-8 (save the file as UTF-8)"))
        return
      case 0xc2, 0xe2, 0xef:
        let scalar = Self.scalar(in: bytes, at: index, length: length)
        switch scalar {
        case "\u{85}", "\u{2028}", "\u{2029}":
          guard separators.count < limit else { break }
          separators.append(Separator(index: character, position: position, scalar: scalar))
        case "\u{80}"..."\u{9f}":
          findings.append((position, "there is a control character here, \(Self.code(scalar)) (remove it)"))
        case "\u{feff}":
          findings.append(
            (position, "there is a byte order mark here, behind the start of the file (remove it)"))
        case "\u{fffe}", "\u{ffff}":
          findings.append((position, "there is no character here, but \(Self.code(scalar)) (remove it)"))
        default: break
        }
        fallthrough
      default:
        if isIndentation {
          if let tab, byte != UInt8(ascii: "#") {
            findings.append((tab, "a tab cannot indent (use spaces)"))
          }
          isIndentation = false
        }
      }
      position.column += 1
      character += 1
      index += max(1, length)
    }
  }

  /// `U+0085`.
  private static func code(_ scalar: Unicode.Scalar) -> String {
    let digits = String(scalar.value, radix: 16, uppercase: true)
    return "U+" + String(repeating: "0", count: max(0, 4 - digits.count)) + digits
  }

  /// The scalar of a well-formed sequence of two or three octets.
  private static func scalar(in bytes: [UInt8], at index: Int, length: Int) -> Unicode.Scalar {
    // U+FFFD stands for what cannot be: the sequence was found well-formed.
    String(decoding: bytes[index..<(index + length)], as: UTF8.self).unicodeScalars.first ?? "\u{fffd}"
  }

  /// The octets of the well-formed UTF-8 sequence at `index` (Unicode, table 3-7); 0 if there is none.
  private static func lengthOfScalar(in bytes: [UInt8], at index: Int) -> Int {
    let lead = bytes[index]
    if lead < 0x80 { return 1 }
    let second: ClosedRange<UInt8>
    let length: Int
    switch lead {
    case 0xc2...0xdf: (length, second) = (2, 0x80...0xbf)
    case 0xe0: (length, second) = (3, 0xa0...0xbf)
    case 0xed: (length, second) = (3, 0x80...0x9f)
    case 0xe1...0xef: (length, second) = (3, 0x80...0xbf)
    case 0xf0: (length, second) = (4, 0x90...0xbf)
    case 0xf1...0xf3: (length, second) = (4, 0x80...0xbf)
    case 0xf4: (length, second) = (4, 0x80...0x8f)
    default: return 0
    }
    guard index + length <= bytes.count, second.contains(bytes[index + 1]) else { return 0 }
    return bytes[(index + 2)..<(index + length)].allSatisfy { (0x80...0xbf).contains($0) } ? length : 0
  }
}
