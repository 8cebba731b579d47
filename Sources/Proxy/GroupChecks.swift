import Routing
import Transport

/// Dials through the members of one group, again and again, as long as it is in use: so that what is down is known
/// before somebody needs it, and what is up again is not left alone.
///
/// Each member is reached through the hops that stood before the group when it was last used, never around them.
struct GroupChecks: Sendable {
  let name: String
  let health: Health
  /// Of the moment: a reload may have changed the policy.
  let makeDialer: @Sendable () -> Dialer
  let isDraining: @Sendable () -> Bool

  /// A group that nobody used for that long is not checked.
  private static let shortestUse = Duration.seconds(120)
  private static let longestInterval = 1.1
  /// Clients whose requests get no answer make checks no more frequent than this.
  private static let shortestInterval = Duration.seconds(5)

  func run() async {
    while !isDraining(),
      let subject = health.subject(
        name, usedSince: { check in .ago(max(Self.shortestUse, check.interval * 3)) }),
      let check = subject.group.check
    {
      let start = Deadline.now
      await round(of: subject, check)
      // Not all groups, and not all instances, at the same time.
      let interval = check.interval * Double.random(in: 0.9..<Self.longestInterval)
      guard await wait(until: .after(interval), notBefore: start + Self.shortestInterval) else { return }
    }
  }

  /// Waits for the next round, or until one is wanted earlier; false when the program ends.
  private func wait(until next: Deadline, notBefore soonest: Deadline) async -> Bool {
    while true {
      let now = Deadline.now
      if now >= next || now >= soonest && health.takeUrgency(of: name) { return true }
      let end = min(next, now + .seconds(1))
      guard (try? await makeDialer().loop.sleep(until: end)) != nil else { return false }
    }
  }

  private func round(of subject: Health.Subject, _ check: Group.Check) async {
    let loop = makeDialer().loop
    await withDiscardingTaskGroup { tasks in
      for member in subject.group.members where member.stop != .direct {
        tasks.addTask(executorPreference: loop) {
          await self.check(member.stop, of: subject, check)
        }
      }
    }
  }

  private func check(_ stop: Stop, of subject: Health.Subject, _ check: Group.Check) async {
    let request = Request(to: check.destination)
    let positions = subject.before.map { Itinerary.Position([.upstream($0)]) } + [Itinerary.Position([stop])]
    // A member that is a choice itself is checked by the way that it would take now.
    let plan = Plan(.itinerary(Itinerary(positions)))
    // No pause ends before the next check has.
    let again = check.interval * Self.longestInterval + check.timeout * 2
    let journey = Journey(
      by: plan, for: request, as: .check(again: again, behind: subject.before.count), health: health)
    guard case .chain(let chain)? = journey.next() else { return }
    var dialer = makeDialer()
    dialer.journey = journey
    let start = Deadline.now
    do throws(Failure) {
      _ = try await dialer.dial(request, via: .chain(chain), budget: check.timeout)
      health.noteCheck(of: stop, in: subject.group, took: Deadline.now.since(start))
      journey.arrive()
      await makeDialer().tryPipelining(of: chain, noting: health)
    } catch {
      journey.fail(error, as: error.blame(inCheckOf: chain, behind: subject.before.count))
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
