import Addresses
import Printing
import Routing
import Settings

/// A verdict with its reasons.
struct Explanation {
  /// One route, and what it said.
  struct Judgement {
    enum Word: String {
      case taken
      case notTaken = "not taken"
      /// An earlier route had decided.
      case notReached = "not reached"
    }

    var route: Route
    var word: Word
    /// The values that held, or the first condition that did not.
    var reason: String
  }

  /// Who turns the destination's name into an address.
  enum Resolver {
    case hop(String)
    /// Of the way that a plan comes to.
    case lastHop(orHere: Bool)
    case hosts([IPAddress])
    case here
  }

  /// Why nothing gets to the destination, whatever the verdict.
  enum Obstacle {
    /// The listener does not serve the command, and no route is asked.
    case notServed(Listener)
    /// The chain does not carry UDP, because of this hop.
    case lost(at: Upstream)
    /// The last hop speaks SOCKS4 and cannot be told this destination.
    case unspeakable(to: Upstream, name: Bool)
    /// The last hop speaks HTTP, which cannot be asked for this command.
    case unknown(to: Upstream)
  }

  private let request: Request
  private let verdict: Verdict
  private let judgements: [Judgement]
  private let listener: Listener?
  private let hosts: HostOverrides
  /// What may still refuse an address to which the name resolves.
  private var refusals: [RouteTable.Refuser] = []
  private let all: Bool

  /// - Parameter all: whether every route is judged, and not only the one that decides.
  init(of request: Request, by configuration: Configuration, all: Bool) {
    self.request = request
    self.all = all
    listener = configuration.listeners.first { $0.id == request.listener }
    hosts = configuration.hosts
    let table = configuration.table
    verdict = table.verdict(for: request)
    var judgements: [Judgement] = []
    if let listener, !listener.serves(request.command) {
      self.judgements = judgements
      return
    }
    let mayCease = verdict.route?.condition.excludesAddresses == true
    for (route, account) in zip(table.routes, table.account(of: request)) {
      if route.refuses(request.command.network),
        route.condition.speaksOfAddresses || mayCease && account.finding == .holds
      {
        refusals.append(.route(route))
      }
      let word: Judgement.Word
      if let decided = verdict.routeIndex, account.index >= decided {
        word = account.index == decided ? .taken : .notReached
      } else {
        word = .notTaken
      }
      guard all || word == .taken else { continue }
      let reason = word == .notReached ? "" : account.reasons.joined(separator: ", ")
      judgements.append(Judgement(route: route, word: word, reason: reason))
    }
    if mayCease, table.fallback.refuses { refusals.append(.fallback) }
    self.judgements = judgements
  }

  /// What the route has put in the destination's place, or the destination itself.
  private var dialled: Endpoint { verdict.rewritten ?? request.destination }

  /// Empty when nothing passes them.
  private var hops: [Upstream] {
    guard case .chain(let chain) = verdict.outcome else { return [] }
    switch obstacle {
    case .notServed, .lost: return []
    case .unspeakable, .unknown, nil: return chain.hops
    }
  }

  /// `nil` when there is nothing to choose, or nothing passes.
  private var plan: Plan? {
    guard obstacle == nil, case .plan(let plan) = verdict.outcome else { return nil }
    return plan
  }

  private var obstacle: Obstacle? {
    if let listener, !listener.serves(request.command) { return .notServed(listener) }
    if request.command == .udp, let hop = verdict.outcome.hopWithoutUDP { return .lost(at: hop) }
    guard case .chain(let chain) = verdict.outcome else { return nil }
    guard let last = chain.hops.last else { return nil }
    if last.kind == .http, request.command != .connect { return .unknown(to: last) }
    switch (last.kind, dialled.host) {
    case (.socks4, .name): return .unspeakable(to: last, name: true)
    case (.socks4, .address(.v6)), (.socks4a, .address(.v6)): return .unspeakable(to: last, name: false)
    default: return nil
    }
  }

  /// Where the request goes in the end.
  private var fate: Outcome {
    switch obstacle {
    case .notServed: .reject
    case .lost: .drop
    case .unspeakable, .unknown, nil: verdict.outcome
    }
  }

  /// Where datagrams go when the chain turns out not to carry them; `nil` when that is known, or they are none.
  private var otherwise: Outcome? {
    let passed = plan?.stop.upstreams ?? hops
    guard request.command == .udp, passed.contains(where: { $0.udp == .auto }) else { return nil }
    return verdict.alternative ?? .drop
  }

  /// `nil` when there is no name, or nobody asks for its address.
  private var resolver: Resolver? {
    guard obstacle == nil, let name = dialled.host.name else { return nil }
    switch verdict.outcome {
    case .chain(let chain): return chain.hops.last.map { .hop($0.name) }
    case .plan(let plan): return .lastHop(orHere: plan.mayGoDirect)
    case .direct: return hosts.addresses(for: name).map(Resolver.hosts) ?? .here
    case .reject, .drop: return nil
    }
  }

  /// Whether a route by address may still have its say: after a name was resolved here.
  private var canBeRefused: Bool {
    switch resolver {
    case .here, .hosts, .lastHop(orHere: true): !refusals.isEmpty
    case .hop, .lastHop, nil: false
    }
  }
}

extension Listener {
  fileprivate func serves(_ command: Request.Command) -> Bool {
    switch command {
    case .connect: true
    case .bind: bind != nil && protocols != [.http]
    case .udp: udp != nil && protocols.contains(.socks5)
    }
  }
}

// MARK: - Text

