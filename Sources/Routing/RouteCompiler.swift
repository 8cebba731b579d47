import Addresses
import Patterns

/// Turns conditions into steps and gathers their values into the indexes.
struct RouteCompiler {
  private(set) var steps: [CompiledRoutes.Step] = []
  private(set) var starts: [UInt32] = []
  private(set) var unsuggested: [UInt32] = []
  private(set) var speaksOfAddresses: [Bool] = []
  /// Whether a route speaks of addresses below an odd number of `not`.
  private(set) var excludesAddresses = false
  private(set) var names: NameGatherer
  private(set) var addresses = PrefixGatherer()
  private(set) var clients = PrefixGatherer()
  private(set) var users: NameGatherer
  private(set) var listeners: NameGatherer
  private(set) var ports: [ClosedRange<UInt16>] = []
  private(set) var globs: [Glob] = []
  private(set) var expressions: [RegularExpression] = []
  private var leafCount: UInt32 = 0
  /// Of the route being compiled, and the same below a `not`.
  private var embedding = CompiledRoutes.Embedding.none
  private var excludedEmbedding = CompiledRoutes.Embedding.none

  /// The values of one condition in one index; the better the index, the fewer routes a request's value suggests.
  private struct Leaf {
    enum Index: Int {
      case names, addresses, users, clients, listeners
    }

    var index: Index
    /// Where its pairs stand in the index's gatherer.
    var pairs: Range<Int>
  }

  init(_ routes: [Route]) {
    var counts = ValueCounts()
    for route in routes { counts.add(route.condition) }
    names = NameGatherer(capacity: counts.names)
    users = NameGatherer(capacity: counts.users)
    listeners = NameGatherer(capacity: counts.listeners)
    for (number, route) in routes.enumerated() {
      starts.append(UInt32(steps.count))
      speaksOfAddresses.append(false)
      embedding = route.refuses(.tcp) ? .all : route.refuses(.udp) ? .udp : .none
      excludedEmbedding = route.isDirect(.tcp) ? .all : route.isDirect(.udp) ? .udp : .none
      guard let leaves = compile(route.condition, isDenied: false) else {
        unsuggested.append(UInt32(number))
        continue
      }
      for leaf in leaves { suggest(UInt32(number), by: leaf) }
    }
  }

  /// Appends the steps of `condition`.
  ///
  /// - Returns: leaves of which one holds whenever the condition does; `nil` when there are no such.
  private mutating func compile(_ condition: Condition, isDenied: Bool) -> [Leaf]? {
    switch condition {
    case .domain(let domains):
      return [addNames(domains) { .domain($0) }]
    case .host(let patterns):
      return compile(HostPatterns(patterns), isDenied: isDenied)
    case .ip(let prefixes):
      return [addAddresses(prefixes, isDenied: isDenied)]
    case .client(let prefixes):
      let leaf = nextLeaf { .client($0) }
      return [Leaf(index: .clients, pairs: clients.add(prefixes, leaf: leaf))]
    case .user(let names):
      let leaf = nextLeaf { .user($0) }
      return [Leaf(index: .users, pairs: users.add(names, leaf: leaf))]
    case .listener(let names):
      let leaf = nextLeaf { .listener($0) }
      return [Leaf(index: .listeners, pairs: listeners.add(names, leaf: leaf))]
    case .port(let ranges):
      let first = UInt32(ports.count)
      ports += Self.merged(ranges)
      steps.append(.ports(first: first, end: UInt32(ports.count)))
      return nil
    case .network(let networks):
      addGroup({ .any(end: $0) }) { compiler in compiler.steps += networks.map { .network($0) } }
      return nil
    case .command(let commands):
      addGroup({ .any(end: $0) }) { compiler in compiler.steps += commands.map { .command($0) } }
      return nil
    case .all(let conditions):
      var best: [Leaf]?
      addGroup({ .all(end: $0) }) { compiler in
        for condition in Condition.cheapFirst(conditions) {
          guard let leaves = compiler.compile(condition, isDenied: isDenied) else { continue }
          if best.map({ Self.rank(leaves) < Self.rank($0) }) ?? true { best = leaves }
        }
      }
      return best
    case .any(let conditions):
      var together: [Leaf]? = []
      addGroup({ .any(end: $0) }) { compiler in
        for condition in Condition.cheapFirst(conditions) {
          let leaves = compiler.compile(condition, isDenied: isDenied)
          together = leaves.flatMap { leaves in together.map { $0 + leaves } }
        }
      }
      return together
    case .not(let condition):
      addGroup({ .not(end: $0) }) { compiler in _ = compiler.compile(condition, isDenied: !isDenied) }
      return nil
    }
  }

