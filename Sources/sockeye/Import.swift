import Config
import Import

/// `sockeye import`: prints a route table that does what a proxychains.conf does.
func importTable(_ options: ImportOptions) -> ExitStatus {
  let content: Surroundings.File
  do throws(Surroundings.ReadFailure) {
    content = try Surroundings.process.file(options.file)
  } catch {
    let message = "the file \(error.message) (name a proxychains.conf that this user can read)"
    Console.error.write(Diagnostic(severity: .error, file: options.file, position: nil, message: message))
    return .failed
  }
  let table = ImportedTable(proxychains: content.bytes, named: options.file)
  for diagnostic in table.diagnostics { Console.error.write(diagnostic) }
  guard let text = table.text else { return .failed }
  Console.output.write(Array(text.utf8))
  return .done
}
