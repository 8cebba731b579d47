import Addresses

/// A way that was chosen.
package struct Selection: Sendable {
  /// A group that was passed, and the hops before it.
  package struct Visit: Sendable {
    package let group: Group
    package let before: [Upstream]
  }

  package let way: Way
  package let visits: [Visit]
}

extension Standings {
  /// The best way by `plan`; `nil` when there is none but dead ends.
  ///
  /// Ways through what is up come first. What is down is tried when nothing else is left: better than to fail without
  /// having tried. The same plan, request, standings and random numbers give the same way. The choice counts: turns
  /// advance, and what was down is on trial.
  ///
  /// - Parameter detours: what this connection has found out already.
  package mutating func choose<Generator: RandomNumberGenerator>(
    by plan: Plan, for request: Request, avoiding detours: Detours = Detours(), at now: Moment,
    using generator: inout Generator
  ) -> Selection? {
    let found = search(plan, for: request, avoiding: detours, at: now, using: &generator)
    guard let (selection, turnsTaken) = found else { return nil }
    for (name, advance) in turnsTaken { turns[name, default: 0] &+= advance }
    if case .chain(let chain) = selection.way {
      for hop in chain.hops { update(hop.name) { $0.begin(at: now) } }
    }
    return selection
  }

  /// Whether something is up through which it can be passed.
  package func isUp(_ stop: Stop, at now: Moment) -> Bool {
    let selector = Selector(
      request: .anything, standings: self, detours: Detours(), now: now, allowance: .up, generator: NoChance()
    )
    return selector.grade(stop) == .up
  }

  /// Ways that may soon be taken in the place of a chain: the next one, should it fail; and the one that would be taken
  /// if nothing were down.
  package func standbys<Generator: RandomNumberGenerator>(
    for chain: Chain, by plan: Plan, for request: Request, at now: Moment, using generator: inout Generator
  ) -> [Chain] {
    var detours = Detours()
    detours.add(chain.hops)
    let next = search(plan, for: request, avoiding: detours, at: now, using: &generator)?.0.way
    let best = withoutFailures.search(plan, for: request, avoiding: Detours(), at: now, using: &generator)?.0
      .way
    var standbys: [Chain] = []
    if case .chain(let next)? = next,
      next.hops.allSatisfy({ !detours.failed.contains($0.name) && !self[$0.name].isDown(at: now) })
    {
      standbys.append(next)
    }
    if case .chain(let best)? = best, best != chain, !standbys.contains(best) { standbys.append(best) }
    return standbys
  }

  // It is over before anything changes, so that nothing has to be copied.
  private func search<Generator: RandomNumberGenerator>(
    _ plan: Plan, for request: Request, avoiding detours: Detours, at now: Moment,
    using generator: inout Generator
  ) -> (Selection, turnsTaken: [(name: String, advance: Int)])? {
    for allowance in Selector<Generator>.Grade.allCases {
      if allowance == .failed, detours.failed.isEmpty { break }
      var selector = Selector(
        request: request, standings: self, detours: detours, now: now, allowance: allowance,
        generator: generator)
      let selection = selector.select(plan.stop)
      generator = selector.generator
      if let selection { return (selection, selector.turnsTaken) }
    }
    return nil
  }
}

/// Looks for one way, depth first and best first.
private struct Selector<Generator: RandomNumberGenerator> {
  /// How good it is to pass something.
  enum Grade: Int, Comparable, CaseIterable {
    case up
    case down
    /// It failed this very connection.
    case failed

    static func < (one: Grade, other: Grade) -> Bool { one.rawValue < other.rawValue }
  }

  let request: Request
  let standings: Standings
  let detours: Detours
  let now: Moment
  /// The worst that may be passed.
  let allowance: Grade
  var generator: Generator
  private var hops: [Upstream] = []
  /// What the outermost chain that has a word in it says.
  private var warm: Warmth?
  private var goesDirect = false
  private var visits: [Selection.Visit] = []
  private var turns: [(name: String, advance: Int)] = []
  private var found: Selection?
  private(set) var turnsTaken: [(name: String, advance: Int)] = []
  /// Where hops exclude each other, to look everywhere could take for ever.
  private var patience = 20_000

  init(
    request: Request, standings: Standings, detours: Detours, now: Moment, allowance: Grade,
    generator: Generator
  ) {
    self.request = request
    self.standings = standings
    self.detours = detours
    self.now = now
    self.allowance = allowance
    self.generator = generator
  }

  mutating func select(_ stop: Stop) -> Selection? {
    _ = pass(stop) { selector in selector.arrive() }
    return found
  }

