import Addresses
import Patterns

/// What a `host` condition compares the destination with.
package enum HostPattern: Sendable {
  /// This name or address, and no other.
  case exact(Host)
  /// Names that a pattern with `*` describes.
  case glob(Glob)
  /// Names in which an expression is found.
  case expression(RegularExpression)
}

extension HostPattern {
  /// Why a text is not a host pattern.
  package enum Violation: Error, Hashable, Sendable {
    /// Neither a name, an address, a pattern with `*`, nor an expression between slashes.
    case malformed
    /// No name can be that long.
    case tooLong
    /// A pattern such as `10.0.0.*`, which is meant for addresses: those are matched by prefix, under `ip`.
    case addressPattern
    /// An opening slash without a closing one, or nothing between the two.
    case unfinishedExpression
    /// Its offset counts from behind the opening slash.
    case expression(RegularExpression.Violation)
  }

  /// A name or an address; with `*` a pattern for names; between slashes a regular expression for names.
  package init(_ text: some StringProtocol) throws(Violation) {
    if text.hasPrefix("/") {
      guard text.utf8.count > 2, text.hasSuffix("/") else { throw .unfinishedExpression }
      do {
        self = .expression(try RegularExpression(String(text.dropFirst().dropLast())))
      } catch {
        throw .expression(error)
      }
    } else if text.contains("*") {
      self = .glob(try Self.glob(text))
    } else {
      do {
        self = .exact(try Host(nameField: Array(text.utf8)))
      } catch {
        throw error == .tooLong ? .tooLong : .malformed
      }
    }
  }

  private static func glob(_ text: some StringProtocol) throws(Violation) -> Glob {
    var pattern = text.lowercased()
    if pattern.hasSuffix(".") { pattern.removeLast() }
    let letters = UInt8(ascii: "a")...UInt8(ascii: "z")
    let digits = UInt8(ascii: "0")...UInt8(ascii: "9")
    guard
      pattern.utf8.allSatisfy({ letters.contains($0) || digits.contains($0) || "-_.*".utf8.contains($0) }),
      !pattern.hasPrefix("."), !pattern.contains("..")
    else { throw .malformed }
    guard pattern.utf8.count(where: { $0 != UInt8(ascii: "*") }) <= 253 else { throw .tooLong }

    let labels = pattern.split(separator: ".")
    func isNumber(_ label: Substring) -> Bool { label.utf8.allSatisfy(digits.contains) }
    let looksLikeQuad = labels.count == 4 && labels.contains(where: isNumber)
    if labels.last.map(isNumber) == true || looksLikeQuad && labels.allSatisfy({ isNumber($0) || $0 == "*" })
    {
      throw .addressPattern
    }
    return Glob(pattern)
  }
}

extension HostPattern.Violation: CustomStringConvertible {
  package var description: String {
    switch self {
    case .malformed: "not a host name, an address, a pattern with '*' or a /regular expression/"
    case .tooLong: "longer than a host name can be (253 octets, 63 a label)"
    case .addressPattern: "patterns match names only; write a prefix such as 10.0.0.0/8 under 'ip'"
    case .unfinishedExpression: "a regular expression stands between two slashes"
    case .expression(let violation): "\(violation.message), at offset \(violation.offset)"
    }
  }
}

extension HostPattern: CustomStringConvertible {
  /// As a table writes it.
  package var description: String {
    switch self {
    case .exact(let host): host.description
    case .glob(let glob): glob.pattern
    case .expression(let expression): "/\(expression.pattern)/"
    }
  }
}
