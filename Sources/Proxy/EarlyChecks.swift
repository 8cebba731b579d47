import Transport

/// Checks of one group's members between its rounds: of members that left a client's request without an answer.
///
/// A client can make any member leave its requests without an answer. So checks that pass become rarer, down to the
/// group's own interval.
struct EarlyChecks {
  private struct Pace {
    var interval = EarlyChecks.shortestInterval
    var notBefore = Deadline(nanoseconds: 0)
    var isRunning = false
  }

  /// By the members' places in the group.
  private var paces: [Int: Pace] = [:]

  private static let shortestInterval = Duration.seconds(5)

  /// Begins a check of that member, if one may begin at `now`.
  ///
  /// - Parameter longest: the group's own interval.
  mutating func begin(_ member: Int, upTo longest: Duration, at now: Deadline) -> Bool {
    var pace = paces[member] ?? Pace()
    guard !pace.isRunning, now >= pace.notBefore else { return false }
    pace.isRunning = true
    pace.notBefore = now + pace.interval
    pace.interval = min(pace.interval * 2, max(longest, Self.shortestInterval))
    paces[member] = pace
    return true
  }

  /// Ends a check that `begin` began.
  mutating func end(_ member: Int, hasPassed: Bool, at now: Deadline) {
    paces[member]?.isRunning = false
    if !hasPassed { noteFailure(of: member, at: now) }
  }

  /// Notes that a check of the member failed: from now on it may be checked soon again.
  mutating func noteFailure(of member: Int, at now: Deadline) {
    guard paces[member] != nil else { return }
    paces[member]?.interval = Self.shortestInterval
    paces[member]?.notBefore = now + Self.shortestInterval
  }
}
