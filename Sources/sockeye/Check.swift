import Config
import Printing

/// `sockeye check`: prints what is wrong with route tables, and nothing when all is well.
func check(_ options: CheckOptions) -> ExitStatus {
  var status = ExitStatus.done
  for table in options.tables.isEmpty ? [defaultTable] : options.tables {
    let result = ConfigurationLoader().load(table)
    for diagnostic in result.diagnostics { Console.output.write(diagnostic) }
    if result.configuration == nil { status = .failed }
  }
  return status
}

extension Console {
  /// Writes a diagnostic the way compilers do, its severity in color.
  func write(_ diagnostic: Diagnostic) {
    write(text(of: diagnostic))
  }

  /// What `write` writes, without the line break.
  func text(of diagnostic: Diagnostic) -> String {
    let severity = styled("\(diagnostic.severity):", diagnostic.severity == .error ? .red : .magenta)
    return "\(styled("\(diagnostic.place.printable):", .bold)) \(severity) \(diagnostic.message.printable)"
  }
}
