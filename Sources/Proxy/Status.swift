import Routing
import Settings

/// How a server stands at one moment. No secret is in it.
package struct Status: Sendable {
  package struct Listener: Sendable {
    /// Where it listens: the real port, if 0 was asked for.
    package let address: String
    package let name: String?
    /// Sessions now, and since the start.
    package let sessions: Int
    package let total: Int
  }

  /// How many sessions have come how far.
  package struct Sessions: Sendable {
    /// The client has not said yet what it wants.
    package let handshakes: Int
    /// What it wants is being reached, or refused.
    package let dials: Int
    /// The peer of a BIND is awaited.
    package let binds: Int
    package let tunnels: Int
    package let associations: Int
  }

  /// A limit of the table, and how often it refused a client.
  package struct Limit: Sendable {
    package let name: String
    package let value: Int
    /// Since the start.
    package let refused: Int
  }

  package struct Upstream: Sendable {
    package enum State: String, Sendable {
      /// Nobody has needed it yet.
      case unused
      case up
      /// It did not do its part when it was last needed.
      case down
    }

    package let name: String
    /// What it speaks, as in its URL.
    package let scheme: String
    package let endpoint: String
    package let state: State
    /// For how long groups and choices leave it alone; `nil`: the next connection may try it.
    package let rest: Duration?
    /// To connect to it and to be admitted, smoothed; `nil` before it was ever reached.
    package let latency: Duration?
    /// Tunnels, and associations' ways, that pass it now.
    package let connections: Int
    /// Warm tunnels that pass it and wait.
    package let warm: Int
    /// Dials in which it did its part, whatever became of them behind it.
    package let successes: Int
    /// How many failed at it, in the order of the phases.
    package let failures: [(phase: Failure.Phase, count: Int)]
    /// The last of these, and how long ago it was.
    package let lastFailure: (failure: Failure, age: Duration)?
    /// Whether it is told everything at once: as the table says, or as was found out.
    package let pipelining: Pipelining.Standing
  }

  /// A chain for which tunnels are kept ready.
  package struct WarmChain: Sendable {
    package let hops: [String]
    /// Tunnels that wait, and how many should.
    package let ready: Int
    package let wanted: Int
  }

  package struct Group: Sendable {
    package let name: String
    package let strategy: Routing.Group.Strategy
    package let members: [(name: String, isUp: Bool)]
    /// What the next connection takes; `nil` when there is no way, or when chance or the client decides.
    package let next: Way?
  }

  package let uptime: Duration
  /// Since the table that holds was read.
  package let tableAge: Duration
  /// The program was asked to stop, and waits for its sessions.
  package let isDraining: Bool
  package let listeners: [Listener]
  package let sessions: Sessions
  /// All of them.
  package let limits: [Limit]
  /// All of the table, in its order.
  package let upstreams: [Upstream]
  package let groups: [Group]
  /// By their hops.
  package let warmChains: [WarmChain]
}