  private mutating func compile(_ patterns: HostPatterns, isDenied: Bool) -> [Leaf]? {
    var leaves: [Leaf] = []
    addGroup({ .any(end: $0) }) { compiler in
      if !patterns.names.isEmpty { leaves.append(compiler.addNames(patterns.names) { .name($0) }) }
      if !patterns.below.isEmpty { leaves.append(compiler.addNames(patterns.below) { .below($0) }) }
      if !patterns.addresses.isEmpty {
        leaves.append(compiler.addAddresses(patterns.addresses, isDenied: isDenied))
      }
      if !patterns.globs.isEmpty {
        let first = UInt32(compiler.globs.count)
        compiler.globs += patterns.globs
        compiler.steps.append(.globs(first: first, end: UInt32(compiler.globs.count)))
      }
      if !patterns.expressions.isEmpty {
        let first = UInt32(compiler.expressions.count)
        compiler.expressions += patterns.expressions
        compiler.steps.append(.expressions(first: first, end: UInt32(compiler.expressions.count)))
      }
    }
    return patterns.globs.isEmpty && patterns.expressions.isEmpty ? leaves : nil
  }

  // MARK: Steps

  private mutating func nextLeaf(_ step: (UInt32) -> CompiledRoutes.Step) -> UInt32 {
    let leaf = leafCount
    leafCount += 1
    steps.append(step(leaf))
    return leaf
  }

  private mutating func addNames(_ domains: [DomainName], _ step: (UInt32) -> CompiledRoutes.Step) -> Leaf {
    let leaf = nextLeaf(step)
    return Leaf(index: .names, pairs: names.add(domains.lazy.map(\.text), leaf: leaf))
  }

  /// What an address embeds counts only where fewer connections pass for it: in a route that refuses, and below a `not`
  /// in a route that is direct. It does not count below a `not` of a route that refuses, where "all but 10.0.0.0/8 is
  /// refused" would let an address pass that merely embeds such a one.
  private mutating func addAddresses(_ prefixes: [Prefix], isDenied: Bool) -> Leaf {
    speaksOfAddresses[speaksOfAddresses.count - 1] = true
    if isDenied { excludesAddresses = true }
    let embedding = isDenied ? excludedEmbedding : embedding
    let leaf = nextLeaf { .address($0, embedded: embedding) }
    return Leaf(index: .addresses, pairs: addresses.add(prefixes, leaf: leaf))
  }

  private mutating func addGroup(
    _ step: (UInt32) -> CompiledRoutes.Step, children: (inout RouteCompiler) -> Void
  ) {
    let position = steps.count
    steps.append(step(0))
    children(&self)
    steps[position] = step(UInt32(steps.count))
  }

  private mutating func suggest(_ route: UInt32, by leaf: Leaf) {
    switch leaf.index {
    case .names: names.suggest(route, by: leaf.pairs)
    case .addresses: addresses.suggest(route, by: leaf.pairs)
    case .clients: clients.suggest(route, by: leaf.pairs)
    case .users: users.suggest(route, by: leaf.pairs)
    case .listeners: listeners.suggest(route, by: leaf.pairs)
    }
  }

  // MARK: Order

  /// How many routes a value of the worst of these leaves is likely to suggest.
  private static func rank(_ leaves: [Leaf]) -> Int {
    leaves.map(\.index.rawValue).max() ?? 0
  }

  private static func merged(_ ranges: [ClosedRange<UInt16>]) -> [ClosedRange<UInt16>] {
    var merged: [ClosedRange<UInt16>] = []
    for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
      if let last = merged.last, range.lowerBound <= last.upperBound {
        merged[merged.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
      } else {
        merged.append(range)
      }
    }
    return merged
  }
}

/// The values of a `host` condition, by the way they are compared.
struct HostPatterns {
  var names: [DomainName] = []
  /// What stands behind the star of `*.example.com`: like a domain, but not the name itself.
  var below: [DomainName] = []
  var addresses: [Prefix] = []
  var globs: [Glob] = []
  var expressions: [RegularExpression] = []

  init(_ patterns: [HostPattern]) {
    for pattern in patterns {
      switch pattern {
      case .exact(.name(let name)): names.append(name)
      case .exact(.address(let address)): addresses.append(Prefix(address))
      case .expression(let expression): expressions.append(expression)
      case .glob(let glob):
        if glob.pattern.hasPrefix("*."), let name = try? DomainName(glob.pattern.dropFirst(2)) {
          below.append(name)
        } else {
          globs.append(glob)
        }
      }
    }
  }
}

/// How many values of each kind there are, repetitions included.
private struct ValueCounts {
  var names = 0
  var users = 0
  var listeners = 0

  mutating func add(_ condition: Condition) {
    switch condition {
    case .domain(let domains): names += domains.count
    case .host(let patterns): names += patterns.count
    case .user(let values): users += values.count
    case .listener(let values): listeners += values.count
    case .any(let conditions), .all(let conditions): for condition in conditions { add(condition) }
    case .not(let condition): add(condition)
    case .ip, .port, .network, .command, .client: break
    }
  }
}
