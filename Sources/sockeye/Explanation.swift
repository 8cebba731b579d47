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
    case hosts([IPAddress])
    case here
  }

  private let request: Request
  private let verdict: Verdict
  private let judgements: [Judgement]
  private let hosts: HostOverrides
  /// Routes that may still refuse an address to which the name resolves.
  private let refusals: [Route]
  private let all: Bool

  /// - Parameter all: whether every route is judged, and not only the one that decides.
  init(of request: Request, by configuration: Configuration, all: Bool) {
    self.request = request
    self.all = all
    hosts = configuration.hosts
    let table = configuration.table
    verdict = table.verdict(for: request)
    refusals = table.routes.filter { $0.refuses(request.command.network) && $0.condition.speaksOfAddresses }

    var judgements: [Judgement] = []
    for (route, account) in zip(table.routes, table.account(of: request)) {
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
    self.judgements = judgements
  }

  private var hops: [Upstream] {
    guard case .chain(let chain) = verdict.outcome else { return [] }
    return chain.hops
  }

  /// `nil` when there is no name, or nobody asks for its address.
  private var resolver: Resolver? {
    guard let name = request.destination.host.name else { return nil }
    switch verdict.outcome {
    case .chain(let chain): return chain.hops.last.map { .hop($0.name) }
    case .direct: return hosts.addresses(for: name).map(Resolver.hosts) ?? .here
    case .reject, .drop: return nil
    }
  }

  /// Whether a route by address may still have its say: after a name was resolved here.
  private var canBeRefused: Bool {
    switch resolver {
    case .here, .hosts: !refusals.isEmpty
    case .hop, nil: false
    }
  }
}

// MARK: - Text

extension Explanation {
  /// For people, several lines.
  var text: String {
    var lines = ["\(request.destination)  \(request.command.network)  →  \(verdict.outcome)"]
    for judgement in judgements { lines += described(judgement) }
    if verdict.route == nil { lines.append("  no route holds: the default decides") }
    if verdict.gaveUp { lines.append("  a regular expression reached its limits: refused to be safe") }
    for (index, hop) in hops.enumerated() {
      let user = hop.credentials.map { "  (\($0))" } ?? ""
      lines.append("  hop \(index + 1)  \(hop.name)  socks5://\(hop.endpoint)\(user)")
    }
    switch resolver {
    case .hop(let name): lines.append("  the name is resolved by: \(name)")
    case .hosts(let addresses):
      lines.append(
        "  the name is resolved by: hosts (\(addresses.map(\.description).joined(separator: ", ")))")
    case .here: lines.append("  the name is resolved by: this machine")
    case nil: break
    }
    if canBeRefused {
      let labels = refusals.map { "'\($0.label)'" }.joined(separator: ", ")
      lines.append("  an address of it may still be refused by: route \(labels)")
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
    add("outcome", .string(outcomeWord))
    add("hops", .array(hops.map(Self.json)))
    add("route", judgements.first { $0.word == .taken }.map(json) ?? .null)
    switch resolver {
    case .hop(let name): add("resolved_by", .string(name))
    case .hosts: add("resolved_by", "hosts")
    case .here: add("resolved_by", "this machine")
    case nil: add("resolved_by", nil)
    }
    if canBeRefused { add("may_be_refused_by", .array(refusals.map { .string($0.label) })) }
    if all { add("routes", .array(judgements.map(json))) }
    return .object(members)
  }

  private var outcomeWord: String {
    switch verdict.outcome {
    case .direct: "direct"
    case .chain: "chain"
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

  private static func json(_ hop: Upstream) -> JSON {
    [
      "name": .string(hop.name), "protocol": "socks5", "endpoint": .string(hop.endpoint.description),
      "user": hop.credentials.map { .string(String(decoding: $0.username, as: UTF8.self)) } ?? nil,
    ]
  }
}
