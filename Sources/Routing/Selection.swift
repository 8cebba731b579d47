import Addresses

/// A way that was chosen.
package struct Selection: Sendable {
  /// A group that was passed, the hops before it, and the place of the member that was taken.
  package struct Visit: Sendable {
    package let group: Group
    package let before: [Upstream]
    package internal(set) var member = 0
  }

  /// A hop that has failed, and that only the connection which this way was chosen for tries.
  package struct Trial: Sendable {
    let hop: Upstream
    let end: Moment
  }

  package let way: Way
  package let visits: [Visit]
  /// A hop of the way has failed before.
  package internal(set) var isTrial = false
  /// The trials that begin with this choice. Whoever has made the choice ends them.
  package internal(set) var trials: [Trial] = []
}

/// Whether a way is known to lead nowhere before it is dialled. If it does, it is added to the detours.
package typealias Obstruction = (Selection, Standings, inout Detours) -> Bool

extension Standings {
  /// How often a plan of groups within groups, or of chains, is searched for one choice before it has no way.
  private static let mostSearches = 64

  /// The best way by `plan`; `nil` when there is none but dead ends.
  ///
  /// Ways through what is up come first. What is down is tried when nothing else is left: better than to fail without
  /// having tried. The same plan, request, standings and random numbers give the same way. The choice counts: turns
  /// advance, and what was down is on trial.
  ///
  /// - Parameters:
  ///   - detours: what this connection has found out already.
  ///   - isObstructed: asked of each way that would be taken. Those that lead nowhere are passed over in the same search,
  ///     since to search again for each of many takes too long.
  package mutating func choose<Generator: RandomNumberGenerator>(
    by plan: Plan, for request: Request, avoiding detours: inout Detours, unless isObstructed: Obstruction?,
    at now: Moment, using generator: inout Generator
  ) -> Selection? {
    var turnsTaken: [(name: String, advance: Int)] = []
    let before = detours
    var found = search(
      plan, for: request, avoiding: &detours, unless: isObstructed, at: now, turns: &turnsTaken,
      using: &generator
    )
    // Of ways that begin alike, one search may not come to the one whose obstacle forbids `direct`.
    if let isObstructed, found?.way == .direct, !plan.stop.isFlat {
      (detours, found) = (before, nil)
      for _ in 0..<Self.mostSearches {
        turnsTaken = []
        found = search(
          plan, for: request, avoiding: &detours, unless: nil, at: now, turns: &turnsTaken, using: &generator)
        guard let next = found, isObstructed(next, self, &detours) else { break }
        found = nil
      }
    }
    for (name, advance) in turnsTaken { turns[name, default: 0] &+= advance }
    guard var selection = found else { return nil }
    if case .chain(let chain) = selection.way {
      for hop in chain.hops {
        update(hop) { standing in
          if standing.failures > 0 { selection.isTrial = true }
          if let end = standing.begin(at: now) { selection.trials.append(.init(hop: hop, end: end)) }
        }
      }
    }
    return selection
  }

  /// The best way by `plan`, where no way has obstacles.
  package mutating func choose<Generator: RandomNumberGenerator>(
    by plan: Plan, for request: Request, avoiding detours: Detours = Detours(), at now: Moment,
    using generator: inout Generator
  ) -> Selection? {
    var detours = detours
    return choose(by: plan, for: request, avoiding: &detours, unless: nil, at: now, using: &generator)
  }

  /// The connection that began these trials has found out all that it will.
  package mutating func end(_ trials: [Selection.Trial]) {
    for trial in trials { update(trial.hop) { $0.endTrial(until: trial.end) } }
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
    detours.add(chain.hops, isOut: true, isDown: true)
    let next = search(plan, for: request, avoiding: detours, at: now, using: &generator)?.way
    let best = withoutFailures.search(plan, for: request, avoiding: Detours(), at: now, using: &generator)?
      .way
    var standbys: [Chain] = []
    if case .chain(let next)? = next,
      next.hops.allSatisfy({ !detours.failed.contains($0.name) && !self[$0].isDown(at: now) })
    {
      standbys.append(next)
    }
    if case .chain(let best)? = best, best != chain, !standbys.contains(best) { standbys.append(best) }
    return standbys
  }

  /// The best way by `plan` that parts from these hops before the last of them, up to the hop that is passed instead.
  func otherWay<Generator: RandomNumberGenerator>(
    than hops: ArraySlice<Upstream>, by plan: Plan, for request: Request, at now: Moment,
    using generator: inout Generator
  ) -> [Upstream]? {
    let detours = Detours(around: hops)
    let found = search(plan, for: request, avoiding: detours, at: now, using: &generator)?.way
    guard case .chain(let chain)? = found else { return nil }
    return Array(chain.hops.prefix(hops.count))
  }

  private func search<Generator: RandomNumberGenerator>(
    _ plan: Plan, for request: Request, avoiding detours: Detours, at now: Moment,
    using generator: inout Generator
  ) -> Selection? {
    var detours = detours
    var turnsTaken: [(name: String, advance: Int)] = []
    return search(
      plan, for: request, avoiding: &detours, unless: nil, at: now, turns: &turnsTaken, using: &generator)
  }

  // It is over before anything changes, so that nothing has to be copied.
  private func search<Generator: RandomNumberGenerator>(
    _ plan: Plan, for request: Request, avoiding detours: inout Detours, unless isObstructed: Obstruction?,
    at now: Moment, turns turnsTaken: inout [(name: String, advance: Int)], using generator: inout Generator
  ) -> Selection? {
    var allowances = Selector<Generator>.Grade.allCases[...]
    // Enough for each grade. Obstacles take no more.
    var patience = allowances.count * Selector<Generator>.mostPatience
    while let allowance = allowances.popFirst(), patience > 0 {
      if allowance == .failed, detours.failed.isEmpty { break }
      let granted = min(patience, Selector<Generator>.mostPatience)
      var selector = Selector(
        request: request, standings: self, detours: detours, unless: isObstructed, now: now,
        allowance: allowance,
        patience: granted, generator: generator)
      let selection = selector.select(plan.stop)
      patience -= granted - selector.patience
      generator = selector.generator
      detours = selector.detours
      turnsTaken += selector.turnsTaken
      // What has turned out to have an obstacle may make another way the best.
      if selector.hasMetObstacle {
        allowances = Selector<Generator>.Grade.allCases[...]
      } else if let selection {
        return selection
      }
    }
    return nil
  }
}

extension Stop {
  /// Whether each of its ways has one hop.
  fileprivate var isFlat: Bool {
    switch self {
    case .upstream, .direct: true
    case .itinerary: false
    case .group(let group):
      group.members.allSatisfy { member in
        switch member.stop {
        case .upstream, .direct: true
        case .group, .itinerary: false
        }
      }
    }
  }
}
