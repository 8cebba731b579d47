extension StringProtocol {
  /// The text with every character that a terminal or a log could obey, or that does not show, written as `\u{1b}`.
  ///
  /// These are controls, format characters (which change the direction of text, or have no width), line separators,
  /// and code points without a meaning. All text from a file or the network passes through here, or through `JSON`,
  /// which escapes the same characters.
  package var printable: String {
    guard unicodeScalars.contains(where: { !$0.isPrintable }) else { return String(self) }
    var result = ""
    for scalar in unicodeScalars {
      if scalar.isPrintable {
        result.unicodeScalars.append(scalar)
      } else {
        result += "\\u{\(String(scalar.value, radix: 16))}"
      }
    }
    return result
  }

  /// The text as the value in `key=value`: bare if that is unambiguous, else a JSON string.
  package var logValue: String {
    let isBare = !isEmpty && unicodeScalars.allSatisfy(\.isBare)
    return isBare ? String(self) : JSON.string(String(self)).description
  }
}

extension Unicode.Scalar {
  /// Whether it can stand in a value without quotes.
  fileprivate var isBare: Bool {
    switch self {
    case " ", "\"", "\\", "=": false
    // Each line of the log has some 200 of these: nothing is looked up for them.
    case "!"..."~": true
    default: isPrintable && !properties.isWhitespace
    }
  }

  /// Whether a terminal shows it, and does nothing else: what is not is escaped in text and in JSON.
  var isPrintable: Bool {
    if value < 0x7f { return value >= 0x20 }
    // Fillers and selectors, which no category tells from letters and accents.
    if properties.isDefaultIgnorableCodePoint { return false }
    switch properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned:
      return false
    default: return true
    }
  }
}
