import Addresses
import Patterns

/// The routes' conditions in the form that decides quickly.
///
/// Every value a condition lists stands in one index of its kind, shared by all routes. A request is looked up once
/// in each; the values found say which listing conditions hold, and suggest the routes worth asking. A route that no
/// value can suggest, because it speaks of ports or patterns only, is always asked. So a verdict costs a few lookups
/// and the full conditions of the routes suggested, in their order, however many values and other routes there are.
final class CompiledRoutes: Sendable {
  /// A condition's steps stand in preorder: those of a group behind it, up to its `end`.
  enum Step: Sendable {
    case all(end: UInt32)
    case any(end: UInt32)
    case not(end: UInt32)
    /// The destination is a name the condition lists, or below one.
    case domain(UInt32)
    /// The destination is a name the condition lists.
    case name(UInt32)
    /// The destination is below a name the condition lists: `*.example.com`.
    case below(UInt32)
    /// The destination is an address inside a prefix the condition lists, or for some requests embeds such a one.
    case address(UInt32, embedded: Embedding)
    case client(UInt32)
    case user(UInt32)
    case listener(UInt32)
    /// Positions in `ports`, `globs`, `expressions`.
    case ports(first: UInt32, end: UInt32)
    case globs(first: UInt32, end: UInt32)
    case expressions(first: UInt32, end: UInt32)
    case network(Request.Network)
    case command(Request.Command)
  }

  /// For which requests an address counts as the IPv4 address it embeds.
  enum Embedding: Sendable {
    case none
    case udp
    case all

    func counts(for network: Request.Network) -> Bool { self == .all || self == .udp && network == .udp }
  }

  enum Truth: Sendable {
    case holds
    case fails
    /// A regular expression reached its limits.
    case gaveUp
  }

  private let steps: [Step]
  /// Where each route's steps begin.
  private let starts: [UInt32]
  /// The routes that are always asked.
  private let unsuggested: [UInt32]
  /// Those among them that speak of addresses, and for every route whether it does.
  private let unsuggestedOfAddresses: [UInt32]
  private let speaksOfAddresses: [Bool]
  /// Whether a route speaks of addresses, and whether one does below a `not`.
  let asksForAddresses: Bool
  let excludesAddresses: Bool

  private let names: NameIndex
  private let namePostings: Postings
  private let addresses: PrefixIndex
  private let addressPostings: Postings
  private let clients: PrefixIndex
  private let clientPostings: Postings
  private let users: NameIndex
  private let userPostings: Postings
  private let listeners: NameIndex
  private let listenerPostings: Postings

  /// Ascending and apart within one condition.
  private let ports: [ClosedRange<UInt16>]
  private let globs: [Glob]
  private let expressions: [RegularExpression]

  init(_ routes: [Route]) {
    let compiler = RouteCompiler(routes)
    steps = compiler.steps
    starts = compiler.starts
    unsuggested = compiler.unsuggested
    speaksOfAddresses = compiler.speaksOfAddresses
    unsuggestedOfAddresses = compiler.unsuggested.filter { compiler.speaksOfAddresses[Int($0)] }
    asksForAddresses = compiler.speaksOfAddresses.contains(true)
    excludesAddresses = compiler.excludesAddresses
    (names, namePostings) = compiler.names.finish(nested: true)
    (addresses, addressPostings) = compiler.addresses.finish()
    (clients, clientPostings) = compiler.clients.finish()
    (users, userPostings) = compiler.users.finish(nested: false)
    (listeners, listenerPostings) = compiler.listeners.finish(nested: false)
    ports = compiler.ports
    globs = compiler.globs
    expressions = compiler.expressions
  }
}

// MARK: - Looking up

extension CompiledRoutes {
  /// The innermost value that the request meets in each index.
  struct Hits {
    var name = Postings.none
    /// The same when it is the whole name, and what lies around the whole name.
    var wholeName = Postings.none
    var belowName = Postings.none
    var address = Postings.none
    /// The loopback address that the unspecified one stands for.
    var loopback = Postings.none
    var embedded = Postings.none
    var client = Postings.none
    var user = Postings.none
    var listenerAddress = Postings.none
    var listenerName = Postings.none
  }

