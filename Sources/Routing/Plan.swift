/// More than one way to the same end: each connection takes one, and goes on to the next when that fails.
package struct Plan: Sendable {
  // A reference, so that an outcome stays small and is copied at no cost.
  private final class Storage: Sendable {
    let stop: Stop
    let description: String
    let mayCarryUDP: Bool
    let mayGoDirect: Bool
    let dependsOnDestination: Bool
    let breadth: Int
    let isSteady: Bool

    init(_ stop: Stop) {
      self.stop = stop
      description = stop.description
      mayCarryUDP = stop.mayCarryUDP
      mayGoDirect = stop.mayGoDirect
      dependsOnDestination = stop.dependsOnDestination
      breadth = stop.breadth
      isSteady = stop.isSteady
    }
  }

  private let storage: Storage

  package init(_ stop: Stop) {
    storage = Storage(stop)
  }

  package var stop: Stop { storage.stop }
  /// False when each of its ways passes a hop that is known not to carry UDP.
  package var mayCarryUDP: Bool { storage.mayCarryUDP }
  package var mayGoDirect: Bool { storage.mayGoDirect }
  package var dependsOnDestination: Bool { storage.dependsOnDestination }
  package var breadth: Int { storage.breadth }
  package var isSteady: Bool { storage.isSteady }
}

extension Plan: Hashable {
  package static func == (one: Plan, other: Plan) -> Bool {
    one.storage === other.storage || one.stop == other.stop
  }

  package func hash(into hasher: inout Hasher) {
    // Names are unique in a table: what differs but for these is rare, and equality tells.
    hasher.combine(storage.description)
  }
}

extension Plan: CustomStringConvertible {
  package var description: String { storage.description }
}

/// What a plan comes to for one connection.
package enum Way: Hashable, Sendable {
  case direct
  case chain(Chain)
}

extension Way: CustomStringConvertible {
  package var description: String {
    switch self {
    case .direct: "direct"
    case .chain(let chain): chain.description
    }
  }
}
