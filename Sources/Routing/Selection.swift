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
    guard case .some((var selection, let turnsTaken)) = found else { return nil }
    for (name, advance) in turnsTaken { turns[name, default: 0] &+= advance }
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
    let next = search(plan, for: request, avoiding: detours, at: now, using: &generator)?.0.way
    let best = withoutFailures.search(plan, for: request, avoiding: Detours(), at: now, using: &generator)?.0
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
    let found = search(plan, for: request, avoiding: detours, at: now, using: &generator)?.0.way
    guard case .chain(let chain)? = found else { return nil }
    return Array(chain.hops.prefix(hops.count))
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
