/// Builds a `Document` from the events of a YAML file, and refuses what a route table has no use for.
struct Composer {
  /// Bounds that no honest table meets; the depth also bounds every recursion over a document.
  enum Bound {
    static let depth = 64
    /// Counted with aliases expanded, wherever they are: the document itself has no more.
    static let values = 4_000_000
    static let text = 128 << 20
  }

  private struct Anchor {
    var index: Int
    var values: Int
    var depth: Int
  }

  private struct OpenCollection {
    var index: Int
    var isMapping: Bool
    var anchor: String?
    var children = 0
    var values = 1
    /// Of the deepest subtree; a collection of scalars has 1.
    var depth = 1
    /// Of a mapping: whether a key comes next.
    var expectsKey: Bool { isMapping && children % 2 == 0 }
  }

  private var records: [Document.Record] = []
  private var text: [UInt8] = []
  private var open: [OpenCollection] = []
  /// `nil` while the anchored collection is still open.
  private var anchors: [String: Anchor?] = [:]
  /// All values so far, aliases expanded. An anchor has no more, so that one addition stays far below overflow.
  private var values = 0
  /// Line separators that may still turn out to be in quotes, in the order of the file.
  private var separators: ArraySlice<Scan.Separator>
  private let environment: (String) -> [UInt8]?
  private let report: (Position, String) -> Void

  /// - Parameters:
  ///   - separators: the line separators of the file, an error outside quotes.
  ///   - environment: the value of a variable; `nil` when it is unset.
  ///   - report: takes each error that leaves the rest of the file readable.
  init(
    separators: [Scan.Separator] = [], environment: @escaping (String) -> [UInt8]?,
    report: @escaping (Position, String) -> Void
  ) {
    self.separators = separators[...]
    self.environment = environment
    self.report = report
  }

  /// The document in `bytes`, which `Scan` found clean; throws where reading cannot go on.
  mutating func compose(_ bytes: ArraySlice<UInt8>) throws(YAMLParser.Violation) -> Document {
    // A typed error does not pass through the closure that lends the bytes.
    let result: Result<Void, YAMLParser.Violation> = unsafe bytes.withUnsafeBufferPointer { buffer in
      do throws(YAMLParser.Violation) {
        guard var parser = unsafe YAMLParser(buffer) else {
          throw YAMLParser.Violation(position: Position(line: 1, column: 1), problem: "out of memory")
        }
        defer { refuseSeparators(before: parser.index) }
        return .success(try read(&parser))
      } catch {
        return .failure(error)
      }
    }
    try result.get()
    return Document(records: records, text: text)
  }

  private mutating func read(_ parser: inout YAMLParser) throws(YAMLParser.Violation) {
    var hasDocument = false
    while true {
      let item = try parser.next(appendingTo: &text)
      switch item.event {
      case .streamEnd: return
      case .documentEnd: continue
      case .documentStart:
        if hasDocument {
          report(item.position, "a second document starts here (put every table in a file of its own)")
          return
        }
        hasDocument = true
        continue
      case .collectionEnd: close()
      case .sequenceStart, .mappingStart, .scalar, .alias: try append(item)
      }
      guard values <= Bound.values else {
        throw YAMLParser.Violation(
          position: item.position, problem: "there are more than \(Bound.values) values, aliases expanded")
      }
      guard text.count <= Bound.text else { throw Self.tooMuchText(item.position) }
    }
  }

  /// libyaml ends a line, and so a remark, at these characters; most editors show no line there. What follows would be
  /// read as configuration that nobody sees.
  private mutating func refuseSeparators(before index: Int) {
    while let separator = separators.first, separator.index < index {
      separators.removeFirst()
      report(
        separator.position,
        "there is a line separator here, \(separator.code), which ends a line that looks like one (remove it,"
          + " or write \(separator.escape) between double quotes)")
    }
  }

  private mutating func append(_ item: YAMLParser.Item) throws(YAMLParser.Violation) {
    let isKey = open.last?.expectsKey ?? false
    let index = records.count
    var record = Document.Record(
      kind: .scalar, line: UInt32(clamping: item.position.line),
      column: UInt32(clamping: item.position.column))
    if item.hasTag {
      report(item.position, "YAML tags are not supported (remove the word that starts with '!')")
      record.isBroken = true
    }

    switch item.event {
    case .scalar(let count, let isPlain, let quoted):
      if let quoted {
        refuseSeparators(before: quoted.lowerBound)
        separators = separators.drop { quoted.contains($0.index) }
      }
      record.isPlain = isPlain
      record.start = UInt32(clamping: text.count - count)
      if isKey {
        if isPlain, text.suffix(count).elementsEqual("<<".utf8) {
          report(item.position, "merge keys are not supported (write the keys out)")
          record.isBroken = true
        }
      } else if text.suffix(count).contains(UInt8(ascii: "$")) {
        try expand(last: count, into: &record)
      }
      record.count = UInt32(clamping: text.count - Int(record.start))
      add(record, values: 1, depth: 0)
      if let name = item.anchor { anchors[name] = Anchor(index: index, values: 1, depth: 0) }
    case .alias(let name):
      record.kind = .alias
      if isKey { report(item.position, "a key must be a word, not an alias (write it out)") }
      if let anchor = anchors[name] ?? nil {
        record.start = UInt32(clamping: anchor.index)
        guard open.count + anchor.depth <= Bound.depth else { throw Self.tooDeep(item.position) }
        add(record, values: anchor.values, depth: anchor.depth)
      } else {
        let isOpen = anchors[name] != nil
        report(
          item.position,
          isOpen
            ? "the alias '*\(name)' stands inside what it refers to (write the value out)"
            : "there is no anchor '&\(name)' before this (write the value out)")
        record.kind = .scalar
        record.isBroken = true
        add(record, values: 1, depth: 0)
      }
    case .sequenceStart, .mappingStart:
      if isKey { report(item.position, "a key must be a word, not a list or a map") }
      guard open.count < Bound.depth else { throw Self.tooDeep(item.position) }
      let isMapping = if case .mappingStart = item.event { true } else { false }
      record.kind = isMapping ? .mapping : .sequence
      record.isBroken = record.isBroken || isKey
      values += 1
      records.append(record)
      open.append(OpenCollection(index: index, isMapping: isMapping, anchor: item.anchor))
      if let name = item.anchor { anchors[name] = .some(nil) }
    case .documentStart, .documentEnd, .streamEnd, .collectionEnd: break
    }
  }