  func hits(of request: Request, address resolved: IPAddress?) -> Hits {
    var hits = Hits()
    if case .name(let name) = request.destination.host,
      let found = names.innermost(of: name.text.utf8Span.span)
    {
      hits.name = Postings.Value(found.key)
      hits.wholeName = found.isWhole ? hits.name : Postings.none
      hits.belowName = found.isWhole ? namePostings.enclosing(hits.name) : hits.name
    }
    if let address = (resolved ?? request.destination.host.address)?.unmapped {
      hits.address = addresses.value(containing: address)
      if address.isUnspecified {
        hits.loopback = addresses.value(containing: address.bitWidth == 32 ? .loopback4 : .loopback6)
      } else if let embedded = address.embedded4 {
        hits.embedded = addresses.value(containing: embedded)
      }
    }
    if let client = request.client { hits.client = clients.value(containing: client.unmapped) }
    if users.count > 0, let user = request.user { hits.user = users.value(equalTo: user) }
    if listeners.count > 0 {
      hits.listenerAddress = listeners.value(equalTo: request.listener.address)
      if let name = request.listener.name { hits.listenerName = listeners.value(equalTo: name) }
    }
    return hits
  }
}

extension PrefixIndex {
  fileprivate func value(containing address: IPAddress) -> Postings.Value {
    innermost(containing: address).map { Postings.Value($0) } ?? Postings.none
  }
}

extension NameIndex {
  fileprivate func value(equalTo text: String) -> Postings.Value {
    whole(text.utf8Span.span).map { Postings.Value($0) } ?? Postings.none
  }
}

// MARK: - Deciding

extension CompiledRoutes {
  /// The first route whose condition holds or gives up.
  ///
  /// - Parameter address: what the name in `request` resolved to: the destination of conditions on addresses, while the
  ///   name remains that of all others.
  func first(for request: Request, address: IPAddress? = nil) -> (route: Int, truth: Truth)? {
    let hits = hits(of: request, address: address)
    return first(hits, always: unsuggested) { route in
      truth(at: Int(starts[route]), of: request, hits)
    }
  }

  /// The first route whose condition holds because of `address`, or gives up and speaks of addresses.
  ///
  /// A condition holds because of the address when one of the reasons why it holds is a condition on addresses: `any` of a
  /// name and a range does when the address is in the range, whether or not the name is the one listed.
  func firstBecause(of address: IPAddress, for request: Request) -> (route: Int, truth: Truth)? {
    let hits = hits(of: request, address: address)
    return first(hits, always: unsuggestedOfAddresses) { route in
      guard speaksOfAddresses[route] else { return .fails }
      let start = Int(starts[route])
      let truth = truth(at: start, of: request, hits)
      guard truth == .holds else { return truth }
      return restsOnAddress(at: start, .holds, of: request, hits) ? .holds : .fails
    }
  }

  /// The first route suggested, or among those always asked, that does not fail.
  private func first(
    _ hits: Hits, always: [UInt32], truth: (_ route: Int) -> Truth
  ) -> (route: Int, truth: Truth)? {
    var nextAlways = 0
    var suggestions = Suggestions()
    var passed = -1
    while true {
      advance(&suggestions, past: passed, hits)
      let candidate = min(suggestions.first, nextAlways < always.count ? Int(always[nextAlways]) : .max)
      guard candidate < .max else { return nil }
      let truth = truth(candidate)
      if truth != .fails { return (candidate, truth) }
      passed = candidate
      if nextAlways < always.count, always[nextAlways] == candidate { nextAlways += 1 }
    }
  }

  /// The next route that each of the hits suggests; `Int.max` when there is none.
  private struct Suggestions {
    var name = -1
    var address = -1
    var loopback = -1
    var embedded = -1
    var client = -1
    var user = -1
    var listenerAddress = -1
    var listenerName = -1

    var first: Int {
      min(
        min(min(name, address), min(loopback, embedded)),
        min(min(client, user), min(listenerAddress, listenerName)))
    }
  }

  private func advance(_ next: inout Suggestions, past passed: Int, _ hits: Hits) {
    func following(_ route: Int, _ postings: Postings, _ value: Postings.Value) -> Int {
      if route > passed { return route }
      return value == Postings.none ? .max : postings.firstRoute(after: passed, around: value) ?? .max
    }
    next.name = following(next.name, namePostings, hits.name)
    next.address = following(next.address, addressPostings, hits.address)
    next.loopback = following(next.loopback, addressPostings, hits.loopback)
    next.embedded = following(next.embedded, addressPostings, hits.embedded)
    next.client = following(next.client, clientPostings, hits.client)
    next.user = following(next.user, userPostings, hits.user)
    next.listenerAddress = following(next.listenerAddress, listenerPostings, hits.listenerAddress)
    next.listenerName = following(next.listenerName, listenerPostings, hits.listenerName)
  }

