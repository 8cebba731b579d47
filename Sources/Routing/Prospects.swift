import Addresses

/// One thing that may become of a client's datagrams.
package struct Prospect: Sendable {
  package let outcome: Outcome
  /// The first route that may bring it about; `nil`: the default.
  package let route: Route?
}

/// What may become of the datagrams of one client before any destination is known, each outcome once, in the table's order.
///
/// No destination gets another outcome. Some may get none of these: two conditions on destinations may exclude each
/// other, and that is not looked into.
package struct Prospects: Sendable {
  package let all: [Prospect]

  /// Those by which a datagram can leave, as far as is known.
  package var carrying: [Prospect] { all.filter { !$0.outcome.refuses && $0.outcome.mayCarryUDP } }

  /// Whether the table rejects or drops each datagram by rule, rather than for want of a chain that carries it.
  package var isRefused: Bool { all.allSatisfy(\.outcome.refuses) }

  /// The chain or plan that every datagram takes which leaves at all; `nil` when there is none, or another way.
  package var onlyChain: Prospect? {
    let carrying = carrying
    guard carrying.count == 1, carrying[0].outcome.passesHops else { return nil }
    return carrying[0]
  }
}

extension RouteTable {
  /// What may become of the datagrams of the client that `request` comes from; its command and destination do not matter.
  ///
  /// Where a chain is not yet known to carry UDP, the `udp` of its route is a prospect too. So is a rejection where
  /// a regular expression may reach its limits.
  package func prospects(for request: Request) -> Prospects {
    var gathering = Gathering()
    for index in datagramRoutes {
      let route = routes[index]
      let truth = route.condition.truth { leaf in
        leaf.truthOfDatagrams ?? leaf.holds(forAskerOf: request)
      }
      gathering.add(route, truth)
      if truth == .holds { return Prospects(all: gathering.prospects) }
    }
    gathering.add(fallback, by: nil)
    return Prospects(all: gathering.prospects)
  }

  /// The routes of which one may add to the prospects of some client, in order.
  ///
  /// Routes by destination are the bulk of a large table, and say the same for all clients: an outcome that one of
  /// them offers is offered by no later one.
  static func datagramRoutes(of routes: [Route]) -> [Int] {
    var offered = Gathering()
    var indices: [Int] = []
    for (index, route) in routes.enumerated() {
      if route.condition.contains(where: \.asksForAsker) {
        indices.append(index)
        continue
      }
      let truth = route.condition.truth { $0.truthOfDatagrams ?? .fails }
      let count = offered.prospects.count
      offered.add(route, truth)
      if offered.prospects.count > count || truth == .holds { indices.append(index) }
      if truth == .holds { break }
    }
    return indices
  }
}

extension RouteTable {
  /// The routes that may be asked about a datagram and would lose it, since their chain is known not to carry UDP
  /// and they name no alternative; `nil` among them, and last, is the default.
  ///
  /// - Parameter listeners: those at which datagrams come in.
  package func routesLosingUDP(at listeners: [ListenerID]) -> [Int?] {
    let names = Set(listeners.flatMap { [$0.address, $0.name].compactMap(\.self) })
    var losing: [Int?] = []
    for (index, route) in routes.enumerated() {
      let truth = route.condition.truth { leaf in
        if case .listener(let values) = leaf, !values.contains(where: names.contains) { return .fails }
        return leaf.truthOfDatagrams ?? .maybe
      }
      if truth != .fails, !route.outcome(over: .udp).mayCarryUDP { losing.append(index) }
      if truth == .holds { return losing }
    }
    if !fallback.mayCarryUDP { losing.append(nil) }
    return losing
  }
}

/// The outcomes met so far.
private struct Gathering {
  private(set) var prospects: [Prospect] = []
  private var met: Set<Outcome> = []

  mutating func add(_ route: Route, _ truth: PartialTruth) {
    if truth != .fails {
      let outcome = route.outcome(over: .udp)
      add(outcome, by: route)
      if let alternative = route.udp, outcome.passesHops { add(alternative, by: route) }
    }
    if route.condition.contains(where: \.mayGiveUp) { add(.reject, by: route) }
  }

  mutating func add(_ outcome: Outcome, by route: Route?) {
    if met.insert(outcome).inserted { prospects.append(Prospect(outcome: outcome, route: route)) }
  }
}

// MARK: - Conditions of which not everything is known

/// Whether a condition holds when not everything about a request is known: Kleene's three values.
enum PartialTruth: Int, Comparable {
  case fails
  case maybe
  case holds

  init(_ holds: Bool) { self = holds ? .holds : .fails }

  static prefix func ! (truth: PartialTruth) -> PartialTruth {
    switch truth {
    case .fails: .holds
    case .maybe: .maybe
    case .holds: .fails
    }
  }

  static func < (one: PartialTruth, other: PartialTruth) -> Bool { one.rawValue < other.rawValue }
}

extension Condition {
  /// - Parameter leaf: what is known of a condition that nests no others.
  func truth(_ leaf: (Condition) -> PartialTruth) -> PartialTruth {
    switch self {
    case .all(let conditions): conditions.reduce(.holds) { min($0, $1.truth(leaf)) }
    case .any(let conditions): conditions.reduce(.fails) { max($0, $1.truth(leaf)) }
    case .not(let condition): !condition.truth(leaf)
    default: leaf(self)
    }
  }

  /// Whether some condition in it, or itself, is such a one.
  func contains(where isSuch: (Condition) -> Bool) -> Bool {
    switch self {
    case .all(let conditions), .any(let conditions): conditions.contains { $0.contains(where: isSuch) }
    case .not(let condition): condition.contains(where: isSuch)
    default: isSuch(self)
    }
  }

  /// Whether it holds for a datagram of which nothing else is known; `nil` when that depends on whose it is.
  var truthOfDatagrams: PartialTruth? {
    switch self {
    case .network(let networks): PartialTruth(networks.contains(.udp))
    case .command(let commands): PartialTruth(commands.contains(.udp))
    case .client, .user, .listener: nil
    case .domain, .host, .ip, .port, .any, .all, .not: .maybe
    }
  }

  fileprivate var asksForAsker: Bool { truthOfDatagrams == nil }

  fileprivate func holds(forAskerOf request: Request) -> PartialTruth {
    switch self {
    case .client(let prefixes):
      let client = request.client?.unmapped
      return PartialTruth(client.map { client in prefixes.contains { $0.contains(client) } } ?? false)
    case .user(let users):
      return PartialTruth(
        request.user.map { user in users.contains { $0.utf8.elementsEqual(user.utf8) } } ?? false)
    case .listener(let names):
      let listener = request.listener
      return PartialTruth(names.contains { $0 == listener.address || $0 == listener.name })
    default: return .maybe
    }
  }

  /// Whether its expressions may reach their limits: then the request is rejected.
  fileprivate var mayGiveUp: Bool {
    guard case .host(let patterns) = self else { return false }
    return patterns.contains { if case .expression = $0 { true } else { false } }
  }
}
