import Config

/// A line of a proxychains.conf, taken apart at its blanks.
struct ConfLine {
  /// What C's `isspace` takes for one.
  static func isBlank(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || (0x09...0x0d).contains(byte) }

  struct Word {
    let bytes: ArraySlice<UInt8>
    let position: Position

    var text: String { String(decoding: bytes, as: UTF8.self) }
  }

  /// From 1.
  let number: Int
  /// Without the blanks around it.
  let bytes: ArraySlice<UInt8>
  let words: [Word]

  /// - Parameter line: without its line break.
  init(_ line: ArraySlice<UInt8>, number: Int) {
    self.number = number
    var words: [Word] = []
    var column = 1
    var start: (index: Int, column: Int)?
    for index in line.indices {
      if Self.isBlank(line[index]) {
        if let begun = start { words.append(Self.word(line[begun.index..<index], number, begun.column)) }
        start = nil
      } else if start == nil {
        start = (index, column)
      }
      // Columns count characters, and the octets behind the first of one are no more of them.
      if line[index] & 0xc0 != 0x80 { column += 1 }
    }
    if let start { words.append(Self.word(line[start.index...], number, start.column)) }
    self.words = words
    bytes = words.isEmpty ? [] : line[words[0].bytes.startIndex..<words[words.count - 1].bytes.endIndex]
  }

  private static func word(_ bytes: ArraySlice<UInt8>, _ line: Int, _ column: Int) -> Word {
    Word(bytes: bytes, position: Position(line: line, column: column))
  }

  var position: Position { words.first?.position ?? Position(line: number, column: 1) }

  func `is`(_ text: String) -> Bool { bytes.elementsEqual(text.utf8) }
  func begins(with text: String) -> Bool { bytes.starts(with: text.utf8) }
}

extension Collection<UInt8> {
  /// Decimal digits and nothing else, as a number within `range`.
  func decimal<Number: FixedWidthInteger>(in range: ClosedRange<Number>) -> Number? {
    guard !isEmpty, allSatisfy({ (0x30...0x39).contains($0) }),
      let number = Number(String(decoding: self, as: UTF8.self)), range.contains(number)
    else { return nil }
    return number
  }
}
