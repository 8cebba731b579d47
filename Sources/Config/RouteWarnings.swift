import Routing

extension TableReader {
  /// Warns of an `ip` route to a proxy that connections by name pass by.
  ///
  /// An `ip` condition sees what the client asks for, and a name is not an address. Nothing is lost when names take
  /// another proxy or are refused; but when they go direct, they reach from here what was to be reached through
  /// the proxy. A route for names with the same outcome shows that they were thought of.
  func warnOfBypassedPrefixes(_ routes: [WrittenRoute], fallback: Outcome) {
    guard fallback == .direct else { return }
    var named: Set<Outcome> = []
    for written in routes where written.route.condition.speaksOfNames { named.insert(written.route.outcome) }
    for written in routes where written.route.condition.needsAddress {
      guard written.route.outcome.passesHops, !named.contains(written.route.outcome) else { continue }
      warning(
        written.position,
        "a client that asks for a name passes this route by, and goes direct to whatever address the name has"
          + " (add a 'domain' route to '\(written.route.outcome)' for the names in these ranges)")
    }
  }
}

extension TableReader {
  /// Warns of a route that never decides, because earlier ones take all it describes.
  func warnOfHiddenRoutes(_ routes: [WrittenRoute], in table: RouteTable) {
    for hidden in table.hiddenRoutes() {
      warning(
        routes[hidden.index].position,
        "the route at line \(routes[hidden.by].position.line) takes all that this one describes"
          + " (move this one before it, or remove it)")
    }
  }
}

extension Condition {
  /// Whether only a destination that is an address can meet it.
  fileprivate var needsAddress: Bool {
    switch self {
    case .ip: true
    case .all(let conditions): conditions.contains(where: \.needsAddress)
    case .any(let conditions): !conditions.isEmpty && conditions.allSatisfy(\.needsAddress)
    default: false
    }
  }

  fileprivate var speaksOfNames: Bool {
    switch self {
    case .domain, .host: true
    case .all(let conditions), .any(let conditions): conditions.contains(where: \.speaksOfNames)
    case .not(let condition): condition.speaksOfNames
    default: false
    }
  }
}

extension TableReader {
  /// Warns of chains that are known not to carry UDP where a datagram may be sent to them, so that it is dropped: once
  /// for each chain.
  func warnOfLostUDP(_ routes: [WrittenRoute], in table: RouteTable, default position: Position?) {
    let serving = listeners.filter { $0.udp != nil && $0.protocols.contains(.socks5) }
    guard !serving.isEmpty else { return }
    var outcomes: [Outcome] = []
    var losing: [Outcome: [Position]] = [:]
    for index in table.routesLosingUDP(at: serving.map(\.id)) {
      let outcome = index.map { routes[$0].route.outcome } ?? table.fallback
      if let index {
        if losing[outcome] == nil { outcomes.append(outcome) }
        losing[outcome, default: []].append(routes[index].position)
      } else if let position {
        warning(
          position,
          "\(Self.reason(outcome)): what no route takes of it is dropped"
            + " (add a route that says so, {network: udp, via: reject})")
      }
    }
    for outcome in outcomes {
      let positions = losing[outcome] ?? []
      guard let first = positions.first else { continue }
      let more = positions.count - 1
      let others = more == 0 ? "" : ", and so do \(more) more, next that at line \(positions[1].line)"
      warning(
        first,
        "\(Self.reason(outcome)): this route drops it\(others) (write 'udp: reject' to say so, 'udp: direct' if it may"
          + " go around the chain, or 'network: tcp' to leave it to later routes)")
    }
  }

  private static func reason(_ outcome: Outcome) -> String {
    "'\(outcome.hopWithoutUDP?.name ?? "\(outcome)")' carries no UDP"
  }
}
