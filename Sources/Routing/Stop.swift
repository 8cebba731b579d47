import Addresses

/// What a connection is led through: one proxy, one of several, or several in a row.
package indirect enum Stop: Hashable, Sendable {
  case upstream(Upstream)
  case group(Group)
  case itinerary(Itinerary)
  /// No proxy at all. A member of groups only, and of none that stands in a chain.
  case direct
}

/// Several of which each connection takes one.
package struct Group: Hashable, Sendable {
  package enum Strategy: Hashable, Sendable {
    /// The first that is up.
    case failover
    /// One after the other.
    case roundRobin
    /// By chance, as often as their weights say.
    case random
    /// The one that answers soonest.
    case fastest
    /// The one with the fewest connections.
    case leastConnections
    /// The same one for the same key, as long as it is up.
    case sticky(Key)
  }

  /// What a sticky group keeps together.
  package enum Key: String, Hashable, Sendable, CaseIterable {
    case client
    case user
    case destination
  }

  package struct Member: Hashable, Sendable {
    package let stop: Stop
    /// How often it is taken, compared with the others, by `random`.
    package let weight: Int

    /// - Precondition: `weight` is at least 1.
    package init(_ stop: Stop, weight: Int = 1) {
      precondition(weight >= 1)
      self.stop = stop
      self.weight = weight
    }
  }

  /// How members are tried while nobody else does.
  package struct Check: Hashable, Sendable {
    /// What is dialled through each member.
    package let destination: Endpoint
    package let interval: Duration
    /// For one dial.
    package let timeout: Duration

    package init(to destination: Endpoint, every interval: Duration, timeout: Duration) {
      self.destination = destination
      self.interval = interval
      self.timeout = timeout
    }
  }

  package let name: String
  package let members: [Member]
  package let strategy: Strategy
  /// `nil`: what is known of its members comes from real connections only.
  package let check: Check?

  /// - Precondition: `members` is not empty.
  package init(name: String, members: [Member], strategy: Strategy = .failover, check: Check? = nil) {
    precondition(!members.isEmpty)
    self.name = name
    self.members = members
    self.strategy = strategy
    self.check = check
  }
}

/// Several in a row.
package struct Itinerary: Sendable {
  /// proxychains' four words.
  package enum Mode: String, Hashable, Sendable, CaseIterable {
    /// All positions, in order.
    case strict
    /// All that are up, in order; at least one.
    case dynamic
    /// Some of them, by chance and in any order.
    case random
    /// Some of them in order, beginning behind those of the connection before.
    case roundRobin = "round-robin"
  }

  package struct Position: Hashable, Sendable {
    /// The first that is up is taken.
    package let choices: [Stop]
    /// Left out when none is up.
    package let isOptional: Bool

    /// - Precondition: `choices` is not empty.
    package init(_ choices: [Stop], isOptional: Bool = false) {
      precondition(!choices.isEmpty)
      self.choices = choices
      self.isOptional = isOptional
    }
  }

  /// What the table calls it. The same positions under two names are the same itinerary.
  package let name: String?
  package let positions: [Position]
  package let mode: Mode
  /// How many positions `random` and `roundRobin` take.
  package let length: ClosedRange<Int>
  /// What is kept ready for the chains that it comes to; `nil`: that is not for it to say.
  package let warm: Warmth?

  /// - Parameter length: within 1 and the number of positions; the other modes have none.
  /// - Precondition: `positions` is not empty.
  package init(
    name: String? = nil, _ positions: [Position], mode: Mode = .strict, length: ClosedRange<Int>? = nil,
    warm: Warmth? = nil
  ) {
    precondition(!positions.isEmpty)
    self.name = name
    self.positions = positions
    self.mode = mode
    self.length = length ?? 1...positions.count
    self.warm = warm
  }
}

extension Itinerary: Hashable {
  package static func == (one: Itinerary, other: Itinerary) -> Bool {
    one.mode == other.mode && one.length == other.length && one.positions == other.positions
  }

  package func hash(into hasher: inout Hasher) {
    hasher.combine(mode)
    hasher.combine(length)
    hasher.combine(positions)
  }
}

// MARK: - What it may come to

extension Stop {
  /// Every proxy in it, those in several places several times.
  package var upstreams: [Upstream] {
    switch self {
    case .upstream(let upstream): [upstream]
    case .direct: []
    case .group(let group): group.members.flatMap(\.stop.upstreams)
    case .itinerary(let itinerary): itinerary.positions.flatMap { $0.choices.flatMap(\.upstreams) }
    }
  }

