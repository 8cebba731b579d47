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
  private static let longestInterval = 1.1
  /// From an early check that failed to the one that confirms it.
  private static let confirmationDelay = Duration.seconds(1)

  func run() async {
    while !isDraining(),
      let subject = health.subject(
        name, usedSince: { check in .ago(max(Self.shortestUse, check.interval * 3)) }),
      let check = subject.group.check
    {
      await round(of: subject, check)
      // Not all groups, and not all instances, at the same time.
      let interval = check.interval * Double.random(in: 0.9..<Self.longestInterval)
      guard (try? await loop.sleep(until: .after(interval))) != nil else { return }
    }
  }

  private func round(of subject: Health.Subject, _ check: Group.Check) async {
    await withDiscardingTaskGroup { tasks in
      for (index, member) in subject.group.members.enumerated() where member.stop != .direct {
        tasks.addTask(executorPreference: loop) {
          guard await !passes(member.stop, of: subject, check) else { return }
          health.noteFailedCheck(of: index, in: name)
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
    health.endEarlyCheck(of: index, in: name, hasPassed: hasPassed)
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
    // No pause ends before the next check has.
    let again = check.interval * Self.longestInterval + check.timeout * 2
    let journey = Journey(
      by: plan, for: request, as: .check(again: again, behind: subject.before.count), health: health)
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
      journey.fail(error, as: isProof ? error.blame(inCheckOf: chain, behind: subject.before.count) : .ours)
      return false
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
