import Addresses
import Patterns

/// What one route makes of a request, and why.
package struct RouteAccount: Sendable {
  package enum Finding: Hashable, Sendable {
    case holds
    case fails
    /// A regular expression reached its limits.
    case gaveUp
  }

  /// Where the route stands in the table.
  package let index: Int
  package let finding: Finding
  /// When it holds, every condition with the value that held: `domain corp.example`, `port 25`. Else the first
  /// condition that did not: `not port 25`. Values are as the table writes them, nothing is the client's.
  package let reasons: [String]
}

extension RouteTable {
  /// Every route's account of `request`, in the table's order; the first that does not fail is the verdict.
  ///
  /// For `explain`: it walks every value of every condition.
  package func account(of request: Request) -> [RouteAccount] {
    routes.indices.map { index in
      let route = routes[index]
      let network = request.command.network
      let witness = Witness(
        request: request, countsEmbedded: route.refuses(network),
        countsEmbeddedBelowNot: route.isDirect(network))
      let (finding, reasons) = witness.account(of: route.condition)
      return RouteAccount(index: index, finding: finding, reasons: reasons)
    }
  }
}

/// Asks conditions about a request, one value after another, and remembers which held.
private struct Witness {
  typealias Account = (finding: RouteAccount.Finding, reasons: [String])

  let request: Request
  /// Whether a prefix also holds for an address that embeds one inside it; the same below an odd number of `not`.
  let countsEmbedded: Bool
  let countsEmbeddedBelowNot: Bool
  var isDenied = false

  func account(of condition: Condition) -> Account {
    switch condition {
    case .domain(let domains):
      guard let name = request.destination.host.name?.text else { return Self.failed(condition) }
      let held = domains.first { name == $0.text || name.hasSuffix(".\($0.text)") }
      return Self.account(held.map { .domain([$0]) }, of: condition)
    case .host(let patterns):
      return account(of: patterns.sorted { $0.cost < $1.cost }, of: condition)
    case .ip(let prefixes):
      guard let address = request.destination.host.address else {
        return (.fails, ["not \(condition): the destination is a name"])
      }
      return prefixes.lazy.compactMap { reason(for: address, in: $0) }.first.map { (.holds, ["ip \($0)"]) }
        ?? Self.failed(condition)
    case .port(let ranges):
      let held = ranges.first { $0.contains(request.destination.port) }
      return Self.account(held.map { .port([$0]) }, of: condition)
    case .network(let networks):
      let held = networks.first { $0 == request.command.network }
      return Self.account(held.map { .network([$0]) }, of: condition)
    case .command(let commands):
      let held = commands.first { $0 == request.command }
      return Self.account(held.map { .command([$0]) }, of: condition)
    case .client(let prefixes):
      guard let client = request.client?.unmapped else { return Self.failed(condition) }
      let held = prefixes.first { $0.contains(client) }
      return Self.account(held.map { .client([$0]) }, of: condition)
    case .user(let users):
      guard let user = request.user else { return (.fails, ["not \(condition): the client gave no name"]) }
      let held = users.first { $0.utf8.elementsEqual(user.utf8) }
      return Self.account(held.map { .user([$0]) }, of: condition)
    case .listener(let listeners):
      let held = listeners.first { $0 == request.listener.address || $0 == request.listener.name }
      return Self.account(held.map { .listener([$0]) }, of: condition)
    case .any(let conditions):
      for child in Condition.cheapFirst(conditions) {
        let account = account(of: child)
        if account.finding != .fails { return account }
      }
      return Self.failed(condition)
    case .all(let conditions) where conditions.isEmpty:
      return (.holds, [condition.description])
    case .all(let conditions):
      var reasons: [String] = []
      for child in Condition.cheapFirst(conditions) {
        let account = account(of: child)
        guard account.finding == .holds else { return account }
        reasons += account.reasons
      }
      return (.holds, reasons)
    case .not(let child):
      var denied = self
      denied.isDenied.toggle()
      let account = denied.account(of: child)
      switch account.finding {
      case .holds: return (.fails, account.reasons.map { "\($0) is excluded" })
      case .fails: return (.holds, [condition.description])
      case .gaveUp: return account
      }
    }
  }

  private func account(of patterns: [HostPattern], of condition: Condition) -> Account {
    let host = request.destination.host
    for pattern in patterns {
      switch (pattern, host) {
      case (.exact(.name(let exact)), .name(let name)) where exact == name:
        return (.holds, ["host \(pattern)"])
      case (.exact(.address(let exact)), .address(let address)):
        guard let reason = reason(for: address, in: Prefix(exact)) else { continue }
        return (.holds, ["host \(reason)"])
      case (.glob(let glob), .name(let name)) where glob.matches(name.text.utf8Span.span):
        return (.holds, ["host \(pattern)"])
      case (.expression(let expression), .name(let name)):
        switch expression.match(name.text) {
        case .matched: return (.holds, ["host \(pattern)"])
        case .notMatched: continue
        case .gaveUp: return (.gaveUp, ["host \(pattern) reached its limits"])
        }
      default: continue
      }
    }
    return Self.failed(condition)
  }

  private func reason(for address: IPAddress, in prefix: Prefix) -> String? {
    let range = prefix.length == prefix.address.bitWidth ? prefix.address.description : prefix.description
    if prefix.contains(address) { return range }
    if address.isUnspecified {
      let loopback: IPAddress = address.bitWidth == 32 ? .loopback4 : .loopback6
      return prefix.contains(loopback) ? "\(range) (counts as \(loopback))" : nil
    }
    guard isDenied ? countsEmbeddedBelowNot : countsEmbedded, let embedded = address.embedded4,
      prefix.contains(embedded)
    else { return nil }
    return "\(range) (embeds \(embedded))"
  }

  private static func account(_ held: Condition?, of condition: Condition) -> Account {
    held.map { (.holds, [$0.description]) } ?? failed(condition)
  }

  private static func failed(_ condition: Condition) -> Account {
    (.fails, ["not \(condition)"])
  }
}
