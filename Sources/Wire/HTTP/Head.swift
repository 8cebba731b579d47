extension HTTP {
  /// A start line and the field lines behind it, up to the empty line that ends them (RFC 9112 §2.1).
  ///
  /// Lines end with LF; a CR before it belongs to the end (§2.2). Empty lines before the start line are skipped (§2.2):
  /// some clients send one behind the content of the request before.
  struct Head {
    /// Without their ends. The first is the start line; there is always one.
    let lines: [ArraySlice<UInt8>]

    init?(parsing input: inout ByteReader) throws(HTTP.Violation) {
      let bytes = input.remaining
      let start = Self.start(of: bytes.prefix(HTTP.longestHead))
      guard let end = Self.end(of: bytes.prefix(HTTP.longestHead)[start...]) else {
        guard bytes.count < HTTP.longestHead else { throw .tooLong }
        return nil
      }
      _ = input.bytes(end - bytes.startIndex)
      lines = bytes[start..<end].split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        .map { $0.last == UInt8(ascii: "\r") ? $0.dropLast() : $0 }
        // Behind the last LF there is nothing, and before it the empty line.
        .dropLast(2)
    }

    /// The index of the start line.
    private static func start(of bytes: ArraySlice<UInt8>) -> Int {
      var rest = bytes
      while true {
        if rest.first == UInt8(ascii: "\n") {
          rest = rest.dropFirst()
        } else if rest.starts(with: [UInt8(ascii: "\r"), UInt8(ascii: "\n")]) {
          rest = rest.dropFirst(2)
        } else {
          return rest.startIndex
        }
      }
    }

    /// The index behind the first empty line. It is looked for again with every octet that comes, so that nothing else
    /// is done before it is there.
    private static func end(of bytes: ArraySlice<UInt8>) -> Int? {
      var lineStart = bytes.startIndex
      for index in bytes.indices where bytes[index] == UInt8(ascii: "\n") {
        let line = bytes[lineStart..<index]
        if line.isEmpty || line.count == 1 && line.first == UInt8(ascii: "\r") { return index + 1 }
        lineStart = index + 1
      }
      return nil
    }
  }
}

// MARK: - Fields

extension HTTP.Head {
  struct Field {
    let name: ArraySlice<UInt8>
    /// Without the white space around it.
    fileprivate(set) var value: [UInt8]

    /// Names are compared without regard to case (RFC 9110 §5.1); `name` is lower case.
    func isNamed(_ name: String) -> Bool { self.name.map(\.lowercased) == Array(name.utf8) }
  }

  /// The field lines read, folded ones joined by a space (RFC 9112 §5.2).
  func fields() throws(HTTP.Violation) -> [Field] {
    var fields: [Field] = []
    for line in lines.dropFirst() {
      guard line.allSatisfy(\.isText), let first = line.first else { throw .malformed }
      if first.isBlank {
        guard !fields.isEmpty else { throw .malformed }
        fields[fields.count - 1].value += [UInt8(ascii: " ")] + line.trimmingBlanks()
        continue
      }
      guard let colon = line.firstIndex(of: UInt8(ascii: ":")), colon > line.startIndex,
        line[..<colon].allSatisfy(\.isTokenOctet)
      else { throw .malformed }
      let value = Array(line[(colon + 1)...].trimmingBlanks())
      fields.append(Field(name: line[..<colon], value: value))
    }
    return fields
  }
}

// MARK: - Octets

extension ArraySlice<UInt8> {
  /// What stands between spaces and tabs, however many (RFC 9112 §3).
  var words: [ArraySlice<UInt8>] { split(whereSeparator: \.isBlank) }

  fileprivate func trimmingBlanks() -> ArraySlice<UInt8> {
    guard let first = firstIndex(where: { !$0.isBlank }), let last = lastIndex(where: { !$0.isBlank }) else {
      return []
    }
    return self[first...last]
  }
}

extension UInt8 {
  fileprivate var isBlank: Bool { self == UInt8(ascii: " ") || self == UInt8(ascii: "\t") }

  /// What may stand in a field's value: no control octet but the tab (RFC 9110 §5.5).
  fileprivate var isText: Bool { self >= 0x20 && self != 0x7f || self == UInt8(ascii: "\t") }

  /// `tchar` of RFC 9110 §5.6.2.
  var isTokenOctet: Bool {
    switch self {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"):
      true
    default: "!#$%&'*+-.^_`|~".utf8.contains(self)
    }
  }

  var digit: UInt8? {
    (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(self) ? self - UInt8(ascii: "0") : nil
  }

  var lowercased: UInt8 { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(self) ? self | 0x20 : self }
}
