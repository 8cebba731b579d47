import Addresses

/// Looks for one way, depth first and best first.
struct Selector<Generator: RandomNumberGenerator> {
  /// How good it is to pass something.
  enum Grade: Int, Comparable, CaseIterable {
    case up
    /// Up, as far as others know; but it did not answer this client's requests, or may have failed this connection.
    case doubtful
    case down
    /// It failed this very connection.
    case failed

    static func < (one: Grade, other: Grade) -> Bool { one.rawValue < other.rawValue }
  }

  let request: Request
  let standings: Standings
  private(set) var detours: Detours
  private let isObstructed: Obstruction?
  let now: Moment
  /// The worst that may be passed.
  let allowance: Grade
  var generator: Generator
  private var hops: [Upstream] = []
  /// What the outermost chain that has a word in it says.
  private var warm: Warmth?
  private var goesDirect = false
  /// A proxy that goes before `direct` in a group on the way is not down.
  private var avoidsDirect = false
  private var visits: [Selection.Visit] = []
  private var turns: [(name: String, advance: Int)] = []
  private var found: Selection?
  /// By the ways with obstacles, or the way that was found without having met any.
  private(set) var turnsTaken: [(name: String, advance: Int)] = []
  private(set) var hasMetObstacle = false
  /// Where hops exclude each other, to look everywhere could take for ever.
  private(set) var patience: Int

  static var mostPatience: Int { 20_000 }

  init(
    request: Request, standings: Standings, detours: Detours, unless isObstructed: Obstruction? = nil,
    now: Moment, allowance: Grade, patience: Int = mostPatience, generator: Generator
  ) {
    self.request = request
    self.standings = standings
    self.detours = detours
    self.isObstructed = isObstructed
    self.now = now
    self.allowance = allowance
    self.patience = patience
    self.generator = generator
  }

  mutating func select(_ stop: Stop) -> Selection? {
    _ = pass(stop) { selector in selector.arrive() }
    return found
  }

  private mutating func arrive() -> Bool {
    guard goesDirect || !hops.isEmpty, detours.mayEnd(behind: hops) else { return false }
    let way: Way = hops.isEmpty ? .direct : .chain(Chain(hops, warm: warm ?? .auto))
    let selection = Selection(way: way, visits: visits)
    if let isObstructed, !hops.isEmpty, isObstructed(selection, standings, &detours) {
      hasMetObstacle = true
      turnsTaken += turns
      return false
    }
    found = selection
    if !hasMetObstacle { turnsTaken = turns }
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
      guard !avoidsDirect, !detours.avoidDirect else { return false }
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
    let outer = avoidsDirect
    defer {
      visits.removeLast()
      turns.removeLast()
      avoidsDirect = outer
    }
    let place = visits.count - 1
    for var order in orders(group) {
      while let index = order.next(using: &generator) {
        visits[place].member = index
        let member = group.members[index].stop
        avoidsDirect = outer || member.mayGoDirect && hasProxyBeforeDirect(in: group, at: index)
        if pass(member, then: rest) { return true }
      }
    }
    return false
  }

  /// Whether a proxy goes before `direct`, which the member at `index` is or contains, and is not down.
  ///
  /// What a client's own requests make doubtful sends nobody `direct`, whatever the strategy. With `failover` the members
  /// listed before count, with `fastest` and `least-connections` all: one client can make a proxy slow, or busy.
  private func hasProxyBeforeDirect(in group: Group, at index: Int) -> Bool {
    switch group.strategy {
    case .failover:
      group.members[..<index].contains { bestProxy(in: $0.stop).map { $0 < .down } ?? false }
    case .fastest, .leastConnections:
      group.members.contains { bestProxy(in: $0.stop).map { $0 < .down } ?? false }
    case .roundRobin, .random, .sticky:
      group.members.contains { bestProxy(in: $0.stop) == .doubtful }
    }
  }

  /// Of the best way through proxies; `nil` when the stop has none that carries the request.
  private func bestProxy(in stop: Stop) -> Grade? {
    switch stop {
    case .direct: return nil
    case .group(let group): return group.members.lazy.compactMap { bestProxy(in: $0.stop) }.min()
    case .upstream, .itinerary:
      return request.command == .udp && !stop.mayCarryUDP ? nil : grade(stop)
    }
  }

  /// The positions in order, each of which only what is down may be left out of.
  private mutating func pass(_ itinerary: Itinerary, from index: Int, then rest: Rest) -> Bool {
    guard index < itinerary.positions.count else { return rest(&self) }
    let position = itinerary.positions[index]
    if pass(position, then: { $0.pass(itinerary, from: index + 1, then: rest) }) { return true }
    guard position.isOptional || itinerary.mode == .dynamic else { return false }
    // What a client's destination makes of a hop leaves it out of no way: the destination would choose the exit.
    return position.choices.allSatisfy { grade($0) > allowance && isDown($0) }
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

  func grade(_ upstream: Upstream) -> Grade {
    if detours.failed.contains(upstream.name) { return .failed }
    let standing = standings[upstream]
    if standing.isDown(at: now) { return .down }
    let isDoubtful =
      detours.suspects.contains(upstream.name) || standing.isDoubtful(to: request.owner, at: now)
    return isDoubtful ? .doubtful : .up
  }

  /// Of the best way through it, hops before and behind it left aside.
  func grade(_ stop: Stop) -> Grade {
    switch stop {
    case .upstream(let upstream): return grade(upstream)
    case .direct: return .up
    case .group(let group): return group.members.lazy.map { grade($0.stop) }.min() ?? .up
    case .itinerary(let itinerary):
      let grades = itinerary.positions.lazy.filter { !isLeftOut($0, of: itinerary) }.map { position in
        position.choices.lazy.map { grade($0) }.min() ?? .up
      }
      switch itinerary.mode {
      case .strict, .dynamic: return grades.max() ?? .down
      case .random, .roundRobin: return grades.min() ?? .up
      }
    }
  }

  /// Whether a position need not be passed, since everything in it is down.
  private func isLeftOut(_ position: Itinerary.Position, of itinerary: Itinerary) -> Bool {
    (position.isOptional || itinerary.mode == .dynamic) && position.choices.allSatisfy { isDown($0) }
  }

  /// Whether every way through it is down, for all connections or for this one.
  private func isDown(_ stop: Stop) -> Bool {
    switch stop {
    case .upstream(let upstream):
      return detours.down.contains(upstream.name) || standings[upstream].isDown(at: now)
    case .direct: return false
    case .group(let group): return group.members.allSatisfy { isDown($0.stop) }
    case .itinerary(let itinerary):
      let down = itinerary.positions.lazy.filter { $0.choices.allSatisfy { isDown($0) } }
      switch itinerary.mode {
      case .strict: return down.contains { !$0.isOptional }
      case .dynamic, .random, .roundRobin: return down.count == itinerary.positions.count
      }
    }
  }

  /// The better ones first, else in their order.
  private func sorted<Value>(_ graded: [(value: Value, grade: Grade)]) -> [Value] {
    Grade.allCases.flatMap { grade in graded.lazy.filter { $0.grade == grade }.map(\.value) }
  }
}
