import Routing
import Transport

/// Dials through the members of one group, again and again, as long as it is in use: so that what is down is known
/// before somebody needs it, and what is up again is not left alone.
///
/// Each member is reached through the hops that stood before the group when it was last used, never around them.
struct GroupChecks: Sendable {
  let name: String
  let loop: EventLoop
  let health: Health
  /// Of the moment: a reload may have changed the policy.
  let makeDialer: @Sendable () -> Dialer
  /// How many members of a group are checked at the same time.
  let places: @Sendable (Group) -> Int
  let isDraining: @Sendable () -> Bool
  /// Runs a task beside the checks.
  let begin: @Sendable (@escaping @Sendable () async -> Void) -> Void

  /// A group that nobody used for that long is not checked.
  private static let shortestUse = Duration.seconds(120)
  private static let longestInterval = 1.1
  /// From an early check that failed to the one that confirms it.
  private static let confirmationDelay = Duration.seconds(1)

  /// Whether pipelining is tried through members that have passed a check. `@unchecked` holds because tasks of one loop use
  /// it.
  private final class Trials: @unchecked Sendable {
    var areRunning = false
  }

  /// Checks the group as the table that holds has it, until a reload has taken it away or another task has begun.
  ///
  /// - Parameter task: as `Health.use` returned it.
  func run(_ task: Int) async {
    let trials = Trials()
    while !isDraining(),
      let subject = health.subject(
        name, of: task, usedSince: { check in .ago(max(Self.shortestUse, check.interval * 3)) }),
      let check = subject.group.check
    {
      await round(of: subject, check, before: trials)
      // Not all groups, and not all instances, at the same time.
      let interval = check.interval * Double.random(in: 0.9..<Self.longestInterval)
      let wakeup = await loop.wait(for: [], until: .after(interval)) { [loop] id in
        let isAsleep = health.sleep(subject) {
          Task(executorPreference: loop) { loop.wake(id) }
        }
        if !isAsleep { loop.wake(id) }
      }
      guard wakeup != .cancelled else { return }
    }
  }

  /// Each check holds a descriptor, as each trial does. The next round does not wait for trials.
  private func round(of subject: Health.Subject, _ check: Group.Check, before trials: Trials) async {
    let members = subject.group.members.indices.filter { subject.group.members[$0].stop != .direct }
    let places = places(subject.group)
    let findings = await each(of: members, atATime: places) { index in
      let finding = await self.check(subject.group.members[index].stop, of: subject, check)
      if !finding.hasPassed { health.noteFailedCheck(of: index, in: subject) }
      return finding
    }
    let chains = findings.compactMap(\.chain)
    guard !chains.isEmpty, !trials.areRunning else { return }
    trials.areRunning = true
    begin {
      _ = await each(of: chains, atATime: places) { await tryPipelining(of: $0) }
      trials.areRunning = false
    }
  }

  /// Returns what `body` makes of each element, so many at a time, in the order in which they were finished.
  private func each<Element: Sendable, Value: Sendable>(
    of elements: [Element], atATime count: Int, _ body: @escaping @Sendable (Element) async -> Value
  ) async -> [Value] {
    await withTaskGroup(of: Value.self) { tasks in
      var results: [Value] = []
      for (place, element) in elements.enumerated() {
        if place >= count, let result = await tasks.next() { results.append(result) }
        guard !Task.isCancelled else { break }
        tasks.addTask(executorPreference: loop) { await body(element) }
      }
      for await result in tasks { results.append(result) }
      return results
    }
  }

  private func tryPipelining(of chain: Chain) async {
    await makeDialer().tryPipelining(of: chain, noting: health)
  }

  /// Checks one member between the rounds. It is down when it fails twice, with a pause in between: what a client did to
  /// it may be over by then.
  ///
  /// - Parameter subject: as `Health.beginEarlyCheck` returned it.
  func checkEarly(_ index: Int, of subject: Health.Subject) async {
    guard let check = subject.group.check else { return }
    let member = subject.group.members[index].stop
    var finding = await self.check(member, of: subject, check, isProof: false)
    if !finding.hasPassed {
      guard (try? await loop.sleep(until: .after(Self.confirmationDelay))) != nil else { return }
      finding = await self.check(member, of: subject, check)
    }
    if let chain = finding.chain { begin { await tryPipelining(of: chain) } }
    health.endEarlyCheck(of: index, in: subject, hasPassed: finding.hasPassed)
  }

  private enum Finding {
    /// `nil`: the member leads through no chain now.
    case passed(Chain?)
    case failed

    var hasPassed: Bool { if case .passed = self { true } else { false } }
    var chain: Chain? { if case .passed(let chain) = self { chain } else { nil } }
  }

  /// For how long a member that failed a check is left alone: no pause ends before the next check has, which may be the
  /// first of this round and the last of the next.
  private func again(_ group: Group, _ check: Group.Check) -> Duration {
    let (members, places) = (group.members.count, places(group))
    return check.interval * Self.longestInterval + check.timeout * (1 + (members + places - 1) / places)
  }

  /// Checks one member.
  ///
  /// - Parameter isProof: whether the member is down if it fails.
  private func check(
    _ member: Stop, of subject: Health.Subject, _ check: Group.Check, isProof: Bool = true
  ) async -> Finding {
    let request = Request(to: check.destination)
    let positions =
      subject.before.map { Itinerary.Position([.upstream($0)]) } + [Itinerary.Position([member])]
    // A member that is a choice itself is checked by the way that it would take now.
    let plan = Plan(.itinerary(Itinerary(positions)))
    let journey = Journey(
      by: plan, for: request,
      as: .check(of: subject.group, again: again(subject.group, check), behind: subject.before.count),
      health: health)
    guard case .chain(let chain)? = journey.next() else { return .passed(nil) }
    var dialer = makeDialer()
    dialer.journey = journey
    let start = Deadline.now
    do throws(Failure) {
      _ = try await dialer.dial(request, via: .chain(chain), budget: check.timeout)
      health.noteCheck(of: member, in: subject.group, took: Deadline.now.since(start))
      journey.arrive(showing: .passage)
      return .passed(chain)
    } catch {
      // What was not answered while this program did not run proves nothing.
      let isLate = error.cause == .system(.timedOut) && loop.hasStalled(since: start)
      var failure = error
      journey.noteFullness(in: &failure)
      journey.fail(
        failure,
        as: isProof && !isLate ? failure.blame(inCheckOf: chain, behind: subject.before.count) : .ours)
      return .failed
    }
  }
}

extension Deadline {
  fileprivate static func ago(_ duration: Duration) -> Deadline {
    let now = Deadline.now
    let past = Deadline(nanoseconds: 0) + duration
    return Deadline(nanoseconds: now.nanoseconds > past.nanoseconds ? now.nanoseconds - past.nanoseconds : 0)
  }
}
