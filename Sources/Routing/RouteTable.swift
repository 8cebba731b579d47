import Addresses

/// The routes, compiled. An immutable value: the same table and request give the same verdict.
///
/// In a route that refuses (`reject` or `drop`), an `ip` condition also holds for an IPv6 address that embeds an IPv4
/// address of the range (`IPAddress.embedded4`): a route that denies 10.0.0.0/8 denies 64:ff9b::10.0.0.1 too. So does a
/// route that dials directly all but 10.0.0.0/8. In every route, the unspecified addresses count as the loopback addresses
/// that Linux dials in their place.
package struct RouteTable: Sendable {
  package let routes: [Route]
  package let fallback: Outcome
  private let compiled: CompiledRoutes
  /// For `prospects(for:)`.
  let datagramRoutes: [Int]

  /// - Parameters:
  ///   - routes: in order; the first whose condition holds decides.
  ///   - fallback: the table's `default`.
  package init(routes: [Route], fallback: Outcome) {
    self.routes = routes
    self.fallback = fallback
    compiled = CompiledRoutes(routes)
    datagramRoutes = Self.datagramRoutes(of: routes)
  }

  /// The outcome of the first route that holds. When that is a chain that cannot carry the request's datagrams, the
  /// route's `udp` takes its place; without one they are lost, and no later route is asked.
  ///
  /// When the route rewrites the destination, the routes are not asked again, with one exception: an address that
  /// some route refuses is refused, however it came to stand there.
  package func verdict(for request: Request) -> Verdict {
    guard let (index, truth) = compiled.first(for: request) else {
      return Verdict(outcome: fallback, gaveUp: false, routeIndex: nil, table: self)
    }
    let route = routes[index]
    guard truth != .gaveUp else {
      return Verdict(outcome: .reject, gaveUp: true, routeIndex: index, table: self)
    }
    var verdict = Verdict(
      outcome: route.outcome(over: request.command.network), gaveUp: false, routeIndex: index, table: self)
    if let rewrite = route.rewrite {
      let destination = rewrite.applied(to: request.destination)
      verdict.rewritten = destination
      if let address = destination.host.address,
        let refusalIndex = refusalIndex(of: address, for: request.rewritten(to: destination))
      {
        verdict.refusalIndex = refusalIndex
        verdict.outcome = .reject
      }
    }
    return verdict
  }

  /// What refuses `address`, to which the name in `request` resolved for a direct dial; `nil` if nothing does.
  ///
  /// With the name and the address known, the table refuses the dial if the first route that holds because of the address
  /// refuses, or if the first route that holds for any reason does, or the `default` when no route holds. So a name cannot
  /// get around a range, neither one that a route refuses nor one that a direct route excludes. Where that leads to a chain,
  /// nothing is refused: a name passes an `ip` route to a chain by.
  ///
  /// A rewritten request is judged by what the client asked for as well, unless the host is another.
  package func refusal(of address: IPAddress, for request: Request) -> Refuser? {
    guard compiled.asksForAddresses else { return nil }
    if let index = refusalIndex(of: address, for: request) { return .route(routes[index]) }
    // Where no address is excluded, a route that held without the address still holds.
    guard compiled.excludesAddresses else { return nil }
    let asked = request.asked ?? request.destination
    guard asked.host == request.destination.host else { return nil }
    var known = request
    known.destination = asked
    guard let (index, truth) = compiled.first(for: known, address: address) else {
      return fallback.refuses ? .fallback : nil
    }
    return truth == .gaveUp || routes[index].refuses(request.command.network) ? .route(routes[index]) : nil
  }

  private func refusalIndex(of address: IPAddress, for request: Request) -> Int? {
    guard let (index, truth) = compiled.firstBecause(of: address, for: request) else { return nil }
    return truth == .gaveUp || routes[index].refuses(request.command.network) ? index : nil
  }

  /// What refuses an address that a name resolved to.
  package enum Refuser: Sendable {
    case route(Route)
    /// The table's `default`.
    case fallback

    package var route: Route? {
      if case .route(let route) = self { route } else { nil }
    }

    /// What logs call it: the route's label, or `default`.
    package var label: String {
      switch self {
      case .route(let route): route.label
      case .fallback: "default"
      }
    }
  }
}

extension Route {
  /// What becomes of the requests its condition describes: for datagrams that its chain is known not to carry, `udp`.
  package func outcome(over network: Request.Network) -> Outcome {
    network == .udp && !outcome.mayCarryUDP ? udp ?? outcome : outcome
  }

  /// Whether it refuses what its condition describes.
  package func refuses(_ network: Request.Network) -> Bool { outcome(over: network).refuses }

  /// Whether it dials from here what its condition describes.
  func isDirect(_ network: Request.Network) -> Bool { outcome(over: network) == .direct }
}

/// What the table says of one request.
package struct Verdict: Sendable {
  package fileprivate(set) var outcome: Outcome
  /// A regular expression of the route could not be matched within its limits. What is not known to be allowed is
  /// refused: the outcome is `reject`, whatever the route's own.
  package let gaveUp: Bool
  /// Where the route that decided stands in the table; `nil` when none did, and `default` is the outcome.
  package let routeIndex: Int?
  /// What is dialled instead of the request's destination, when the route rewrites it.
  package fileprivate(set) var rewritten: Endpoint?
  fileprivate var refusalIndex: Int?
  fileprivate let table: RouteTable

  fileprivate init(outcome: Outcome, gaveUp: Bool, routeIndex: Int?, table: RouteTable) {
    self.outcome = outcome
    self.gaveUp = gaveUp
    self.routeIndex = routeIndex
    self.table = table
  }

  /// The route that decided; `nil` when none did.
  package var route: Route? { routeIndex.map { table.routes[$0] } }

  /// The route that refuses the address in `rewritten`: then the outcome is `reject`, whatever the route's own.
  package var refusal: Route? { refusalIndex.map { table.routes[$0] } }

  /// False when the outcome has no way but through a hop that is known not to carry UDP: datagrams are dropped, and
  /// never sent another way.
  package var carriesUDP: Bool { outcome.mayCarryUDP }

  /// Whether the outcome is the route's `udp`, because the route's chain is known not to carry UDP.
  package var isAlternative: Bool {
    guard !gaveUp, refusalIndex == nil, let route, route.outcome.passesHops else { return false }
    return outcome != route.outcome
  }

  /// Where datagrams go when the chain that is the outcome turns out not to carry them; `nil`: they are dropped.
  package var alternative: Outcome? {
    guard !gaveUp, !isAlternative, outcome.passesHops else { return nil }
    return route?.udp
  }
}