  package var mayGoDirect: Bool {
    switch self {
    case .upstream, .itinerary: false
    case .direct: true
    case .group(let group): group.members.contains(where: \.stop.mayGoDirect)
    }
  }

  /// Whether the same request goes the same way as long as nothing fails.
  package var isSteady: Bool {
    switch self {
    case .upstream, .direct: return true
    case .group(let group):
      switch group.strategy {
      case .failover, .fastest, .sticky: return group.members.allSatisfy(\.stop.isSteady)
      case .roundRobin, .random, .leastConnections: return false
      }
    case .itinerary(let itinerary):
      switch itinerary.mode {
      case .strict, .dynamic: return itinerary.positions.allSatisfy { $0.choices.allSatisfy(\.isSteady) }
      case .random, .roundRobin: return false
      }
    }
  }

  /// Whether each destination may be led another way than others, or as somebody else.
  package var dependsOnDestination: Bool {
    switch self {
    case .upstream(let upstream): upstream.isolation?.dependsOnDestination == true
    case .direct: false
    case .group(let group):
      group.strategy == .sticky(.destination) || group.members.contains(where: \.stop.dependsOnDestination)
    case .itinerary(let itinerary):
      itinerary.positions.contains { $0.choices.contains(where: \.dependsOnDestination) }
    }
  }

  /// False when each of its ways passes a hop that is known not to carry UDP.
  package var mayCarryUDP: Bool {
    switch self {
    case .upstream(let upstream): return upstream.udp != .no
    case .direct: return true
    case .group(let group): return group.members.contains(where: \.stop.mayCarryUDP)
    case .itinerary(let itinerary):
      let positions = itinerary.positions
      let carrying = positions.count { $0.choices.contains(where: \.mayCarryUDP) }
      switch itinerary.mode {
      // What may be left out is left out when it is down, not when it carries no UDP.
      case .strict, .dynamic: return carrying == positions.count
      case .random, .roundRobin: return carrying >= itinerary.length.lowerBound
      }
    }
  }

  /// The most hops that a way through it has.
  package var mostHops: Int {
    switch self {
    case .upstream: return 1
    case .direct: return 0
    case .group(let group): return group.members.map(\.stop.mostHops).max() ?? 0
    case .itinerary(let itinerary):
      let longest = itinerary.positions.map { $0.choices.map(\.mostHops).max() ?? 0 }
      switch itinerary.mode {
      case .strict, .dynamic: return longest.reduce(0, +)
      case .random, .roundRobin:
        return longest.sorted(by: >).prefix(itinerary.length.upperBound).reduce(0, +)
      }
    }
  }

  /// How many ways there are to go on when one fails, roughly: how often it is worth to divide the time.
  package var breadth: Int {
    switch self {
    case .upstream, .direct: 1
    case .group(let group): group.members.reduce(0) { $0 + $1.stop.breadth }
    case .itinerary(let itinerary):
      itinerary.positions.reduce(1) { sum, position in
        let choices = position.choices.reduce(0) { $0 + $1.breadth }
        return sum + choices - (position.isOptional || itinerary.mode != .strict ? 0 : 1)
      }
    }
  }
}

// MARK: - Text

extension Stop: CustomStringConvertible {
  /// As logs and messages write it: `tor`, `exits`, `office,exits`.
  package var description: String {
    switch self {
    case .upstream(let upstream): upstream.name
    case .direct: "direct"
    case .group(let group): group.name
    case .itinerary(let itinerary): itinerary.description
    }
  }
}

extension Itinerary: CustomStringConvertible {
  package var description: String {
    guard mode == .strict else { return name ?? mode.rawValue }
    return positions.map(\.description).joined(separator: ",")
  }
}

extension Itinerary.Position: CustomStringConvertible {
  package var description: String {
    let text = choices.map(\.description).joined(separator: "|")
    return isOptional ? "\(text)?" : text
  }
}

extension Group.Strategy: CustomStringConvertible {
  /// As a table writes it.
  package var description: String {
    switch self {
    case .failover: "failover"
    case .roundRobin: "round-robin"
    case .random: "random"
    case .fastest: "fastest"
    case .leastConnections: "least-connections"
    case .sticky: "sticky"
    }
  }
}
