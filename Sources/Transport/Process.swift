import CLinux
import Glibc

/// A signal that the program waits for instead of being interrupted by it.
package struct Signal: Hashable, Sendable {
  package let rawValue: Int32

  package static let hangUp = Signal(rawValue: SIGHUP)
  package static let interrupt = Signal(rawValue: SIGINT)
  package static let terminate = Signal(rawValue: SIGTERM)

  /// Holds these signals back in the calling thread and those it starts. Call it before any other thread runs.
  package static func block(_ signals: [Signal]) {
    let numbers = signals.map(\.rawValue)
    _ = unsafe linux_block_signals(numbers, Int32(numbers.count))
  }

  /// Blocks the calling thread until one of these signals comes. They must be held back.
  package static func wait(for signals: [Signal]) -> Signal {
    let numbers = signals.map(\.rawValue)
    return Signal(rawValue: unsafe linux_wait_signal(numbers, Int32(numbers.count)))
  }
}

/// The process's own standing with the system.
package enum OwnProcess {
  /// Allows as many descriptors as the hard limit does: every tunnel takes two.
  package static func raiseDescriptorLimit() {
    _ = linux_raise_descriptor_limit()
  }

  /// Tells the service manager, if one started the program (sd_notify(3)): `READY=1`, `STOPPING=1`.
  package static func notifyServiceManager(_ state: String) {
    guard let path = unsafe getenv("NOTIFY_SOCKET") else { return }
    _ = unsafe linux_notify(path, strlen(path), state)
  }

  /// How many processors there are for it.
  package static var processorCount: Int { max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }
}

/// The time of day.
package enum WallClock {
  /// Since 1970-01-01T00:00:00Z.
  package static var nanoseconds: UInt64 { linux_wall_clock_nanoseconds() }
}
