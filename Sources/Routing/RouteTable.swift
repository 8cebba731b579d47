import Addresses

/// The routes, compiled. An immutable value: the same table and request give the same verdict.
package struct RouteTable: Sendable {
  package let routes: [Route]
  package let fallback: Outcome

  /// - Parameters:
  ///   - routes: in order; the first whose condition holds decides.
  ///   - fallback: the table's `default`.
  package init(routes: [Route], fallback: Outcome) {
    self.routes = routes
    self.fallback = fallback
  }

  package func verdict(for request: Request) -> Verdict {
    Verdict(outcome: fallback, route: nil)
  }

  /// The route that refuses `address`, to which the name in `request` resolved for a direct dial; `nil` if none does.
  ///
  /// A name cannot get around a range: the routes that speak of `ip` are asked again, in order, with the address in
  /// the destination's place for their `ip` conditions and the name for all others. The first that holds decides.
  package func refusal(of address: IPAddress, for request: Request) -> Route? {
    nil
  }
}

/// What the table says of one request.
package struct Verdict: Sendable {
  package var outcome: Outcome
  package var route: Route?

  package init(outcome: Outcome, route: Route?) {
    self.outcome = outcome
    self.route = route
  }
}