extension Explanation {
  /// For people, several lines.
  var text: String {
    var lines = ["\(request.destination)  \(request.command.network)  →  \(fate)"]
    if case .notServed(let listener) = obstacle {
      lines.append(
        "  the listener '\(listener.id.name ?? listener.id.address)' does not serve \(request.command)")
      return lines.map(\.printable).joined(separator: "\n")
    }
    for judgement in judgements { lines += described(judgement) }
    if verdict.route == nil { lines.append("  no route holds: the default decides") }
    if verdict.gaveUp { lines.append("  a regular expression reached its limits: refused to be safe") }
    if let rewritten = verdict.rewritten { lines.append("  rewritten to: \(rewritten)") }
    if let route = verdict.refusal {
      lines.append("  refused, since this address is: route '\(route.label)'  \(route.source)")
    }
    if verdict.isAlternative, let hop = verdict.route?.outcome.hopWithoutUDP {
      lines.append("  by its 'udp' key: '\(hop.name)' does not carry UDP")
    }
    for (index, hop) in hops.enumerated() {
      lines.append("  hop \(index + 1)  \(hop.text)")
    }
    lines += plan?.lines ?? []
    if let otherwise { lines.append("  if a hop turns out to carry no UDP: \(otherwise)") }
    switch obstacle {
    case .lost(let hop): lines.append("  UDP is dropped: '\(hop.name)' does not carry it")
    case .unspeakable(let hop, name: true):
      lines.append("  fails: '\(hop.name)' speaks SOCKS4, which takes no names (socks4a does)")
    case .unspeakable(let hop, name: false):
      lines.append("  fails: '\(hop.name)' speaks SOCKS4, which knows no IPv6 addresses")
    case .unknown(let hop):
      lines.append("  fails: '\(hop.name)' speaks HTTP, which knows no \(request.command)")
    case .notServed, nil: break
    }
    switch resolver {
    case .hop(let name): lines.append("  the name is resolved by: \(name)")
    case .lastHop(let orHere):
      lines.append(
        "  the name is resolved by: the last hop" + (orHere ? ", or by this machine where there is none" : "")
      )
    case .hosts(let addresses):
      lines.append(
        "  the name is resolved by: hosts (\(addresses.map(\.description).joined(separator: ", ")))")
    case .here: lines.append("  the name is resolved by: this machine")
    case nil: break
    }
    if canBeRefused {
      let labels = refusals.compactMap(\.route).map { "'\($0.label)'" }.joined(separator: ", ")
      let hasDefault = refusals.contains { $0.route == nil }
      let refusers = (labels.isEmpty ? [] : ["route \(labels)"]) + (hasDefault ? ["the default"] : [])
      lines.append("  an address of it may still be refused by: \(refusers.joined(separator: ", "))")
    }
    return lines.map(\.printable).joined(separator: "\n")
  }

  private func described(_ judgement: Judgement) -> [String] {
    let route = judgement.route
    let name = route.name.map { "route '\($0)'" } ?? "route"
    var line = "  \(name)  \(route.source)   "
    if all { line += judgement.word.rawValue + (judgement.reason.isEmpty ? "" : ": ") }
    line += judgement.reason
    guard judgement.word == .taken, let note = route.note else { return [line] }
    return [line, "  note: \(note)"]
  }
}

// MARK: - JSON

extension Explanation {
  /// For programs, one object.
  var json: JSON {
    var members: [JSON.Member] = []
    func add(_ key: String, _ value: JSON) { members.append(JSON.Member(key: key, value: value)) }
    add("destination", .string(request.destination.description))
    add("network", .string(request.command.network.rawValue))
    add("command", .string(request.command.rawValue))
    if let rewritten = verdict.rewritten { add("rewritten_to", .string(rewritten.description)) }
    add("outcome", .string(outcomeWord))
    if let route = verdict.refusal { add("refused_by", .string(route.label)) }
    if case .notServed = obstacle {} else if verdict.isAlternative { add("by_udp_key", .bool(true)) }
    if let otherwise { add("udp_otherwise", .string(otherwise.description)) }
    switch obstacle {
    case .notServed: add("obstacle", "the listener does not serve the command")
    case .lost(let hop): add("obstacle", .string("\(hop.name) carries no UDP"))
    case .unspeakable(let hop, name: true): add("obstacle", .string("\(hop.name) takes no names"))
    case .unspeakable(let hop, name: false): add("obstacle", .string("\(hop.name) takes no IPv6 addresses"))
    case .unknown(let hop): add("obstacle", .string("\(hop.name) knows no \(request.command)"))
    case nil: break
    }
    add("hops", .array(hops.map(\.json)))
    if let plan { add("plan", plan.json) }
    add("route", judgements.first { $0.word == .taken }.map(json) ?? .null)
    switch resolver {
    case .hop(let name): add("resolved_by", .string(name))
    case .lastHop: add("resolved_by", "the last hop")
    case .hosts: add("resolved_by", "hosts")
    case .here: add("resolved_by", "this machine")
    case nil: add("resolved_by", nil)
    }
    if canBeRefused { add("may_be_refused_by", .array(refusals.map { .string($0.label) })) }
    if all { add("routes", .array(judgements.map(json))) }
    return .object(members)
  }

  private var outcomeWord: String {
    switch fate {
    case .direct: "direct"
    case .chain: "chain"
    case .plan: "plan"
    case .reject: "reject"
    case .drop: "drop"
    }
  }

  private func json(_ judgement: Judgement) -> JSON {
    let route = judgement.route
    return [
      "name": route.name.map(JSON.string) ?? nil, "note": route.note.map(JSON.string) ?? nil,
      "file": .string(route.source.file), "line": .int(route.source.line),
      "judgement": .string(judgement.word.rawValue), "reason": .string(judgement.reason),
    ]
  }
}
