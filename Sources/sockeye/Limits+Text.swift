import Settings

extension Limits {
  /// What the log says of limits that are lowered to these.
  func lowered(from wanted: Limits, needed: Int, available: Int) -> String {
    var parts = ["\(connections) connections"]
    if associations < wanted.associations { parts.append("\(associations) UDP associations") }
    parts.append("\(questions) questions to name servers in each thread")
    return
      "limits.connections \(wanted.connections) and what belongs to them need \(needed) descriptors, and this process may"
      + " open \(available): it serves \(parts.joined(separator: ", ")); raise LimitNOFILE= in systemd, or"
      + " 'ulimit -Hn' in a shell"
  }
}
