import Routing
import Settings

/// Reads route table files: what they say, or everything that is wrong with them.
package struct ConfigurationLoader: Sendable {
  /// What came of a file.
  package struct Result: Sendable {
    /// `nil` when there are errors; warnings leave it usable.
    package var configuration: Configuration?
    /// In the order of the file.
    package var diagnostics: [Diagnostic]
  }

  private let surroundings: Surroundings

  /// - Parameter surroundings: where files and environment variables come from.
  package init(_ surroundings: Surroundings = .process) {
    self.surroundings = surroundings
  }

  /// What is listened on in place of the table's `listen:`.
  package enum Listening: Sendable {
    case asTheTableSays
    /// These addresses, of the command line. Nothing in the table may name a listener of the table then.
    case on([String])
    /// A free port of 127.0.0.1. Its clients are for the routes those of the table's first listener.
    case privately
  }

  /// Reads and checks the table at `path`, and runs its `tests:`.
  package func load(_ path: String, listening: Listening = .asTheTableSays) -> Result {
    do throws(Surroundings.ReadFailure) {
      return load(try surroundings.file(path), named: path, listening: listening)
    } catch {
      return Result(diagnostics: [unreadable(path, error)])
    }
  }

  /// Where the table at `path` has the running program asked things, as far as it can be read: neither its other errors
  /// nor variables and files that only the program has matter. Diagnostics say why it is not known; there are none when
  /// the table has no `control`.
  package func control(of path: String) -> (socket: String?, diagnostics: [Diagnostic]) {
    do throws(Surroundings.ReadFailure) {
      let file = try surroundings.file(path)
      let reader = TableReader(
        file: path, isReadableByOthers: file.isReadableByOthers, surroundings: surroundings)
      return reader.readControl(in: file.bytes)
    } catch {
      return (nil, [unreadable(path, error)])
    }
  }

  private func unreadable(_ path: String, _ failure: Surroundings.ReadFailure) -> Diagnostic {
    let advice = "(name a route table file that this user can read)"
    return Diagnostic(
      severity: .error, file: path, position: nil, message: "the file \(failure.message) \(advice)")
  }

  /// Reads and checks a table that is at hand.
  ///
  /// - Parameters:
  ///   - file: its content.
  ///   - name: the path that stands in diagnostics, and beside which the files lie that it names.
  ///   - listening: what is listened on in place of the table's `listen:`.
  package func load(
    _ file: Surroundings.File, named name: String, listening: Listening = .asTheTableSays
  ) -> Result {
    let reader = TableReader(
      file: name, isReadableByOthers: file.isReadableByOthers, surroundings: surroundings)
    let configuration = reader.read(file.bytes, listening: listening)
    return Result(configuration: configuration, diagnostics: reader.log.sorted(startingWith: name))
  }
}
