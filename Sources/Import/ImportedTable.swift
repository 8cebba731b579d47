import Config

/// A route table that does what a configuration of another program does.
package struct ImportedTable: Sendable {
  /// The table, which `check` accepts; `nil` after errors.
  package let text: String?
  /// In the order of the file.
  package let diagnostics: [Diagnostic]

  /// - Parameters:
  ///   - bytes: the proxychains.conf.
  ///   - file: its name, for diagnostics and the first line of the table.
  package init(proxychains bytes: [UInt8], named file: String) {
    var reader = ProxychainsReader(bytes, named: file)
    var text: String?
    if !reader.log.hasErrors {
      let table = TableWriter(reader.conf, from: file).text
      // Some lists of proxies no table can say, such as one whose proxies cannot reach each other.
      for diagnostic in Self.errors(in: table) { reader.refuseTable(diagnostic.message) }
      if !reader.log.hasErrors { text = table }
    }
    self.text = text
    diagnostics = reader.log.sorted(startingWith: file)
  }

  private static func errors(in table: String) -> [Diagnostic] {
    let nowhere = Surroundings(
      file: { _ throws(Surroundings.ReadFailure) in throw Surroundings.ReadFailure(message: "is not there") },
      variable: { _ in nil })
    return ConfigurationLoader(nowhere).load(Surroundings.File(bytes: Array(table.utf8)), named: "table")
      .diagnostics.filter { $0.severity == .error }
  }
}
