import CLinux
import Glibc

/// A signal that the program waits for instead of being interrupted by it.
package struct Signal: Hashable, Sendable {
  package let rawValue: Int32

  package static let hangUp = Signal(rawValue: SIGHUP)
  package static let interrupt = Signal(rawValue: SIGINT)
  package static let terminate = Signal(rawValue: SIGTERM)
  package static let user1 = Signal(rawValue: SIGUSR1)
  package static let user2 = Signal(rawValue: SIGUSR2)
  /// A child process has ended.
  package static let child = Signal(rawValue: SIGCHLD)

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
  /// Opens those of descriptors 0 to 2 that are closed on /dev/null, for reading only: else a socket would take the number, and
  /// a log line or an answer would be written into it. What is written there fails, as without it.
  package static func openStandardDescriptors() {
    while true {
      let descriptor = linux_open_null()
      // Each takes the lowest number that is free.
      guard (0...2).contains(descriptor) else {
        if descriptor > 2 { _ = linux_close(descriptor) }
        return
      }
    }
  }

  /// Allows as many descriptors as the hard limit does (RLIMIT_NOFILE, getrlimit(2)).
  ///
  /// - Returns: how many the process may open from then on.
  package static func raiseDescriptorLimit() -> Int {
    let limit = Int(linux_raise_descriptor_limit())
    // POSIX grants that many to every process.
    return limit < 0 ? 20 : limit
  }

  /// Leaves as much address space to clients as can be where it is limited (RLIMIT_AS). To be called before threads start.
  package static func saveAddressSpace() { linux_share_arena() }

  /// Whether the system would give the program the memory that it keeps for clients, as much for its first ones, and
  /// `count` octets for the hashes of their logins.
  package static func hasMemoryForClients(andHashes count: Int) -> Bool {
    hasMemory(besides: MemoryGauge.reserve + count)
  }

  /// Whether the system would give the program `count` octets and leave the memory that it keeps for clients. It takes two
  /// system calls; with `count` 0 it takes none, and is true.
  package static func hasMemory(besides count: Int) -> Bool {
    count == 0 || linux_can_allocate(MemoryGauge.reserve + count) != 0
  }

  /// How many ports there are to connect from (ip_local_port_range, ip(7)).
  package static var localPortCount: Int { Int(linux_local_port_count()) }

  /// Removes a file, if it is there.
  package static func remove(_ path: String) {
    _ = unsafe linux_unlink(path)
  }

  /// Tells the service manager, if one started the program (sd_notify(3)): `READY=1`, `STOPPING=1`.
  package static func notifyServiceManager(_ state: String) {
    guard let path = unsafe getenv("NOTIFY_SOCKET") else { return }
    _ = unsafe linux_notify(path, strlen(path), state)
  }

  /// The number of the user with whose rights it runs.
  package static var user: UInt32 { geteuid() }

  /// Its environment, as `NAME=VALUE`.
  package static var environment: [String] {
    var variables: [String] = []
    var next = unsafe environ
    while let text = unsafe next.pointee {
      variables.append(unsafe String(cString: text))
      unsafe next += 1
    }
    return variables
  }

  /// How many processors there are for it.
  package static var processorCount: Int { max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }
}

/// Another program, started by this one.
package struct ChildProcess: Sendable {
  private let identifier: Int32

  /// Starts a program, which is looked for in PATH if its name has no slash. It holds no signal back.
  ///
  /// - Parameters:
  ///   - command: its name and its arguments; not empty.
  ///   - environment: `NAME=VALUE`, in place of this program's own.
  package init(_ command: [String], environment: [String]) throws(Errno) {
    precondition(!command.isEmpty)
    var arguments: [UnsafeMutablePointer<CChar>?] = unsafe command.map { unsafe strdup($0) } + [nil]
    var variables: [UnsafeMutablePointer<CChar>?] = unsafe environment.map { unsafe strdup($0) } + [nil]
    defer { unsafe (arguments + variables).forEach { unsafe free($0) } }
    identifier = try Errno.check(unsafe linux_spawn(&arguments, &variables))
  }

  package func send(_ signal: Signal) {
    kill(identifier, signal.rawValue)
  }

  /// The exit status once it has ended, 128 and the signal's number if by a signal; `nil` while it runs.
  package func exitStatus() -> Int32? {
    var status: Int32 = 0
    // It cannot be waited for any more only if it has ended.
    return unsafe linux_reap(identifier, &status) == 0 ? nil : status
  }
}

/// A file for another program to read. Whoever makes one removes it.
package enum TemporaryFile {
  /// - Returns: the path, in TMPDIR or /tmp, of a file that only this user can read.
  package static func create(named name: String, holding bytes: [UInt8]) throws(Errno) -> String {
    let directory = unsafe getenv("TMPDIR").map { unsafe String(cString: $0) } ?? "/tmp"
    var path = Array("\(directory)/\(name).XXXXXX".utf8) + [0]
    let descriptor = unsafe path.withUnsafeMutableBytes {
      unsafe linux_make_temporary($0.baseAddress?.assumingMemoryBound(to: CChar.self))
    }
    let file = FileDescriptor(owning: try Errno.check(descriptor))
    _ = try Errno.check(unsafe linux_write(file.rawValue, bytes, bytes.count))
    return String(decoding: path.dropLast(), as: UTF8.self)
  }
}

/// The time of day.
package enum WallClock {
  /// Since 1970-01-01T00:00:00Z.
  package static var nanoseconds: UInt64 { linux_wall_clock_nanoseconds() }
}