  private mutating func arrive() -> Bool {
    guard goesDirect || !hops.isEmpty else { return false }
    found = Selection(way: hops.isEmpty ? .direct : .chain(Chain(hops, warm: warm ?? .auto)), visits: visits)
    turnsTaken = turns
    return true
  }

  // MARK: Passing

  /// What is to be done behind a stop; false when that is impossible, so that another choice must be made before.
  private typealias Rest = (inout Self) -> Bool

  private mutating func pass(_ stop: Stop, then rest: Rest) -> Bool {
    patience -= 1
    guard patience > 0 else { return false }
    switch stop {
    case .upstream(let upstream):
      guard mayPass(upstream) else { return false }
      hops.append(upstream)
      defer { hops.removeLast() }
      return !detours.contain(hops) && rest(&self)
    case .direct:
      goesDirect = true
      defer { goesDirect = false }
      return rest(&self)
    case .group(let group):
      return pass(group, then: rest)
    case .itinerary(let itinerary):
      let outer = warm
      warm = outer ?? itinerary.warm
      defer { warm = outer }
      switch itinerary.mode {
      case .strict, .dynamic: return pass(itinerary, from: 0, then: rest)
      case .random, .roundRobin: return pass(some: itinerary, then: rest)
      }
    }
  }

  private mutating func pass(_ group: Group, then rest: Rest) -> Bool {
    visits.append(Selection.Visit(group: group, before: hops))
    turns.append((group.name, 1))
    defer {
      visits.removeLast()
      turns.removeLast()
    }
    for index in order(group) where pass(group.members[index].stop, then: rest) { return true }
    return false
  }

  /// The positions in order, each of which only what is down may be left out of.
  private mutating func pass(_ itinerary: Itinerary, from index: Int, then rest: Rest) -> Bool {
    guard index < itinerary.positions.count else { return rest(&self) }
    let position = itinerary.positions[index]
    if pass(position, then: { $0.pass(itinerary, from: index + 1, then: rest) }) { return true }
    guard position.isOptional || itinerary.mode == .dynamic else { return false }
    return position.choices.allSatisfy { grade($0) > allowance }
      && pass(itinerary, from: index + 1, then: rest)
  }

  private mutating func pass(_ position: Itinerary.Position, then rest: Rest) -> Bool {
    for choice in sorted(position.choices.map { ($0, grade($0)) }) where pass(choice, then: rest) {
      return true
    }
    return false
  }

  /// As many positions as the length says: in any order, or in order from where the last connection ended.
  private mutating func pass(some itinerary: Itinerary, then rest: Rest) -> Bool {
    let count = Int.random(in: itinerary.length, using: &generator)
    let total = itinerary.positions.count
    let order: [Int]
    if itinerary.mode == .random {
      order = (0..<total).shuffled(using: &generator)
    } else {
      let start = (itinerary.name.flatMap { standings.turns[$0] } ?? 0) % total
      order = Array(start..<total) + Array(0..<start)
    }
    return take(count, of: itinerary, in: order, from: 0, then: rest)
  }

  private mutating func take(
    _ count: Int, of itinerary: Itinerary, in order: [Int], from index: Int, then rest: Rest
  ) -> Bool {
    if count == 0 {
      guard itinerary.mode == .roundRobin, let name = itinerary.name else { return rest(&self) }
      turns.append((name, index))
      defer { turns.removeLast() }
      return rest(&self)
    }
    guard order.count - index >= count else { return false }
    for place in index..<order.count {
      let taken = pass(itinerary.positions[order[place]]) {
        $0.take(count - 1, of: itinerary, in: order, from: place + 1, then: rest)
      }
      if taken { return true }
    }
    return false
  }

  // MARK: Judging

  private func mayPass(_ upstream: Upstream) -> Bool {
    guard grade(upstream) <= allowance, !hops.contains(where: { $0.name == upstream.name }) else {
      return false
    }
    if request.command == .udp, upstream.udp == .no { return false }
    return hops.last?.mayReach(upstream) ?? true
  }

  private func grade(_ upstream: Upstream) -> Grade {
    if detours.failed.contains(upstream.name) { return .failed }
    return standings[upstream.name].isDown(at: now) ? .down : .up
  }

  /// Of the best way through it, hops before and behind it left aside.
  fileprivate func grade(_ stop: Stop) -> Grade {
    switch stop {
    case .upstream(let upstream): return grade(upstream)
    case .direct: return .up
    case .group(let group): return group.members.lazy.map { grade($0.stop) }.min() ?? .up
    case .itinerary(let itinerary):
      let grades = itinerary.positions.lazy.filter { !$0.isOptional }.map { position in
        position.choices.lazy.map { grade($0) }.min() ?? .up
      }
      switch itinerary.mode {
      case .strict: return grades.max() ?? .up
      case .dynamic, .random, .roundRobin: return grades.min() ?? .up
      }
    }
  }

