/// A limit that had no room for a connection, for a UDP path, or for a question to a name server.
package enum Limit: String, Hashable, Sendable, CaseIterable {
  /// `limits.connections`.
  case connections
  /// Three quarters of `limits.connections`: what one client of this machine may hold.
  case localClient = "local_client"
  /// `limits.per_client`.
  case perClient = "per_client"
  /// `limits.handshakes`.
  case handshakes
  /// A quarter of `limits.handshakes`: what one client may hold.
  case clientHandshakes = "client_handshakes"
  /// `limits.associations`.
  case associations
  /// A quarter of `limits.associations`: what one client may have.
  case clientAssociations = "client_associations"
  /// `limits.paths_per_association`: the paths through chains that one association may have.
  case pathsPerAssociation = "paths_per_association"
  /// Sockets beside the two of a connection (`Limits.sockets`).
  case sockets
  /// A quarter of these: what one client may have.
  case clientSockets = "client_sockets"
  /// Questions to name servers that are open on one loop (`Limits.questions`).
  case questions
  /// A quarter of these: what the lookups of one client may await there.
  case clientQuestions = "client_questions"
  /// A quarter of a listener's `udp.ports`: what one client may have.
  case clientUDPPorts = "client_udp_ports"
  /// The same of `bind.ports`.
  case clientBindPorts = "client_bind_ports"
  /// A quarter of the local ports: how many connections one client may begin in a minute towards an endpoint for which no
  /// port is left.
  case clientDials = "client_dials"
}

extension Limit {
  /// Its value is known only where it refuses: it depends on the listener, or on the system.
  package var isForeign: Bool {
    self == .clientUDPPorts || self == .clientBindPorts || self == .clientDials
  }
}

/// A limit and its value.
package struct ReachedLimit: Error, Hashable, Sendable, CustomStringConvertible {
  package let limit: Limit
  package let value: Int

  package init(_ limit: Limit, of limits: Limits) {
    self.limit = limit
    value = limits[limit]
  }

  package init(_ limit: Limit, value: Int) {
    self.limit = limit
    self.value = value
  }

  /// As the log names it: `per_client 256`.
  package var description: String { "\(limit.rawValue) \(value)" }
}

extension Limits {
  /// How many may be held of what `limit` counts.
  package subscript(limit: Limit) -> Int {
    switch limit {
    case .connections: connections
    case .localClient: connections - connections / 4
    case .perClient: perClient
    case .handshakes: handshakes
    case .clientHandshakes: max(1, handshakes / 4)
    case .associations: associations
    case .clientAssociations: Self.share(of: associations)
    case .pathsPerAssociation: pathsPerAssociation
    case .sockets: sockets
    case .clientSockets: Self.share(of: sockets)
    case .questions: questions
    case .clientQuestions: max(2, questions / 4)
    // No limits of the table: `isForeign`.
    case .clientUDPPorts, .clientBindPorts, .clientDials: 0
    }
  }

  /// Of what all clients share, one client may have a quarter, rounded up.
  package static func share(of all: Int) -> Int { all / 4 + (all.isMultiple(of: 4) ? 0 : 1) }
}