  /// Whether the condition whose steps begin at `position` holds.
  ///
  /// The first expression that gives up ends the matter, so that a verdict waits for at most one of those.
  private func truth(at position: Int, of request: Request, _ hits: Hits) -> Truth {
    func truth(_ holds: Bool) -> Truth { holds ? .holds : .fails }
    switch steps[position] {
    case .all(let end):
      var child = position + 1
      while child < end {
        let truth = self.truth(at: child, of: request, hits)
        if truth != .holds { return truth }
        child = self.end(of: child)
      }
      return .holds
    case .any(let end):
      var child = position + 1
      while child < end {
        let truth = self.truth(at: child, of: request, hits)
        if truth != .fails { return truth }
        child = self.end(of: child)
      }
      return .fails
    case .not:
      switch self.truth(at: position + 1, of: request, hits) {
      case .holds: return .fails
      case .fails: return .holds
      case .gaveUp: return .gaveUp
      }
    case .domain(let leaf): return truth(namePostings.contains(leaf, around: hits.name))
    case .below(let leaf): return truth(namePostings.contains(leaf, around: hits.belowName))
    case .name(let leaf): return truth(namePostings.contains(leaf, at: hits.wholeName))
    case .address(let leaf, let embedded):
      return truth(
        addressPostings.contains(leaf, around: hits.address)
          || addressPostings.contains(leaf, around: hits.loopback)
          || embedded.counts(for: request.command.network)
            && addressPostings.contains(leaf, around: hits.embedded)
      )
    case .client(let leaf): return truth(clientPostings.contains(leaf, around: hits.client))
    case .user(let leaf): return truth(userPostings.contains(leaf, at: hits.user))
    case .listener(let leaf):
      return truth(
        listenerPostings.contains(leaf, at: hits.listenerAddress)
          || listenerPostings.contains(leaf, at: hits.listenerName))
    case .ports(let first, let end):
      return truth(contains(request.destination.port, from: Int(first), to: Int(end)))
    case .globs(let first, let end):
      guard case .name(let name) = request.destination.host else { return .fails }
      for index in Int(first)..<Int(end) where globs[index].matches(name.text.utf8Span.span) { return .holds }
      return .fails
    case .expressions(let first, let end):
      guard case .name(let name) = request.destination.host else { return .fails }
      for index in Int(first)..<Int(end) {
        switch expressions[index].match(name.text) {
        case .matched: return .holds
        case .notMatched: continue
        case .gaveUp: return .gaveUp
        }
      }
      return .fails
    case .network(let network): return truth(request.command.network == network)
    case .command(let command): return truth(request.command == command)
    }
  }

  /// Whether a condition on addresses is among the reasons why the condition at `position` holds, or fails.
  ///
  /// - Parameter outcome: `holds` or `fails`, which of the two it does.
  private func restsOnAddress(at position: Int, _ outcome: Truth, of request: Request, _ hits: Hits) -> Bool {
    switch steps[position] {
    case .address: return true
    case .not: return restsOnAddress(at: position + 1, outcome == .holds ? .fails : .holds, of: request, hits)
    case .all(let end), .any(let end):
      var child = position + 1
      while child < end {
        // Asked in this order, conditions without addresses are not evaluated again.
        if restsOnAddress(at: child, outcome, of: request, hits),
          truth(at: child, of: request, hits) == outcome
        {
          return true
        }
        child = self.end(of: child)
      }
      return false
    default: return false
    }
  }

  private func end(of position: Int) -> Int {
    switch steps[position] {
    case .all(let end), .any(let end), .not(let end): Int(end)
    default: position + 1
    }
  }

  private func contains(_ port: UInt16, from first: Int, to end: Int) -> Bool {
    var low = first
    var high = end
    while low < high {
      let middle = (low + high) / 2
      if ports[middle].upperBound < port { low = middle + 1 } else { high = middle }
    }
    return low < end && ports[low].contains(port)
  }
}
