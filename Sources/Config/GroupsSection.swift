import Addresses
import Routing

/// `groups:`.
extension TableReader {
  private static let keys = Keys(["members", "strategy", "weights", "sticky", "check"])
  private static let checkKeys = Keys(["to", "every", "timeout"])
  private static let example = "{members: [de, nl]}"
  private static let checkExample = "{to: \"www.example.com:443\", every: 30s, timeout: 5s}"

  /// The words of `strategy`.
  private enum Word: String, CaseIterable {
    case failover
    case roundRobin = "round-robin"
    case random
    case fastest
    case leastConnections = "least-connections"
    case sticky
  }

  func readGroups(_ node: Node) -> [String] {
    let form = Form("a map from names to groups", "{exits: \(Self.example)}")
    let entries = namedEntries(node, form).filter { declare($0.name, $0.key) }
    for (name, _, value) in entries { names.groups[name] = value }
    return entries.map(\.name)
  }

  func readGroup(_ name: String, _ node: Node, nesting: Int) -> ResolvedStop {
    guard let fields = fields(node, "a group", Self.example, Self.keys) else { return .broken }
    let strategy = readStrategy(fields)
    let check = fields["check"].map(readCheck) ?? .some(nil)
    guard let list = fields["members"] else {
      error(node, "a group needs its 'members' (write \(Self.example))")
      return .broken
    }
    guard let (stops, deepest, size) = readMembers(list, nesting: nesting) else { return .broken }
    let weights = readWeights(fields.field("weights"), of: stops, strategy)
    guard let strategy, let check, let weights else { return .broken }
    let members = stops.map { Group.Member($0, weight: weights[$0.description] ?? 1) }
    let group = Group(name: name, members: members, strategy: strategy, check: check)
    return .stop(.group(group), nesting: deepest + 1, size: size)
  }

  private func readMembers(_ node: Node, nesting: Int) -> (stops: [Stop], deepest: Int, size: Int)? {
    let form = Form("a list of upstreams, groups and chains", "[de, nl]")
    let nodes = list(node, form)
    var stops: [Stop] = []
    var met: Set<Stop> = []
    var deepest = 0
    var size = 0
    for node in nodes {
      let isDirect = node.kind == .scalar && node.text == "direct"
      let resolved: ResolvedStop
      if isDirect {
        resolved = .stop(.direct, nesting: 0, size: 1)
      } else if node.kind == .scalar, ["reject", "drop"].contains(node.text) {
        error(node, "'\(node.text)' cannot be a member of a group (remove it, or write a route)")
        continue
      } else if node.kind == .sequence {
        resolved = resolve(positions: node, nesting: nesting)
      } else {
        resolved = resolve(name: node, isAlone: false, nesting: nesting)
      }
      guard case .stop(let stop, let inner, let count) = resolved else { continue }
      deepest = max(deepest, inner)
      size += count
      guard bounded(size, at: node) != nil else { return nil }
      if met.insert(stop).inserted {
        stops.append(stop)
      } else {
        error(node, "'\(stop)' is listed twice in this group (remove one)")
      }
    }
    return stops.isEmpty || stops.count != nodes.count ? nil : (stops, deepest, size)
  }

  // MARK: Strategy

  private func readStrategy(_ fields: Fields) -> Group.Strategy? {
    let written = fields["strategy"].map { word($0, Word.self) } ?? .failover
    guard let written else { return nil }
    if written != .sticky, let field = fields.field("sticky") {
      error(
        field.key,
        "'sticky' is for 'strategy: sticky', and this group's is '\(written.rawValue)'"
          + " (write 'strategy: sticky', or remove it)")
      return nil
    }
    switch written {
    case .failover: return .failover
    case .roundRobin: return .roundRobin
    case .random: return .random
    case .fastest: return .fastest
    case .leastConnections: return .leastConnections
    case .sticky:
      let key = fields["sticky"].map { word($0, Group.Key.self) } ?? .client
      return key.map { .sticky($0) }
    }
  }

  /// By the names of members.
  private func readWeights(
    _ field: Fields.Field?, of members: [Stop], _ strategy: Group.Strategy?
  ) -> [String: Int]? {
    guard let field else { return [:] }
    if let strategy, strategy != .random {
      error(field.key, "'weights' are for 'strategy: random' (write that, or remove them)")
      return nil
    }
    let form = Form("a map from members to numbers", "{de: 3, nl: 1}")
    var weights: [String: Int] = [:]
    var isValid = field.value.kind == .mapping
    let known = members.map(\.description)
    let names = Set(known)
    for (name, key, value) in namedEntries(field.value, form) {
      if !names.contains(name) {
        let near = suggest(for: name, among: known).map { "did you mean '\($0)'?" }
        error(key, "the group has no member \(quoted(name)) (\(near ?? "add it to 'members', or remove it"))")
        isValid = false
      } else if let weight = integer(value, in: 1...1000) {
        weights[name] = weight
      } else {
        isValid = false
      }
    }
    return isValid ? weights : nil
  }

  // MARK: Check

  /// `.some(nil)` for `off`.
  private func readCheck(_ node: Node) -> Group.Check?? {
    guard node.kind == .mapping else {
      let form = Form("'off' or a map", Self.checkExample)
      guard let text = text(node, form) else { return nil }
      if text == "off" { return .some(nil) }
      mismatch(node, form)
      return nil
    }
    guard let fields = fields(node, "a check", Self.checkExample, Self.checkKeys) else { return nil }
    let interval = fields["every"].map { duration($0) } ?? .seconds(30)
    let timeout = fields["timeout"].map { duration($0) } ?? .seconds(5)
    guard let to = fields["to"] else {
      error(node, "a check needs 'to', what is dialled through each member (write \(Self.checkExample))")
      return nil
    }
    let form = Form("a host and a port", "www.example.com:443")
    guard let text = text(to, form), let interval, let timeout else { return nil }
    guard let endpoint = Endpoint(text), endpoint.port > 0, endpoint.host.address?.isDialable != false else {
      mismatch(to, form)
      return nil
    }
    return Group.Check(to: endpoint, every: interval, timeout: timeout)
  }
}
