/// A YAML document as one flat array: a tree of a million scalars is two allocations.
///
/// A record is followed by its children, theirs first; a mapping's children are key, value, key, value.
final class Document: Sendable {
  struct Record {
    enum Kind: UInt8 {
      case scalar
      case sequence
      case mapping
      case alias
    }

    var kind: Kind
    /// Of a scalar, that it was written without quotes: `null` is nothing, and `"null"` a word.
    var isPlain = false
    /// That an environment variable stands in it: its text is not to be printed.
    var isExpanded = false
    /// That it was reported already: whoever reads it says no more.
    var isBroken = false
    var line: UInt32
    var column: UInt32
    /// A scalar's first octet in `text`, an alias's target in `records`.
    var start: UInt32 = 0
    /// A scalar's length in octets; of a collection, the records of its subtree with its own.
    var count: UInt32 = 0
  }

  let records: [Record]
  let text: [UInt8]

  init(records: [Record], text: [UInt8]) {
    self.records = records
    self.text = text
  }

  /// The record behind the subtree of `index`.
  func end(of index: Int) -> Int {
    switch records[index].kind {
    case .scalar, .alias: index + 1
    case .sequence, .mapping: index + Int(records[index].count)
    }
  }

  /// `nil` for an empty document.
  var root: Node? { records.isEmpty ? nil : Node(in: self, at: 0) }
}

/// One value of a document; an alias reads as what it stands for, from where it stands.
struct Node {
  private let document: Document
  private let index: Int
  let position: Position

  init(in document: Document, at index: Int) {
    let record = document.records[index]
    self.document = document
    self.index = record.kind == .alias ? Int(record.start) : index
    position = Position(line: Int(record.line), column: Int(record.column))
  }

  private var record: Document.Record { document.records[index] }

  var kind: Document.Record.Kind { record.kind }
  var isExpanded: Bool { record.isExpanded }
  var isBroken: Bool { record.isBroken }

  /// The octets of a scalar, valid UTF-8.
  var bytes: ArraySlice<UInt8> {
    let record = record
    guard record.kind == .scalar else { return [] }
    return document.text[Int(record.start)..<Int(record.start + record.count)]
  }

  var text: String { String(decoding: bytes, as: UTF8.self) }

  /// Whether nothing was written, in one of YAML's ways.
  var isNull: Bool {
    guard kind == .scalar, record.isPlain else { return false }
    return record.count == 0 || ["~", "null", "Null", "NULL"].contains(text)
  }

  /// The values of a sequence.
  var elements: [Node] {
    guard kind == .sequence else { return [] }
    return children
  }

  /// The entries of a mapping, in the order of the file. No two keys are equal.
  var entries: [(key: Node, value: Node)] {
    guard kind == .mapping else { return [] }
    let children = children
    return stride(from: 0, to: children.count - 1, by: 2).map { (children[$0], children[$0 + 1]) }
  }

  private var children: [Node] {
    var result: [Node] = []
    var child = index + 1
    let end = document.end(of: index)
    while child < end {
      result.append(Node(in: document, at: child))
      child = document.end(of: child)
    }
    return result
  }
}
