import Addresses
import Patterns

@testable import Routing

/// The table as its documentation reads: every route asked in order, every value walked. What the compiled one must equal.
struct NaiveTable {
  var routes: [Route]
  var fallback: Outcome

  func verdict(for request: Request) -> (outcome: Outcome, line: Int?) {
    for route in routes where finding(route, request, nil).holds {
      return (outcome(of: route, request), route.source.line)
    }
    return (fallback, nil)
  }

  /// What refuses the address of the name in `request`, by a table that knows both: a line, or 0 for the default.
  func refusal(of address: IPAddress, for request: Request) -> Int? {
    let findings = routes.map { finding($0, request, address) }
    if let index = findings.firstIndex(where: { $0.holds && $0.becauseOfAddress }),
      refuses(routes[index], request)
    {
      return routes[index].source.line
    }
    guard let index = findings.firstIndex(where: \.holds) else { return isRefusal(fallback) ? 0 : nil }
    return refuses(routes[index], request) ? routes[index].source.line : nil
  }

  private func outcome(of route: Route, _ request: Request) -> Outcome {
    guard request.command == .udp, case .chain(let chain) = route.outcome else { return route.outcome }
    return chain.hops.contains { $0.udp == .no } ? route.udp ?? route.outcome : route.outcome
  }

  private func refuses(_ route: Route, _ request: Request) -> Bool { isRefusal(outcome(of: route, request)) }

  private func isRefusal(_ outcome: Outcome) -> Bool { [.reject, .drop].contains(outcome) }

  private typealias Finding = (holds: Bool, becauseOfAddress: Bool)

  /// - Parameter resolved: what the name in `request` is known to resolve to.
  private func finding(_ route: Route, _ request: Request, _ resolved: IPAddress?) -> Finding {
    let outcome = outcome(of: route, request)
    return finding(
      route.condition, request, resolved, embedded: isRefusal(outcome), excluded: outcome == .direct)
  }

  /// Whether the condition holds, and whether an address is a reason for what it does.
  ///
  /// - Parameters:
  ///   - embedded: an address counts as the one it embeds.
  ///   - excluded: it does below one more `not`.
  private func finding(
    _ condition: Condition, _ request: Request, _ resolved: IPAddress?, embedded: Bool, excluded: Bool
  ) -> Finding {
    func nested(_ conditions: [Condition]) -> [Finding] {
      conditions.map { finding($0, request, resolved, embedded: embedded, excluded: excluded) }
    }
    switch condition {
    case .ip:
      return (holds(condition, request, resolved, embedded: embedded), true)
    case .host(let patterns):
      let findings = patterns.map { pattern in
        let isAddress = if case .exact(.address) = pattern { true } else { false }
        return (holds(.host([pattern]), request, resolved, embedded: embedded), isAddress)
      }
      return any(of: findings)
    case .any(let conditions):
      return any(of: nested(conditions))
    case .all(let conditions):
      return opposite(any(of: nested(conditions).map(opposite)))
    case .not(let condition):
      return opposite(finding(condition, request, resolved, embedded: excluded, excluded: embedded))
    default:
      return (holds(condition, request, resolved, embedded: embedded), false)
    }
  }

  private func opposite(_ finding: Finding) -> Finding { (!finding.holds, finding.becauseOfAddress) }

  private func any(of findings: [Finding]) -> Finding {
    let holds = findings.contains(where: \.holds)
    return (holds, findings.contains { $0.holds == holds && $0.becauseOfAddress })
  }

  private func holds(_ condition: Condition, _ request: Request, _ resolved: IPAddress?, embedded: Bool)
    -> Bool
  {
    let name = request.destination.host.name?.text
    let address = resolved ?? request.destination.host.address
    func isIn(_ prefix: Prefix) -> Bool {
      guard let address else { return false }
      if prefix.contains(address) { return true }
      if address == .unspecified4 { return prefix.contains(.loopback4) }
      if address == .unspecified6 { return prefix.contains(.loopback6) }
      return embedded && address.embedded4.map(prefix.contains) == true
    }
    switch condition {
    case .domain(let domains):
      return name.map { name in domains.contains { name == $0.text || name.hasSuffix("." + $0.text) } }
        ?? false
    case .host(let patterns):
      return patterns.contains { pattern in
        switch pattern {
        case .exact(.name(let exact)): exact.text == name
        case .exact(.address(let address)): isIn(Prefix(address))
        case .glob(let glob):
          name.map { matches(Array(glob.pattern.utf8)[...], Array($0.utf8)[...]) } ?? false
        case .expression(let expression): name.map { expression.match($0) == .matched } ?? false
        }
      }
    case .ip(let prefixes): return prefixes.contains(where: isIn)
    case .port(let ranges): return ranges.contains { $0.contains(request.destination.port) }
    case .network(let networks): return networks.contains(request.command == .udp ? .udp : .tcp)
    case .command(let commands): return commands.contains(request.command)
    case .client(let prefixes):
      return prefixes.contains { prefix in request.client.map(prefix.contains) ?? false }
    case .user(let users): return users.contains { $0 == request.user }
    case .listener(let listeners):
      return listeners.contains { $0 == request.listener.address || $0 == request.listener.name }
    case .any, .all, .not: preconditionFailure("nested conditions are taken apart before")
    }
  }

  private func matches(_ glob: ArraySlice<UInt8>, _ text: ArraySlice<UInt8>) -> Bool {
    guard let first = glob.first else { return text.isEmpty }
    if first == UInt8(ascii: "*") {
      return matches(glob.dropFirst(), text) || !text.isEmpty && matches(glob, text.dropFirst())
    }
    return text.first == first && matches(glob.dropFirst(), text.dropFirst())
  }
}
