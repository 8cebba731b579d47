import Addresses

extension RouteTable {
  /// A route that can never decide, because whatever it describes an earlier one takes.
  package struct HiddenRoute: Hashable, Sendable {
    /// Where it stands in the table.
    package let index: Int
    /// The earlier route that takes all it describes, or the last needed of several that together do.
    package let by: Int
  }

  /// The routes that are plainly hidden, in order; not every hidden one is found.
  ///
  /// Plainly: each value of one of its conditions is covered by an earlier route that asks for nothing else. A route
  /// that speaks of addresses is hidden only by others that do, because `refusal(of:for:)` asks it without the rest.
  /// What an IPv6 address embeds is not considered.
  package func hiddenRoutes() -> [HiddenRoute] {
    var taken = TakenValues()
    var hidden: [HiddenRoute] = []
    for (index, route) in routes.enumerated() {
      if let by = taken.taker(of: route.condition, onlyByAddress: route.condition.speaksOfAddresses) {
        hidden.append(HiddenRoute(index: index, by: by))
      } else {
        taken.add(route.condition, by: index)
      }
    }
    return hidden
  }
}

extension Condition {
  /// Whether it asks, anywhere, for a destination address.
  package var speaksOfAddresses: Bool {
    switch self {
    case .ip: true
    case .host(let patterns): !HostPatterns(patterns).addresses.isEmpty
    case .any(let conditions), .all(let conditions): conditions.contains { $0.speaksOfAddresses }
    case .not(let condition): condition.speaksOfAddresses
    case .domain, .port, .network, .command, .client, .user, .listener: false
    }
  }

  /// Whether it takes addresses out of what it describes: one stands below an odd number of `not`. Then it may hold for a
  /// name, and no longer when the name's address is known.
  package var excludesAddresses: Bool {
    switch self {
    case .not(let condition): condition.includesAddresses
    case .any(let conditions), .all(let conditions): conditions.contains { $0.excludesAddresses }
    default: false
    }
  }

  private var includesAddresses: Bool {
    switch self {
    case .not(let condition): condition.excludesAddresses
    case .any(let conditions), .all(let conditions): conditions.contains { $0.includesAddresses }
    default: speaksOfAddresses
    }
  }
}
