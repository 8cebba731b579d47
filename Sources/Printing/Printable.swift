extension StringProtocol {
  /// The text with every character a terminal or a log could obey, rather than show, written as `\u{1b}`.
  ///
  /// Control and format characters (which turn text around), line separators and code points without a meaning;
  /// whatever came from a file or the network passes through here before it is printed.
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
    let isBare =
      !isEmpty
      && unicodeScalars.allSatisfy { $0.isPrintable && $0 != " " && $0 != "\"" && $0 != "\\" && $0 != "=" }
    return isBare ? String(self) : JSON.string(String(self)).description
  }
}

extension Unicode.Scalar {
  fileprivate var isPrintable: Bool {
    if value < 0x7f { return value >= 0x20 }
    switch properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned:
      return false
    default: return true
    }
  }
}
