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

extension Limit {
  /// What it did to as many connections, UDP paths, or questions.
  func effect(on count: Int) -> String {
    switch self {
    case .handshakes, .clientHandshakes:
      count == 1 ? "a handshake was closed for newer ones" : "\(count) handshakes were closed for newer ones"
    case .pathsPerAssociation:
      count == 1 ? "a UDP path was closed or not opened" : "\(count) UDP paths were closed or not opened"
    case .questions, .clientQuestions:
      count == 1
        ? "a question to a name server was not asked" : "\(count) questions to name servers were not asked"
    default:
      count == 1 ? "a connection was refused" : "\(count) connections were refused"
    }
  }

  /// What to change so that clients may have more.
  var advice: String {
    switch self {
    case .connections, .localClient: "raise limits.connections, or LimitNOFILE= where descriptors lower it"
    case .perClient: "raise limits.per_client"
    case .handshakes, .clientHandshakes: "raise limits.handshakes, or LimitNOFILE= where descriptors lower it"
    case .associations, .clientAssociations:
      "raise limits.associations, or LimitNOFILE= where descriptors lower it"
    case .sockets, .clientSockets:
      "raise limits.associations, each of which adds 4, or LimitNOFILE= where descriptors lower it"
    case .questions, .clientQuestions:
      "the client asks for too many names at once, the name servers do not answer, or LimitNOFILE= is too low"
    case .pathsPerAssociation: "raise limits.paths_per_association"
    case .clientUDPPorts: "widen the listener's udp.ports"
    case .clientBindPorts: "widen the listener's bind.ports"
    case .clientDials: "widen net.ipv4.ip_local_port_range (sysctl)"
    }
  }
}
