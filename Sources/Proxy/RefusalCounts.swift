import Settings
import Transport

/// How often each limit refused a connection, and when the log is told: at the first refusal, and then once a minute as
/// long as there are more. So a flood is one line a minute, however many clients take part.
struct RefusalCounts {
  /// What the log is told of a limit.
  struct Notice {
    let reached: ReachedLimit
    /// How many were refused since the log was last told, this one included.
    let count: Int
  }

  private struct Refusals {
    var total = 0
    /// Of the latest refusal.
    var value = 0
    var untold = 0
    var quietUntil = Deadline(nanoseconds: 0)
  }

  private static let quiet = Duration.seconds(60)

  private var byLimit: [Limit: Refusals] = [:]

  var totals: [Limit: (value: Int, count: Int)] { byLimit.mapValues { ($0.value, $0.total) } }

  /// Counts one refusal.
  mutating func count(_ reached: ReachedLimit, at now: Deadline = .now) -> Notice? {
    var refusals = byLimit[reached.limit] ?? Refusals()
    defer { byLimit[reached.limit] = refusals }
    refusals.total += 1
    refusals.untold += 1
    refusals.value = reached.value
    guard refusals.quietUntil <= now else { return nil }
    defer { refusals.untold = 0 }
    refusals.quietUntil = now + Self.quiet
    return Notice(reached: reached, count: refusals.untold)
  }
}
