import Config
import Fuzzing

@main struct FuzzConfig {
  static func main() {
    unsafe fuzz { start, count in
      readAsTable(unsafe octets(start, count))
      return 0
    }
  }
}

/// A machine of two files and any number of variables: the real one is out of reach.
private let surroundings = Surroundings(
  file: { path throws(Surroundings.ReadFailure) in
    switch path {
    case "users": Surroundings.File(bytes: Array("alice:hunter2\n# comment\nbob:$6$short\n:\n".utf8))
    case "secret": Surroundings.File(bytes: Array("hunter2\n".utf8), isReadableByOthers: true)
    default: throw Surroundings.ReadFailure(message: "cannot be read: No such file or directory")
    }
  },
  variable: { $0.hasPrefix("UNSET") ? nil : Array("hunter2".utf8) })

private func readAsTable(_ bytes: [UInt8]) {
  let file = Surroundings.File(bytes: bytes, isReadableByOthers: bytes.count.isMultiple(of: 2))
  let result = ConfigurationLoader(surroundings).load(file, named: "table.yaml")
  let again = ConfigurationLoader(surroundings).load(file, named: "table.yaml")
  check(result.diagnostics == again.diagnostics, "the same file is judged the same")

  let hasErrors = result.diagnostics.contains { $0.severity == .error }
  check((result.configuration == nil) == hasErrors, "a table with errors, and no other, is not served")

  // Every octet that may be, or be part of, one of YAML's line breaks; and the line behind the last.
  let lineCount = bytes.count { $0 == 0x0a || $0 == 0x0d || $0 >= 0x80 } + 2
  for diagnostic in result.diagnostics {
    check(!diagnostic.message.isEmpty, "something is said")
    check(!diagnostic.description.utf8.contains { $0 < 0x20 || $0 == 0x7f }, "it is said in one line")
    guard diagnostic.file == "table.yaml", let position = diagnostic.position else { continue }
    check(position.line >= 1 && position.column >= 1, "positions count from 1")
    check(position.line <= lineCount, "positions lie in the file")
  }
}
