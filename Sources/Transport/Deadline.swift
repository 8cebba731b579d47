import CLinux

/// A moment on the monotonic clock, to the nanosecond.
package struct Deadline: Hashable, Comparable, Sendable {
  /// Since the clock's start.
  package let nanoseconds: UInt64

  package static let never = Deadline(nanoseconds: .max)

  package init(nanoseconds: UInt64) {
    self.nanoseconds = nanoseconds
  }

  package static var now: Deadline { Deadline(nanoseconds: linux_monotonic_nanoseconds()) }

  /// `duration` from now; a duration too long for the clock is `never`.
  package static func after(_ duration: Duration) -> Deadline { now + duration }

  package static func + (start: Deadline, duration: Duration) -> Deadline { start + Interval(duration) }

  package static func + (start: Deadline, interval: Interval) -> Deadline {
    let (sum, overflow) = start.nanoseconds.addingReportingOverflow(interval.nanoseconds)
    return overflow ? .never : Deadline(nanoseconds: sum)
  }

  /// A duration in the clock's own unit, for those who add it again and again: to convert one takes a 128-bit division.
  package struct Interval: Hashable, Sendable {
    fileprivate let nanoseconds: UInt64

    package init(_ duration: Duration) {
      nanoseconds = duration.nanoseconds
    }
  }

  /// How long from `earlier` to this; zero if it was not earlier.
  package func since(_ earlier: Deadline) -> Duration {
    .nanoseconds(nanoseconds > earlier.nanoseconds ? Int64(clamping: nanoseconds - earlier.nanoseconds) : 0)
  }

  package static func < (one: Deadline, other: Deadline) -> Bool { one.nanoseconds < other.nanoseconds }
}

extension Duration {
  /// Whole nanoseconds, within 0 and what 64 bits hold.
  fileprivate var nanoseconds: UInt64 {
    let (seconds, attoseconds) = components
    guard seconds >= 0, attoseconds >= 0 else { return 0 }
    guard seconds < Int64.max / 1_000_000_000 - 1 else { return .max }
    return UInt64(seconds) * 1_000_000_000 + UInt64(attoseconds / 1_000_000_000)
  }
}
