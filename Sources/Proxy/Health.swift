import Addresses
import Routing
import Settings
import Synchronization
import Transport

/// What is known of the upstreams that stand in groups and choices, over all loops; by name, so that it survives a
/// reload. Checks are those of the table that holds.
package final class Health: Sendable {
  /// A group with a check that is in use, as the table that holds has it.
  struct Subject: Sendable {
    fileprivate(set) var group: Group
    /// The hops before it, when it was last used.
    fileprivate(set) var before: [Upstream]
    fileprivate var lastUse = Deadline.now
    /// The number of the task that checks it.
    fileprivate let task: Int
    /// Wakes the task; `nil` while it does not sleep.
    fileprivate var wake: (@Sendable () -> Void)?
    fileprivate var early = EarlyChecks()
  }

  private struct State {
    var standings = Standings()
    /// Of the table that holds, by name.
    var upstreams: [String: Upstream] = [:]
    /// Of the table that holds, those with a check by name.
    var groups: [String: Group] = [:]
    var subjects: [String: Subject] = [:]
    /// The number of the latest task.
    var tasks = 0
    /// Stored, since the address of an empty local value is none, and the thread sanitizer looks there.
    var generator = SystemRandomNumberGenerator()
    /// Early checks that are running, of all groups.
    var earlyChecks = 0
    var mostEarlyChecks = Limits().checks

    func has(_ hops: [Upstream]) -> Bool {
      hops.allSatisfy { upstreams[$0.name]?.isSameProxy(as: $0) == true }
    }
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
      return state.standings.choose(
        by: plan, for: request, avoiding: &detours, unless: isObstructed, at: Deadline.now.nanoseconds,
        using: &state.generator)
    }
  }

  /// Counts a connection for each hop, and for nothing but `direct` where there are none.
  ///
  /// - Parameter admitted: how many of the hops, from the first on, have admitted it.
  func count(_ way: Way, by difference: Int, admitted: Int = 0) {
    state.withLock { state in
      switch way {
      case .direct: state.standings.directConnections += difference
      case .chain(let chain):
        for (index, hop) in chain.hops.enumerated() {
          state.standings.update(hop) { standing in
            // Two reloads, there and back, may have forgotten a connection that ends now.
            standing.connections = max(0, standing.connections + difference)
            if index < admitted { standing.admitted = max(0, standing.admitted + difference) }
          }
        }
      }
    }
  }

  /// Counts that hops have admitted a connection, or that it has ended.
  func countAdmission(by hops: ArraySlice<Upstream>, by difference: Int) {
    state.withLock { state in
      for hop in hops {
        state.standings.update(hop) { $0.admitted = max(0, $0.admitted + difference) }
      }
    }
  }

  /// Notes in a failure if the hop may be full. What is down already stays down until it is reached.
  func noteFullness(in failure: inout Failure, of chain: Chain) {
    guard failure.isAdmissionDenied, let index = failure.place.hopIndex, chain.hops.indices.contains(index)
    else { return }
    let standing = state.withLock { $0.standings[chain.hops[index]] }
    failure.mayBeFull = standing.admitted > 0 && standing.failures == 0
  }

  /// Notes that all hops of a way were passed.
  ///
  /// - Parameters:
  ///   - proof: what the last one has shown. That the others reached the next hop does not prove that they reach any
  ///     destination.
  ///   - latencies: what it took to reach each hop, in nanoseconds.
  func note(_ proof: Standing.Proof, of chain: Chain, latencies: [Double?]) {
    state.withLock { state in
      let now = Deadline.now.nanoseconds
      for (index, hop) in chain.hops.enumerated() {
        state.standings.update(hop) { standing in
          if index < latencies.count, let latency = latencies[index] { standing.measure(latency) }
          standing.show(index < chain.hops.count - 1 ? .answer : proof, at: now)
        }
      }
    }
  }

  /// Notes why a way was not passed.
  ///
  /// - Parameters:
  ///   - failure: what ended the dial.
  ///   - blame: whose the failure is.
  ///   - request: what was dialled, and for whom.
  ///   - start: when the dial began.
  ///   - latencies: what it took to reach each hop that was reached, in nanoseconds.
  /// - Returns: a trial that is to be made now, until `end`.
  func note(
    _ failure: Failure, as blame: Failure.Blame, of chain: Chain, by plan: Plan, for request: Request,
    _ purpose: Journey.Purpose, since start: Deadline, latencies: [Double?]
  ) -> WayTrial? {
    state.withLock { state in
      // A reload has changed the check, or removed it.
      if case .check(let group, _, _) = purpose, state.groups[group.name] != group { return nil }
      let now = Deadline.now.nanoseconds
      for (index, hop) in chain.hops.enumerated() {
        state.standings.update(hop) { standing in
          if index < latencies.count, let latency = latencies[index] { standing.measure(latency) }
          let finding = Failure.Finding(of: failure, as: blame, at: index)
          standing.take(
            finding, of: failure, at: index, for: request, purpose, since: start.nanoseconds, at: now)
        }
      }
      guard blame == .suspect, failure.isUnopened || failure.isCutShort || failure.mayBeFull,
        let failed = failure.culprit
      else { return nil }
      // What the client's own request brought about, or a limit of one identity, is no evidence.
      if state.standings[chain.hops[failed]].failures > 0, !failure.hasRequestUnderway,
        !chain.hops[..<failed].contains(where: \.isIsolated)
      {
        // What is down stays down until it is reached.
        state.standings.update(chain.hops[failed]) { $0.fail(at: now, jitter: .random(in: 0..<1)) }
        // But the client may have left it too little time.
        guard failure.isCutShort else { return nil }
      }
      guard case .client = purpose else { return nil }
      return state.standings.beginTrial(
        of: chain.hops[...failed], by: plan, for: request, at: now, using: &state.generator)
    }
  }

  // MARK: Telling

  /// What is known at this moment.
  var standings: Standings { state.withLock { $0.standings } }

  /// Forgets all but the upstreams and groups of a table that holds from now on, and upstreams that connections still
  /// pass. Ends what checks have found that the table no longer has, and begins those at once that it has changed.
  func keep(_ upstreams: [Upstream], _ groups: [Group]) {
    let wakes = state.withLock { state in
      let old = state.groups
      state.upstreams = Dictionary(upstreams.map { ($0.name, $0) }) { first, _ in first }
      state.groups = Dictionary(groups.filter { $0.check != nil }.map { ($0.name, $0) }) { first, _ in first }
      for group in old.values {
        state.standings.endFailures(inCheckOf: group, unlessOf: state.groups[group.name])
      }
      state.standings.keep(upstreams, groups)
      var wakes: [@Sendable () -> Void] = []
      for (name, subject) in state.subjects {
        let group = state.groups[name]
        if group == subject.group, state.has(subject.before) { continue }
        if let wake = subject.wake { wakes.append(wake) }
        if let group, state.has(subject.before) {
          state.subjects[name]?.group = group
          state.subjects[name]?.early = EarlyChecks()
        } else {
          state.subjects[name] = nil
        }
      }
      return wakes
    }
    for wake in wakes { wake() }
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
      return state.standings.standbys(
        for: chain, by: plan, for: request, at: Deadline.now.nanoseconds, using: &state.generator)
    }
  }

  // MARK: Checks

  /// Notes how long a check of a group's member took.
  func noteCheck(of member: Stop, in group: Group, took duration: Duration) {
    state.withLock { state in
      guard state.groups[group.name] == group else { return }
      state.standings.measure(duration / .nanoseconds(1), to: member, of: group)
    }
  }

  /// Notes that a group with a check was passed.
  ///
  /// - Returns: the number of a task that must begin to check it; `nil` when one does, or when the group is none of the
  ///   table that holds: UDP associations keep to the table that they began with.
  func use(_ visit: Selection.Visit) -> Int? {
    state.withLock { state in
      let name = visit.group.name
      guard state.groups[name] == visit.group, state.has(visit.before) else { return nil }
      guard state.subjects[name] == nil else {
        state.subjects[name]?.before = visit.before
        state.subjects[name]?.lastUse = .now
        return nil
      }
      state.tasks += 1
      state.subjects[name] = Subject(group: visit.group, before: visit.before, task: state.tasks)
      return state.tasks
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

  func endEarlyCheck(of member: Int, in subject: Subject, hasPassed: Bool) {
    state.withLock { $0.earlyChecks -= 1 }
    change(subject) { $0.early.end(member, hasPassed: hasPassed, at: .now) }
  }

  /// Lets no more than that many early checks run at a time. Of a member that may not be checked now, the next request
  /// without an answer asks again.
  func limitEarlyChecks(to count: Int) { state.withLock { $0.mostEarlyChecks = count } }

  /// Notes that a check of a group's member failed.
  func noteFailedCheck(of member: Int, in subject: Subject) {
    change(subject) { $0.early.noteFailure(of: member, at: .now) }
  }

  /// The group that a task checks; `nil` when the task is to end: the group was not used since `limit`, or a reload has
  /// taken it away.
  func subject(_ name: String, of task: Int, usedSince limit: (Group.Check) -> Deadline) -> Subject? {
    state.withLock { state in
      guard let subject = state.subjects[name], subject.task == task, let check = subject.group.check
      else { return nil }
      guard subject.lastUse >= limit(check) else {
        state.subjects[name] = nil
        return nil
      }
      state.subjects[name]?.wake = nil
      return subject
    }
  }

  /// Notes that the task of a group sleeps.
  ///
  /// - Parameter wake: called on any thread when a reload changes the group or takes it away.
  /// - Returns: false if a reload has done so already.
  func sleep(_ subject: Subject, waking wake: @escaping @Sendable () -> Void) -> Bool {
    change(subject) { $0.wake = wake }
  }

  /// Changes what is known of a group.
  ///
  /// - Returns: false if a reload has changed the group, or taken it away.
  @discardableResult
  private func change(_ subject: Subject, _ change: (inout Subject) -> Void) -> Bool {
    state.withLock { state in
      let name = subject.group.name
      guard var current = state.subjects[name], current.task == subject.task, current.group == subject.group
      else { return false }
      change(&current)
      state.subjects[name] = current
      return true
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
    _ finding: Failure.Finding, of failure: Failure, at index: Int, for request: Request,
    _ purpose: Journey.Purpose, since start: Moment, at now: Moment
  ) {
    let jitter = Double.random(in: 0..<1)
    switch (finding, purpose) {
    case (.shown(let proof), _):
      // Where the dial ended without an answer, it is not known when the hops before did their part.
      show(proof, at: failure.isAnswer ? now : 0)
    case (.nothing, _): break
    case (.failed, .check(let group, let again, let first)) where index >= first:
      // A request that a check makes is to be fulfilled: no mere admission or refusal ends this failure.
      let isRequest = failure.phase.isAfterAdmission && failure.place.hopIndex == index
      fail(
        missing: isRequest ? .passage : .admission, at: now, pausing: Moment(again / .nanoseconds(1)),
        jitter: jitter, inCheckOf: group.name)
    case (.failed, _) where hasShown(since: start): break
    case (.failed, _): fail(at: now, jitter: jitter)
    case (.doubtful(let hasAdmitted), _):
      if hasAdmitted { show(.admission) }
      if case .client = purpose { doubt(of: request.owner, for: request.destination.host, at: now) }
    }
  }
}
