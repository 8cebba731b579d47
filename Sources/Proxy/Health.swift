import Addresses
import Routing
import Settings
import Synchronization
import Transport

/// What is known of the upstreams that stand in groups and choices, over all loops; by name, so that it survives a
/// reload.
package final class Health: Sendable {
  /// A group that is checked, as it was last used.
  struct Subject: Sendable {
    var group: Group
    /// The hops before it.
    var before: [Upstream]
    var lastUse: Deadline
    /// A loop has taken its checks over.
    var isTaken = false
    var early = EarlyChecks()
  }

  private struct State {
    var standings = Standings()
    var subjects: [String: Subject] = [:]
    /// Early checks that are running, of all groups.
    var earlyChecks = 0
    var mostEarlyChecks = Limits().checks
  }

  private let state = Mutex(State())

  package init() {}

  /// The best way by a plan, which is begun with this; `nil` when nothing but dead ends is left.
  ///
  /// - Parameters:
  ///   - detours: what the journey has found out.
  ///   - isObstructed: says which ways lead nowhere. It may not ask `Health`.
  func choose(
    by plan: Plan, for request: Request, avoiding detours: inout Detours, unless isObstructed: Obstruction?
  ) -> Selection? {
    state.withLock { state in
      var generator = SystemRandomNumberGenerator()
      return state.standings.choose(
        by: plan, for: request, avoiding: &detours, unless: isObstructed, at: Deadline.now.nanoseconds,
        using: &generator)
    }
  }

  /// Counts a connection for each hop, and for nothing but `direct` where there are none.
  func count(_ way: Way, by difference: Int) {
    state.withLock { state in
      switch way {
      case .direct: state.standings.directConnections += difference
      case .chain(let chain):
        for hop in chain.hops {
          // Two reloads, there and back, may have forgotten a connection that ends now.
          state.standings.update(hop) { $0.connections = max(0, $0.connections + difference) }
        }
      }
    }
  }

  /// Notes what came of a way.
  ///
  /// - Parameters:
  ///   - failure: `nil` when all of it was passed.
  ///   - blame: whose the failure is.
  ///   - request: what was dialled, and for whom.
  ///   - start: when the dial began.
  ///   - latencies: what it took to reach each hop that was reached, in nanoseconds.
  /// - Returns: a trial that is to be made now, until `end`.
  func note(
    _ failure: Failure?, as blame: Failure.Blame, of chain: Chain, by plan: Plan, for request: Request,
    _ purpose: Journey.Purpose, since start: Deadline, latencies: [Double?]
  ) -> WayTrial? {
    state.withLock { state in
      let now = Deadline.now.nanoseconds
      let count = chain.hops.count
      for (index, hop) in chain.hops.enumerated() {
        state.standings.update(hop) { standing in
          if index < latencies.count, let latency = latencies[index] { standing.measure(latency) }
          let finding = Failure.Finding(of: failure, as: blame, at: index, of: count)
          standing.take(
            finding, of: failure, at: index, for: request, purpose, since: start.nanoseconds, at: now)
        }
      }
      guard let failure, let next = failure.unopened, blame == .suspect else { return nil }
      // What the client's own request brought about, or a limit of one identity, is no evidence.
      if state.standings[chain.hops[next]].failures > 0, !failure.hasRequestUnderway,
        !chain.hops[..<next].contains(where: \.isIsolated)
      {
        // What is down stays down until it is reached.
        state.standings.update(chain.hops[next]) { $0.fail(at: now, jitter: .random(in: 0..<1)) }
        return nil
      }
      guard case .client = purpose else { return nil }
      var generator = SystemRandomNumberGenerator()
      return state.standings.beginTrial(
        of: chain.hops[...next], by: plan, for: request, at: now, using: &generator)
    }
  }

  // MARK: Telling

  /// What is known at this moment.
  var standings: Standings { state.withLock { $0.standings } }

  /// Forgets all but the upstreams and groups of a table that holds from now on, and upstreams that connections still
  /// pass.
  func keep(_ upstreams: [Upstream], _ groups: [Group]) {
    state.withLock { state in
      state.standings.keep(upstreams, groups)
      for (name, subject) in state.subjects {
        // The task that checks the group finds out what has become of it.
        if let group = groups.first(where: { $0.name == name }) {
          if subject.group != group { state.subjects[name]?.early = EarlyChecks() }
          state.subjects[name]?.group = group
        } else {
          state.subjects[name] = nil
        }
        if !subject.before.allSatisfy({ hop in upstreams.contains { $0.isSameProxy(as: hop) } }) {
          state.subjects[name] = nil
        }
      }
    }
  }

  /// Notes that all hops of a chain were reached, and that the last admitted us and was asked for nothing yet.
  func noteAdmission(to chain: Chain, latencies: [Double?]) {
    state.withLock { state in
      let now = Deadline.now.nanoseconds
      for (index, hop) in chain.hops.enumerated() {
        state.standings.update(hop) { standing in
          if index < latencies.count, let latency = latencies[index] { standing.measure(latency) }
          standing.show(index < chain.hops.count - 1 ? .answer : .admission, at: now)
        }
      }
    }
  }

  /// Notes that a hop was connected to and admitted us.
  func noteAdmission(of hop: Upstream) {
    state.withLock { $0.standings.update(hop) { $0.show(.admission, at: Deadline.now.nanoseconds) } }
  }

  /// Notes that a connection has found out all that it will about the hops that it tried.
  func end(_ trials: [Selection.Trial]) {
    state.withLock { $0.standings.end(trials) }
  }

  /// Ends a trial.
  ///
  /// - Parameter hasFailed: whether its way was never opened.
  func end(_ trial: WayTrial, hasFailed: Bool) {
    state.withLock { state in
      state.standings.end(
        trial, hasFailed: hasFailed, at: Deadline.now.nanoseconds, jitter: .random(in: 0..<1))
    }
  }

  /// Until when a hop of the chain is left alone, since it failed; a moment that is past when none is.
  func pauseEnd(of chain: Chain) -> Deadline {
    state.withLock { $0.standings.pauseEnd(of: chain) }
  }

  /// Whether it is worth waiting for a chain's answer to a request of that client: no hop of it is down, and the client has
  /// had answers by it.
  func mayAnswer(_ chain: Chain, to client: Client?) -> Bool {
    state.withLock { state in
      let now = Deadline.now.nanoseconds
      return chain.hops.allSatisfy { hop in
        let standing = state.standings[hop]
        return standing.restEnd(at: now) == nil && !standing.isSuspect(to: client, at: now)
      }
    }
  }

  /// Chains that may soon be taken in the place of this one, which was chosen by that plan.
  func standbys(for chain: Chain, by plan: Plan, for request: Request) -> [Chain] {
    state.withLock { state in
      var generator = SystemRandomNumberGenerator()
      return state.standings.standbys(
        for: chain, by: plan, for: request, at: Deadline.now.nanoseconds, using: &generator)
    }
  }

  // MARK: Checks

  /// Notes how long a check of a group's member took.
  func noteCheck(of member: Stop, in group: Group, took duration: Duration) {
    state.withLock { $0.standings.measure(duration / .nanoseconds(1), to: member, of: group) }
  }

  /// Notes that a group with a check was passed; true when somebody must begin to check it.
  func use(_ visit: Selection.Visit) -> Bool {
    state.withLock { state in
      var subject =
        state.subjects[visit.group.name]
        ?? Subject(group: visit.group, before: visit.before, lastUse: .now)
      subject.group = visit.group
      subject.before = visit.before
      subject.lastUse = .now
      let isNew = !subject.isTaken
      subject.isTaken = true
      state.subjects[visit.group.name] = subject
      return isNew
    }
  }

  /// Begins a check of the member that was taken, before the group's next round.
  ///
  /// - Returns: what to check, until `endEarlyCheck`; `nil` when that member may not be checked now.
  func beginEarlyCheck(of visit: Selection.Visit) -> Subject? {
    state.withLock { state in
      guard let subject = state.subjects[visit.group.name], let check = subject.group.check,
        state.earlyChecks < state.mostEarlyChecks, subject.group.members.indices.contains(visit.member),
        subject.group.members[visit.member].stop == visit.group.members[visit.member].stop,
        state.subjects[visit.group.name]?.early.begin(visit.member, upTo: check.interval, at: .now) == true
      else { return nil }
      state.earlyChecks += 1
      return subject
    }
  }

  func endEarlyCheck(of member: Int, in group: String, hasPassed: Bool) {
    state.withLock { state in
      state.earlyChecks -= 1
      state.subjects[group]?.early.end(member, hasPassed: hasPassed, at: .now)
    }
  }

  /// Lets no more than that many early checks run at a time. Of a member that may not be checked now, the next request
  /// without an answer asks again.
  func limitEarlyChecks(to count: Int) { state.withLock { $0.mostEarlyChecks = count } }

  /// Notes that a check of a group's member failed.
  func noteFailedCheck(of member: Int, in group: String) {
    state.withLock { $0.subjects[group]?.early.noteFailure(of: member, at: .now) }
  }

  /// The group to check; `nil`, and nobody's any more, when it was not used since `limit`, or is no longer checked.
  func subject(_ name: String, usedSince limit: (Group.Check) -> Deadline) -> Subject? {
    state.withLock { state in
      guard let subject = state.subjects[name], let check = subject.group.check,
        subject.lastUse >= limit(check)
      else {
        state.subjects[name] = nil
        return nil
      }
      return subject
    }
  }
}

