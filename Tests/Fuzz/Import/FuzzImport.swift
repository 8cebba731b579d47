import Fuzzing
import Import

@main struct FuzzImport {
  static func main() {
    unsafe fuzz { start, count in
      readAsProxychainsConf(unsafe octets(start, count))
      return 0
    }
  }
}

private func readAsProxychainsConf(_ bytes: [UInt8]) {
  let table = ImportedTable(proxychains: bytes, named: "proxychains.conf")
  let again = ImportedTable(proxychains: bytes, named: "proxychains.conf")
  check(table.text == again.text && table.diagnostics == again.diagnostics, "the same file becomes the same")

  let hasErrors = table.diagnostics.contains { $0.severity == .error }
  check((table.text == nil) == hasErrors, "a file with errors, and no other, becomes no table")
  if let text = table.text {
    check(text.utf8.allSatisfy { (0x20...0x7e).contains($0) || $0 == 0x0a }, "a table is plain text")
    let listeners = text.split(separator: "\n").filter { $0.hasPrefix("listen:") }
    check(listeners.count == 1, "there is one listener")
    check(listeners.allSatisfy { $0.contains(" 127.0.0.1:") }, "it listens on this machine")
  }

  let lineCount = bytes.count { $0 == 0x0a } + 1
  for diagnostic in table.diagnostics {
    check(!diagnostic.description.utf8.contains { $0 < 0x20 || $0 == 0x7f }, "it is said in one line")
    guard let position = diagnostic.position else { continue }
    check((1...lineCount).contains(position.line) && position.column >= 1, "positions lie in the file")
  }
}
