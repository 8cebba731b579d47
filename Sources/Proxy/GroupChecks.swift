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
  let isDraining: @Sendable () -> Bool
  /// Runs a task beside the checks.
  let begin: @Sendable (@escaping @Sendable () async -> Void) -> Void

  /// A group that nobody used for that long is not checked.
  private static let shortestUse = Duration.seconds(120)
  fileprivate static let longestInterval = 1.1
  /// From an early check that failed to the one that confirms it.
  private static let confirmationDelay = Duration.seconds(1)

  /// Checks the group as the table that holds has it, until a reload has taken it away or another task has begun.
  ///
  /// - Parameter task: as `Health.use` returned it.
  func run(_ task: Int) async {
    while !isDraining(),
      let subject = health.subject(
        name, of: task, usedSince: { check in .ago(max(Self.shortestUse, check.interval * 3)) }),
      let check = subject.group.check
    {
      await round(of: subject, check)
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

  private func round(of subject: Health.Subject, _ check: Group.Check) async {
    await withDiscardingTaskGroup { tasks in
      for (index, member) in subject.group.members.enumerated() where member.stop != .direct {
        tasks.addTask(executorPreference: loop) {
          guard await !passes(member.stop, of: subject, check) else { return }
          health.noteFailedCheck(of: index, in: subject)
        }
      }
    }
  }

  /// Checks one member between the rounds. It is down when it fails twice, with a pause in between: what a client did to
  /// it may be over by then.
  ///
  /// - Parameter subject: as `Health.beginEarlyCheck` returned it.
  func checkEarly(_ index: Int, of subject: Health.Subject) async {
    guard let check = subject.group.check else { return }
    let member = subject.group.members[index].stop
    var hasPassed = await passes(member, of: subject, check, isProof: false)
    if !hasPassed {
      guard (try? await loop.sleep(until: .after(Self.confirmationDelay))) != nil else { return }
      hasPassed = await passes(member, of: subject, check)
    }
    health.endEarlyCheck(of: index, in: subject, hasPassed: hasPassed)
  }

  /// Checks one member.
  ///
  /// - Parameter isProof: whether the member is down if it fails.
  private func passes(
    _ member: Stop, of subject: Health.Subject, _ check: Group.Check, isProof: Bool = true
  ) async -> Bool {
    let request = Request(to: check.destination)
    let positions =
      subject.before.map { Itinerary.Position([.upstream($0)]) } + [Itinerary.Position([member])]
    // A member that is a choice itself is checked by the way that it would take now.
    let plan = Plan(.itinerary(Itinerary(positions)))
    let journey = Journey(
      by: plan, for: request, as: .check(of: subject.group, behind: subject.before.count), health: health)
    guard case .chain(let chain)? = journey.next() else { return true }
    var dialer = makeDialer()
    dialer.journey = journey
    let start = Deadline.now
    do throws(Failure) {
      _ = try await dialer.dial(request, via: .chain(chain), budget: check.timeout)
      health.noteCheck(of: member, in: subject.group, took: Deadline.now.since(start))
      journey.arrive(showing: .passage)
      // The next round does not wait for it.
      begin { await makeDialer().tryPipelining(of: chain, noting: health) }
      return true
    } catch {
      // What was not answered while this program did not run proves nothing.
      let isLate = error.cause == .system(.timedOut) && loop.hasStalled(since: start)
      journey.fail(
        error,
        as: isProof && !isLate ? error.blame(inCheckOf: chain, behind: subject.before.count) : .ours)
      return false
    }
  }
}

extension Group.Check {
  /// For how long a member that failed it is left alone: no pause ends before the next check has.
  var pause: Duration { interval * GroupChecks.longestInterval + timeout * 2 }
}

extension Deadline {
  fileprivate static func ago(_ duration: Duration) -> Deadline {
    let now = Deadline.now
    let past = Deadline(nanoseconds: 0) + duration
    return Deadline(nanoseconds: now.nanoseconds > past.nanoseconds ? now.nanoseconds - past.nanoseconds : 0)
  }
}