  private static func tooDeep(_ position: Position) -> YAMLParser.Violation {
    YAMLParser.Violation(position: position, problem: "values are nested more than \(Bound.depth) deep")
  }

  private static func tooMuchText(_ position: Position) -> YAMLParser.Violation {
    YAMLParser.Violation(position: position, problem: "there are more than 128 MiB of values")
  }

  private mutating func add(_ record: Document.Record, values: Int, depth: Int) {
    self.values += values
    records.append(record)
    count(values: values, depth: depth)
  }

  /// Tells the innermost open collection of a child.
  private mutating func count(values: Int, depth: Int) {
    guard !open.isEmpty else { return }
    open[open.count - 1].children += 1
    open[open.count - 1].values += values
    open[open.count - 1].depth = max(open[open.count - 1].depth, depth + 1)
  }

  private mutating func close() {
    guard let collection = open.popLast() else { return }
    records[collection.index].count = UInt32(clamping: records.count - collection.index)
    if let name = collection.anchor {
      anchors[name] = Anchor(index: collection.index, values: collection.values, depth: collection.depth)
    }
    if collection.isMapping { refuseDuplicates(in: collection.index) }
    count(values: collection.values, depth: collection.depth)
  }

  /// Of two equal keys, YAML readers keep the first or the last as they please: neither is what was meant.
  private func refuseDuplicates(in mapping: Int) {
    var first: [ArraySlice<UInt8>: UInt32] = [:]
    var index = mapping + 1
    while index < records.count {
      let key = records[index]
      if key.kind == .scalar, !key.isBroken {
        let name = text[Int(key.start)..<Int(key.start + key.count)]
        if let line = first[name] {
          report(
            Position(line: Int(key.line), column: Int(key.column)),
            "the key '\(String(decoding: name.prefix(80), as: UTF8.self))' stands here a second time,"
              + " first in line \(line) (remove one)")
        } else {
          first[name] = key.line
        }
      }
      index = end(of: end(of: index))
    }
  }

  private func end(of index: Int) -> Int {
    guard index < records.count else { return index }
    switch records[index].kind {
    case .scalar, .alias: return index + 1
    case .sequence, .mapping: return index + Int(records[index].count)
    }
  }
}

// MARK: - ${NAME}

extension Composer {
  /// Replaces `${NAME}` and `$$` in the last `count` octets of the text; another `$` stays what it is, as in `$6$…`.
  private mutating func expand(
    last count: Int, into record: inout Document.Record
  ) throws(YAMLParser.Violation) {
    let source = Array(text.suffix(count))
    let dollar = UInt8(ascii: "$")
    text.removeLast(count)
    let position = Position(line: Int(record.line), column: Int(record.column))

    var rest = source[...]
    while let index = rest.firstIndex(of: dollar) {
      text += rest[..<index]
      rest = rest[(index + 1)...]
      if rest.first == dollar {
        text.append(dollar)
        rest.removeFirst()
      } else if rest.first == UInt8(ascii: "{") {
        guard let close = rest.firstIndex(of: UInt8(ascii: "}")) else {
          report(position, "'${' has no closing brace (write ${NAME}, or $$ for a dollar)")
          record.isBroken = true
          break
        }
        let name = String(decoding: rest[(index + 2)..<close], as: UTF8.self)
        rest = rest[(close + 1)...]
        if !Self.isVariableName(name) {
          report(position, "'${\(name)}' is not a variable's name (write ${NAME}, or $$ for a dollar)")
          record.isBroken = true
        } else if let value = environment(name) {
          // A value may name a long variable many times.
          guard text.count + value.count <= Bound.text else { throw Self.tooMuchText(position) }
          text += value
          record.isPlain = false
          record.isExpanded = true
        } else {
          report(position, "the environment variable '\(name)' is not set (set it, or write $$ for a dollar)")
          record.isBroken = true
        }
      } else {
        text.append(dollar)
      }
    }
    text += rest
  }

  private static func isVariableName(_ name: String) -> Bool {
    guard let first = name.utf8.first, !(0x30...0x39).contains(first) else { return false }
    return name.utf8.allSatisfy {
      (0x30...0x39).contains($0) || (0x41...0x5a).contains($0) || (0x61...0x7a).contains($0) || $0 == 0x5f
    }
  }
}