  /// The better ones first, else in their order.
  private func sorted<Value>(_ graded: [(value: Value, grade: Grade)]) -> [Value] {
    Grade.allCases.flatMap { grade in graded.lazy.filter { $0.grade == grade }.map(\.value) }
  }

  // MARK: Strategies

  /// The indices of a group's members, in the order in which to try them.
  private mutating func order(_ group: Group) -> [Int] {
    let graded = group.members.indices.map { ($0, grade(group.members[$0].stop)) }
    return Grade.allCases.flatMap { grade in
      arrange(graded.filter { $0.1 == grade }.map(\.0), of: group)
    }
  }

  private mutating func arrange(_ indices: [Int], of group: Group) -> [Int] {
    guard indices.count > 1 else { return indices }
    switch group.strategy {
    case .failover: return indices
    case .roundRobin: return rotated(indices, of: group)
    case .random: return shuffled(indices, of: group)
    case .fastest:
      // Now and then another one, or nobody would ever find out that it has become faster.
      if Int.random(in: 0..<32, using: &generator) == 0 { return indices.shuffled(using: &generator) }
      return Self.ascending(indices) { latency(group.members[$0].stop) }
    case .leastConnections:
      return Self.ascending(rotated(indices, of: group)) { Double(connections(group.members[$0].stop)) }
    case .sticky(let key):
      let text = text(of: key)
      return Self.ascending(indices) {
        -Double(rendezvousScore(of: group.members[$0].stop.description, for: text))
      }
    }
  }

  private func rotated(_ indices: [Int], of group: Group) -> [Int] {
    let start = standings.turns[group.name, default: 0] % indices.count
    return Array(indices[start...] + indices[..<start])
  }

  /// Each place by a draw in which the weights of those that are left count.
  private mutating func shuffled(_ indices: [Int], of group: Group) -> [Int] {
    var left = indices
    var order: [Int] = []
    while !left.isEmpty {
      var draw = Int.random(in: 0..<left.reduce(0) { $0 + group.members[$1].weight }, using: &generator)
      let place = left.firstIndex { index in
        draw -= group.members[index].weight
        return draw < 0
      }
      order.append(left.remove(at: place ?? 0))
    }
    return order
  }

  private static func ascending(_ indices: [Int], by measure: (Int) -> Double) -> [Int] {
    indices.enumerated().map { (place: $0, index: $1, measure: measure($1)) }
      .sorted { ($0.measure, $0.place) < ($1.measure, $1.place) }.map(\.index)
  }

  /// Of what was never tried it is nothing, so that it will be; while that is done it is endless, as it is for `direct`,
  /// which has no handshake to be measured.
  private func latency(_ stop: Stop) -> Double {
    switch stop {
    case .upstream(let upstream):
      let standing = standings[upstream.name]
      return standing.latency ?? (standing.connections > 0 ? .infinity : 0)
    case .direct: return .infinity
    case .group(let group): return group.members.lazy.map { latency($0.stop) }.min() ?? 0
    case .itinerary(let itinerary):
      return itinerary.positions.reduce(0) { sum, position in
        sum + (position.choices.lazy.map { latency($0) }.min() ?? 0)
      }
    }
  }

  private func connections(_ stop: Stop) -> Int {
    switch stop {
    case .upstream(let upstream): standings[upstream.name].connections
    case .direct: standings[Way.direct.description].connections
    case .group(let group): group.members.reduce(0) { $0 + connections($1.stop) }
    case .itinerary(let itinerary):
      itinerary.positions.lazy.flatMap(\.choices).map { connections($0) }.max() ?? 0
    }
  }

  private func text(of key: Group.Key) -> String {
    switch key {
    case .client: request.client.map { $0.unmapped.description } ?? ""
    case .user: request.user ?? ""
    case .destination: request.destination.host.description
    }
  }
}

/// Rendezvous hashing (Thaler and Ravishankar, 1998): of all members, the one with the highest score for a key is its
/// own. When one goes, only its keys move. The hash is the same everywhere, so that many instances agree.
func rendezvousScore(of member: String, for key: String) -> UInt64 {
  // FNV-1a, 64 bits.
  var hash: UInt64 = 0xcbf2_9ce4_8422_2325
  for byte in [Array(key.utf8), [0xff], Array(member.utf8)].joined() {
    hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3
  }
  // Short strings leave its upper bits alike: MurmurHash3's finalizer spreads them.
  hash = (hash ^ hash >> 33) &* 0xff51_afd7_ed55_8ccd
  hash = (hash ^ hash >> 33) &* 0xc4ce_b9fe_1a85_ec53
  return hash ^ hash >> 33
}
