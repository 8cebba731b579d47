import Printing

/// What the running program can be asked: one line.
enum ControlRequest: Equatable {
  case status(json: Bool)
  case reload
  /// - upstreams: by their names; none: all that are isolated.
  case rotate(_ upstreams: [String])

  /// - Parameter line: without its line break.
  init?(_ line: String) {
    switch line {
    case "status": self = .status(json: false)
    case "status --json": self = .status(json: true)
    case "reload": self = .reload
    default:
      let words = line.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
      guard words.first == "rotate", !words.contains("") else { return nil }
      self = .rotate(Array(words.dropFirst()))
    }
  }

  var line: String {
    switch self {
    case .status(json: false): "status"
    case .status(json: true): "status --json"
    case .reload: "reload"
    case .rotate(let names): (["rotate"] + names).joined(separator: " ")
    }
  }
}

/// What it answers: what is to be printed, and how it went. The program that is asked says all of it, so that the one that
/// asks may be of another version.
///
/// Each line is a word, a space and a text; the last one is `exit` and the status. Without that it is no whole answer.
/// An empty line means nothing: one is sent as soon as the request was understood.
struct ControlAnswer: Equatable {
  enum Kind: String {
    case output
    /// Output that heads what follows.
    case heading
    /// Output that somebody should look at.
    case alarm
    /// For standard error.
    case error
  }

  struct Line: Equatable {
    var kind: Kind
    var text: String

    init(_ kind: Kind, _ text: String) {
      self.kind = kind
      self.text = text
    }
  }

  var lines: [Line]
  var status: ExitStatus

  init(_ lines: [Line], _ status: ExitStatus = .done) {
    self.lines = lines
    self.status = status
  }

  init(error: String) {
    self.init([Line(.error, "sockeye: \(error)")], .failed)
  }

  /// `nil` for what is no whole answer.
  init?(parsing bytes: [UInt8]) {
    guard bytes.last == UInt8(ascii: "\n") else { return nil }
    var texts = bytes.split(separator: UInt8(ascii: "\n")).map { String(decoding: $0, as: UTF8.self) }
    guard let end = texts.popLast(), end.hasPrefix("exit "),
      let status = Int32(end.dropFirst("exit ".count)).flatMap(ExitStatus.init)
    else { return nil }
    var lines: [Line] = []
    for text in texts {
      let parts = text.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
      guard parts.count == 2, let kind = Kind(rawValue: String(parts[0])) else { return nil }
      lines.append(Line(kind, parts[1].printable))
    }
    self.init(lines, status)
  }

  var bytes: [UInt8] {
    let text = lines.map { "\($0.kind.rawValue) \($0.text.printable)\n" }.joined()
    return Array("\(text)exit \(status.rawValue)\n".utf8)
  }
}
