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

/// The diagnostics of one run, in the order of the file. Warnings do not take the place of errors.
package struct DiagnosticLog {
  /// More than anyone reads; a hostile file must not turn into a thousand times its size.
  static let capacity = 1000

  /// The first ones of each kind, with their place in the order of reports.
  private var errors: [(number: Int, diagnostic: Diagnostic)] = []
  private var warnings: [(number: Int, diagnostic: Diagnostic)] = []
  private var errorCount = 0
  private var warningCount = 0
  package var hasErrors: Bool { errorCount > 0 }

  package init() {}

  /// Whether a further one would not be shown: what is done for its message alone is wasted.
  package func isFull(of severity: Diagnostic.Severity) -> Bool {
    (severity == .error ? errorCount : warningCount) >= Self.capacity
  }

  package mutating func append(_ diagnostic: Diagnostic) {
    let entry = (number: errorCount + warningCount, diagnostic: diagnostic)
    let isFull = isFull(of: diagnostic.severity)
    switch diagnostic.severity {
    case .error:
      if !isFull { errors.append(entry) }
      errorCount += 1
    case .warning:
      if !isFull { warnings.append(entry) }
      warningCount += 1
    }
  }

  /// Sorted by position; those of other files, such as a `users` file, follow those of `file`. Errors come before
  /// warnings where there is no room for all. The last one says how many are not shown, as an error only if one of
  /// them is.
  package func sorted(startingWith file: String) -> [Diagnostic] {
    let start = Position(line: 0, column: 0)
    let shown = errors + warnings.prefix(Self.capacity - errors.count)
    var result = shown.sorted { one, other in
      let (first, second) = (one.diagnostic, other.diagnostic)
      if first.file != second.file {
        return first.file == file || (second.file != file && first.file < second.file)
      }
      let positions = (first.position ?? start, second.position ?? start)
      return positions.0 == positions.1 ? one.number < other.number : positions.0 < positions.1
    }.map(\.diagnostic)
    let moreErrors = errorCount - errors.count
    let more = errorCount + warningCount - shown.count
    if more > 0 {
      let what = moreErrors == 0 ? "warnings" : moreErrors == more ? "errors" : "errors and warnings"
      result.append(
        Diagnostic(
          severity: moreErrors > 0 ? .error : .warning, file: file, position: nil,
          message: "there are \(more) more \(what) (mend the first ones and run again)"))
    }
    return result
  }
}
