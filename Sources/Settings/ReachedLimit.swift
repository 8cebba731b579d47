/// A limit that had no room for a connection.
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
}

/// A limit and its value.
package struct ReachedLimit: Hashable, Sendable, CustomStringConvertible {
  package let limit: Limit
  package let value: Int

  package init(_ limit: Limit, of limits: Limits) {
    self.limit = limit
    value = limits[limit]
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
    }
  }
}
