import Addresses
import Settings

/// What a scalar must look like, said the way an error says it.
struct Form {
  /// With its article: "a duration".
  let name: String
  /// Something that has the form.
  let example: String

  init(_ name: String, _ example: String) {
    self.name = name
    self.example = example
  }

  var advice: String { "(write it like \(example))" }
}

extension TableReader {
  /// The scalar itself, or `nil` with an error for anything else.
  func scalar(_ node: Node, _ form: Form) -> Node? {
    guard !node.isBroken else { return nil }
    if node.kind == .scalar, !node.isNull { return node }
    mismatch(node, form)
    return nil
  }

  /// Reports that the value is not what stands here.
  func mismatch(_ node: Node, _ form: Form) {
    guard !node.isBroken else { return }
    switch node.kind {
    case .sequence: error(node, "expected \(form.name), not a list \(form.advice)")
    case .mapping: error(node, "expected \(form.name), not a map \(form.advice)")
    case .scalar, .alias:
      if node.isNull {
        error(node, "expected \(form.name), and there is nothing \(form.advice)")
      } else {
        error(node, "\(quoted(node)) is not \(form.name) \(form.advice)")
      }
    }
  }

  /// The value between quotes, for messages: cut to a bearable length, and never what a variable held.
  func quoted(_ node: Node) -> String {
    node.isExpanded ? "what this variable holds" : quoted(node.text)
  }

  func quoted(_ text: String) -> String {
    text.utf8.count <= 80 ? "'\(text)'" : "'\(text.prefix(77))…'"
  }

  /// The values of a list; a scalar or a map stands for a list of one.
  func list(_ node: Node, _ form: Form) -> [Node] {
    guard !node.isBroken else { return [] }
    guard node.kind == .sequence else { return [node] }
    let elements = node.elements
    if elements.isEmpty { error(node, "the list is empty: expected \(form.name) \(form.advice)") }
    return elements
  }

  /// Each value of a list, converted; `nil` if one of them could not be.
  func each<Value>(_ node: Node, _ form: Form, _ convert: (Node) -> Value?) -> [Value]? {
    let nodes = list(node, form)
    let values = nodes.compactMap(convert)
    return values.isEmpty || values.count != nodes.count ? nil : values
  }

  func text(_ node: Node, _ form: Form) -> String? {
    guard let text = scalar(node, form)?.text else { return nil }
    guard !text.isEmpty else {
      mismatch(node, form)
      return nil
    }
    return text
  }

  func integer(_ node: Node, in range: ClosedRange<Int>) -> Int? {
    let form = Form("a number from \(range.lowerBound) to \(range.upperBound)", "\(range.lowerBound)")
    guard let text = scalar(node, form)?.text else { return nil }
    guard let value = decimal(text), range.contains(value) else {
      mismatch(node, form)
      return nil
    }
    return value
  }

  func bool(_ node: Node) -> Bool? {
    let form = Form("'true' or 'false'", "true")
    switch scalar(node, form)?.text {
    case nil: return nil
    case "true": return true
    case "false": return false
    default:
      mismatch(node, form)
      return nil
    }
  }

  /// One of the words of an enumeration.
  func word<Word: CaseIterable & RawRepresentable<String>>(_ node: Node, _ type: Word.Type) -> Word? {
    let words = Word.allCases.map(\.rawValue)
    let choice = words.dropLast().map { "'\($0)'" }.joined(separator: ", ") + " or '\(words.last ?? "")'"
    let form = Form(choice, words.first ?? "")
    guard let text = scalar(node, form)?.text else { return nil }
    if let value = Word(rawValue: text) { return value }
    if let near = suggest(for: text, among: words) {
      error(node, "\(quoted(node)) is not \(choice) (did you mean '\(near)'?)")
    } else {
      mismatch(node, form)
    }
    return nil
  }

  /// A whole number with its unit, up to a year.
  func duration(_ node: Node, orZero: Bool = false) -> Duration? {
    let form = Form("a duration", "500ms, 10s, 2m or 1h")
    guard let text = scalar(node, form)?.text else { return nil }
    let digits = text.prefix { $0.isASCII && $0.isNumber }
    let milliseconds: Int? =
      switch text.dropFirst(digits.count) {
      case "ms": 1
      case "s": 1000
      case "m": 60_000
      case "h": 3_600_000
      default: nil
      }
    guard let unit = milliseconds, let count = decimal(digits) else {
      mismatch(node, form)
      return nil
    }
    let (value, overflow) = count.multipliedReportingOverflow(by: unit)
    guard !overflow, value <= 365 * 24 * 3_600_000, value > 0 || orZero else {
      error(node, "\(quoted(node)) is out of range (write \(orZero ? "0s" : "1ms") to 8760h)")
      return nil
    }
    return .milliseconds(value)
  }

  /// Decimal digits and nothing else.
  func decimal(_ text: some StringProtocol) -> Int? {
    guard !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
    return Int(text)
  }
}
