import Printing

/// Something wrong, or doubtful, in a route table file.
package struct Diagnostic: Hashable, Sendable {
  package enum Severity: String, Hashable, Sendable {
    /// The file cannot be used.
    case error
    /// The file can be used, but hardly means what it says.
    case warning
  }

  package var severity: Severity
  package var file: String
  /// `nil` when it concerns the file as a whole.
  package var position: Position?
  /// What is wrong and, in parentheses, what to do about it. It never holds a secret.
  package var message: String

  package init(severity: Severity, file: String, position: Position?, message: String) {
    self.severity = severity
    self.file = file
    self.position = position
    self.message = message
  }
}

/// A place in a file: line and column count from 1, columns in characters.
package struct Position: Hashable, Sendable, Comparable {
  package var line: Int
  package var column: Int

  package init(line: Int, column: Int) {
    self.line = line
    self.column = column
  }

  package static func < (one: Position, other: Position) -> Bool {
    (one.line, one.column) < (other.line, other.column)
  }
}

extension Diagnostic {
  /// `FILE:LINE:COLUMN`, or `FILE`, as written.
  package var place: String {
    position.map { "\(file):\($0.line):\($0.column)" } ?? file
  }
}

extension Diagnostic: CustomStringConvertible {
  /// As compilers print it: `FILE:LINE:COLUMN: error: MESSAGE`, safe to show on a terminal.
  package var description: String {
    "\(place): \(severity): \(message)".printable
  }
}

/// The diagnostics of one run, in the order of the file.
package struct DiagnosticLog {
  /// More than anyone reads; a hostile file must not turn into a thousand times its size.
  static let capacity = 1000

  private var kept: [Diagnostic] = []
  private var discarded = 0
  package private(set) var hasErrors = false

  package init() {}

  /// Whether there is still room: finding a suggestion is worth its time only then.
  package var isFull: Bool { kept.count >= Self.capacity }

  package mutating func append(_ diagnostic: Diagnostic) {
    hasErrors = hasErrors || diagnostic.severity == .error
    if isFull { discarded += 1 } else { kept.append(diagnostic) }
  }

  /// Sorted by position; those of other files, such as a `users` file, follow those of `file`.
  package func sorted(startingWith file: String) -> [Diagnostic] {
    let start = Position(line: 0, column: 0)
    var result = kept.enumerated().sorted { one, other in
      let (first, second) = (one.element, other.element)
      if first.file != second.file {
        return first.file == file || (second.file != file && first.file < second.file)
      }
      let positions = (first.position ?? start, second.position ?? start)
      return positions.0 == positions.1 ? one.offset < other.offset : positions.0 < positions.1
    }.map(\.element)
    if discarded > 0 {
      let message = "there are \(discarded) more errors and warnings (mend the first ones and run again)"
      result.append(Diagnostic(severity: .error, file: file, position: nil, message: message))
    }
    return result
  }
}