extension Standings {
  /// As `Health.pauseEnd`.
  func pauseEnd(of chain: Chain) -> Deadline {
    let ends = chain.hops.lazy.map { hop in
      let standing = self[hop]
      return standing.failures > 0 ? standing.pauseEnd : 0
    }
    return Deadline(nanoseconds: ends.max() ?? 0)
  }
}

extension Standing {
  fileprivate mutating func take(
    _ finding: Failure.Finding, of failure: Failure?, at index: Int, for request: Request,
    _ purpose: Journey.Purpose, since start: Moment, at now: Moment
  ) {
    let jitter = Double.random(in: 0..<1)
    switch (finding, purpose) {
    case (.shown(let proof), _):
      // Where the dial ended without an answer, it is not known when the hops before did their part.
      show(proof, at: failure?.isAnswer == false ? 0 : now)
    case (.nothing, _): break
    case (.failed, .check(let again, let first)) where index >= first:
      // A request that a check makes is to be fulfilled: no mere admission or refusal ends this failure.
      let isRequest = failure?.phase.isAfterAdmission == true && failure?.place.hopIndex == index
      fail(
        missing: isRequest ? .passage : .admission, at: now, pausing: Moment(again / .nanoseconds(1)),
        jitter: jitter)
    case (.failed, _) where hasShown(since: start): break
    case (.failed, _): fail(at: now, jitter: jitter)
    case (.doubtful(let hasAdmitted), _):
      if hasAdmitted { show(.admission) }
      if case .client = purpose { doubt(of: request.owner, for: request.destination.host, at: now) }
    }
  }
}
