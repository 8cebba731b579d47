import CYAML

/// libyaml's parser over bytes that outlive it, one event at a time.
///
/// The parser lives on the heap, since libyaml keeps a pointer to it inside itself.
///
/// `@safe` holds because the parser cannot be copied and is freed in `deinit` only, each event is deleted once and after its
/// last use, and the caller of `init`, which is unsafe, keeps the bytes where they are.
@safe struct YAMLParser: ~Copyable {
  enum Event {
    case documentStart
    case documentEnd
    case streamEnd
    case sequenceStart
    case mappingStart
    case collectionEnd
    /// Its octets are the last `count` of the text. Where it is between quotes, `quoted` says from which character of
    /// the file to which.
    case scalar(count: Int, isPlain: Bool, quoted: Range<Int>?)
    case alias(String)
  }

  /// An event and what belongs to its node.
  struct Item {
    var event: Event
    var position: Position
    var anchor: String?
    var hasTag = false
  }

  /// The text is not YAML.
  struct Violation: Error {
    var position: Position
    /// libyaml's words.
    var problem: String
  }

  private let parser: UnsafeMutablePointer<yaml_parser_t>

  /// `nil` when memory ran out.
  ///
  /// - Parameter bytes: UTF-8 without a byte order mark; they stay where they are for the parser's life.
  init?(_ bytes: UnsafeBufferPointer<UInt8>) {
    unsafe parser = .allocate(capacity: 1)
    guard unsafe yaml_parser_initialize(parser) == 1 else {
      unsafe parser.deallocate()
      return nil
    }
    unsafe yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING)
    unsafe yaml_parser_set_input_string(parser, bytes.baseAddress, bytes.count)
  }

  deinit {
    unsafe yaml_parser_delete(parser)
    unsafe parser.deallocate()
  }

  /// How many characters of the file have been read.
  var index: Int { unsafe Int(clamping: parser.pointee.mark.index) }

  /// The next event; the octets of a scalar are appended to `text`.
  mutating func next(appendingTo text: inout [UInt8]) throws(Violation) -> Item {
    while true {
      var event = unsafe yaml_event_t()
      guard unsafe yaml_parser_parse(parser, &event) == 1 else { throw violation }
      defer { unsafe yaml_event_delete(&event) }
      let position = unsafe Position(event.start_mark)

      switch unsafe event.type {
      case YAML_DOCUMENT_START_EVENT: return Item(event: .documentStart, position: position)
      case YAML_DOCUMENT_END_EVENT: return Item(event: .documentEnd, position: position)
      case YAML_STREAM_END_EVENT: return Item(event: .streamEnd, position: position)
      case YAML_SEQUENCE_END_EVENT, YAML_MAPPING_END_EVENT:
        return Item(event: .collectionEnd, position: position)
      case YAML_ALIAS_EVENT:
        return unsafe Item(event: .alias(String(event.data.alias.anchor) ?? ""), position: position)
      case YAML_SEQUENCE_START_EVENT:
        let start = unsafe event.data.sequence_start
        return unsafe Item(
          event: .sequenceStart, position: position, anchor: String(start.anchor), hasTag: start.tag != nil)
      case YAML_MAPPING_START_EVENT:
        let start = unsafe event.data.mapping_start
        return unsafe Item(
          event: .mappingStart, position: position, anchor: String(start.anchor), hasTag: start.tag != nil)
      case YAML_SCALAR_EVENT:
        let scalar = unsafe event.data.scalar
        unsafe text.append(contentsOf: UnsafeBufferPointer(start: scalar.value, count: scalar.length))
        let isQuoted = unsafe [YAML_SINGLE_QUOTED_SCALAR_STYLE, YAML_DOUBLE_QUOTED_SCALAR_STYLE].contains(
          scalar.style)
        let range = unsafe Int(event.start_mark.index)..<Int(event.end_mark.index)
        return unsafe Item(
          event: .scalar(
            count: scalar.length, isPlain: scalar.style == YAML_PLAIN_SCALAR_STYLE,
            quoted: isQuoted ? range : nil),
          position: position, anchor: String(scalar.anchor), hasTag: scalar.tag != nil)
      default: continue  // The start of the stream, which says nothing.
      }
    }
  }

  private var violation: Violation {
    let state = unsafe parser.pointee
    let problem = unsafe state.problem.map { unsafe String(cString: $0) } ?? "out of memory"
    // What was never closed is better looked for where it was opened than where the file ends.
    let isUnclosed =
      problem == "found unexpected end of stream" || problem.hasPrefix("did not find expected ','")
    return unsafe Violation(
      position: Position(isUnclosed ? state.context_mark : state.problem_mark), problem: problem)
  }
}

extension Position {
  fileprivate init(_ mark: yaml_mark_t) {
    // A file has at most 64 MiB.
    self.init(line: Int(mark.line) + 1, column: Int(mark.column) + 1)
  }
}

extension String {
  /// The text of an anchor; `nil` for none.
  fileprivate init?(_ anchor: UnsafeMutablePointer<yaml_char_t>?) {
    guard let anchor = unsafe anchor else { return nil }
    unsafe self.init(cString: anchor)
  }
}
