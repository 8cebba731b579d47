import Addresses
import Patterns

@testable import Routing

/// The table as its documentation reads: every route asked in order, every value walked. What the compiled one must equal.
struct NaiveTable {
  var routes: [Route]
  var fallback: Outcome

  func verdict(for request: Request) -> (outcome: Outcome, line: Int?) {
    for route in routes where holds(route.condition, request, nil, embedded: refuses(route, request)) {
      return (outcome(of: route, request), route.source.line)
    }
    return (fallback, nil)
  }

  func refusal(of address: IPAddress, for request: Request) -> Int? {
    for route in routes where speaksOfAddresses(route.condition) {
      if holds(route.condition, request, address, embedded: refuses(route, request)) {
        return refuses(route, request) ? route.source.line : nil
      }
    }
    return nil
  }

  private func outcome(of route: Route, _ request: Request) -> Outcome {
    guard request.command == .udp, case .chain(let chain) = route.outcome else { return route.outcome }
    return chain.hops.contains { $0.udp == .no } ? route.udp ?? route.outcome : route.outcome
  }

  private func refuses(_ route: Route, _ request: Request) -> Bool {
    [.reject, .drop].contains(outcome(of: route, request))
  }

  private func speaksOfAddresses(_ condition: Condition) -> Bool {
    switch condition {
    case .ip: true
    case .host(let patterns):
      patterns.contains { if case .exact(.address) = $0 { true } else { false } }
    case .any(let all), .all(let all): all.contains(where: speaksOfAddresses)
    case .not(let condition): speaksOfAddresses(condition)
    default: false
    }
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
    case .any(let conditions): return conditions.contains { holds($0, request, resolved, embedded: embedded) }
    case .all(let conditions):
      return conditions.allSatisfy { holds($0, request, resolved, embedded: embedded) }
    case .not(let condition):
      // Denied once, an embedded address must not count; denied twice, it counts again.
      return !holdsDenied(condition, request, resolved, embedded: embedded)
    }
  }

  private func holdsDenied(_ condition: Condition, _ request: Request, _ resolved: IPAddress?, embedded: Bool)
    -> Bool
  {
    switch condition {
    case .not(let inner): !holds(inner, request, resolved, embedded: embedded)
    case .any(let all): all.contains { holdsDenied($0, request, resolved, embedded: embedded) }
    case .all(let all): all.allSatisfy { holdsDenied($0, request, resolved, embedded: embedded) }
    default: holds(condition, request, resolved, embedded: false)
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
