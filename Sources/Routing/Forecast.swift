import Addresses

/// What would be chosen now. Nothing is, and nothing counts.
extension Standings {
  /// The way that the next connection through a group takes; `nil` when there is none, or when that depends on chance,
  /// or on who asks for what.
  package func forecast(_ group: Group, at now: Moment) -> Way? {
    let stop = Stop.group(group)
    guard stop.isPredictable else { return nil }
    var copy = self
    var generator = NoChance()
    return copy.choose(by: Plan(stop), for: .anything, at: now, using: &generator)?.way
  }
}

extension Request {
  /// For questions that no request has a part in.
  static let anything = Request(to: Endpoint(.unspecified4, port: 0))
}

/// The highest number, always: that is none by which `fastest` would try another member.
struct NoChance: RandomNumberGenerator {
  // The thread sanitizer follows the address of what is passed `inout`, and an empty value has none.
  private var draw = UInt64.max

  mutating func next() -> UInt64 { draw }
}

extension Stop {
  /// Whether there is a way through it, when nothing is down.
  package var hasWay: Bool {
    var standings = Standings()
    var generator = NoChance()
    return standings.choose(by: Plan(self), for: .anything, at: 0, using: &generator) != nil
  }

  /// Whether the same is chosen for everybody and without a draw.
  fileprivate var isPredictable: Bool {
    switch self {
    case .upstream, .direct: return true
    case .group(let group):
      switch group.strategy {
      case .random, .sticky: return false
      case .failover, .roundRobin, .fastest, .leastConnections:
        return group.members.allSatisfy(\.stop.isPredictable)
      }
    case .itinerary(let itinerary):
      let isDrawn = itinerary.mode == .random || itinerary.mode == .roundRobin && itinerary.length.count > 1
      return !isDrawn && itinerary.positions.allSatisfy { $0.choices.allSatisfy(\.isPredictable) }
    }
  }
}
