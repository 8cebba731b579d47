import Glibc

/// A program that runs until this value ends.
///
/// What it says on standard error goes to a file, which the error names if it does not start.
final class ChildProcess {
  let identifier: pid_t

  /// Starts `arguments[0]`, looked up in PATH.
  init(_ arguments: [String], log: String) throws(Machine.Failure) {
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    unsafe posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
    unsafe posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, log, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    unsafe posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO)

    // The loop's threads and those that wait for signals hold some back; a child would inherit that.
    var attributes = posix_spawnattr_t()
    var noSignals = sigset_t()
    unsafe sigemptyset(&noSignals)
    unsafe posix_spawnattr_init(&attributes)
    defer { unsafe posix_spawnattr_destroy(&attributes) }
    unsafe posix_spawnattr_setsigmask(&attributes, &noSignals)
    unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))

    var vector = unsafe arguments.map { unsafe strdup($0) }
    unsafe vector.append(nil)
    defer { unsafe vector.forEach { unsafe free($0) } }
    var identifier: pid_t = 0
    let error = unsafe posix_spawnp(&identifier, arguments[0], &actions, &attributes, vector, environ)
    guard error == 0 else {
      throw Machine.Failure(
        description: "cannot start \(arguments[0]): \(unsafe String(cString: strerror(error)))")
    }
    self.identifier = identifier
  }

  /// Asks it to end; what of it has not ended after a second is ended, also those its first process left behind.
  deinit {
    let family = family
    kill(identifier, SIGTERM)
    for _ in 0..<100 {
      guard waitpid(identifier, nil, WNOHANG) == 0 else { break }
      usleep(10_000)
    }
    for process in family.reversed() { kill(process, SIGKILL) }
    waitpid(identifier, nil, 0)
  }

  /// It ended by itself.
  var hasEnded: Bool { Self.stat(of: identifier).first == "Z" }

  static func isInstalled(_ program: String) -> Bool {
    let directories = unsafe getenv("PATH").map { unsafe String(cString: $0) } ?? ""
    return directories.split(separator: ":").contains { unsafe access("\($0)/\(program)", X_OK) == 0 }
  }
}

// MARK: - What it uses

extension ChildProcess {
  /// Seconds of processor time so far, of all its threads and of its living descendants.
  var processorSeconds: Double {
    family.reduce(0) { $0 + Self.processorSeconds(of: $1) }
  }

  /// /proc/PID/stat counts in ticks of 10 ms; the process's own clock counts nanoseconds.
  private static func processorSeconds(of process: pid_t) -> Double {
    var clock = clockid_t()
    var time = timespec()
    guard unsafe clock_getcpuclockid(process, &clock) == 0, unsafe clock_gettime(clock, &time) == 0 else {
      return 0
    }
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }

  /// Bytes of resident memory, of it and its living descendants.
  var residentBytes: Double {
    family.reduce(0) { sum, process in
      let pages = Files.read("/proc/\(process)/statm").split(separator: " ").dropFirst().first
      return sum + (pages.flatMap { Double($0) } ?? 0) * Double(sysconf(Int32(_SC_PAGESIZE)))
    }
  }

  /// It and its descendants: some servers have a process a client, or a few for all.
  private var family: [pid_t] {
    let parents = Self.parents()
    var members = [identifier]
    var index = 0
    while index < members.count {
      members += parents.filter { $0.value == members[index] }.map(\.key)
      index += 1
    }
    return members
  }

  /// The parent of every process.
  private static func parents() -> [pid_t: pid_t] {
    var parents: [pid_t: pid_t] = [:]
    for process in Files.names(in: "/proc").compactMap({ pid_t($0) }) {
      let fields = stat(of: process)
      if fields.count > 1, let parent = pid_t(fields[1]) { parents[process] = parent }
    }
    return parents
  }

  /// What /proc/PID/stat says from the state on. The name before it may hold anything, so the last parenthesis counts.
  private static func stat(of process: pid_t) -> [Substring] {
    let text = Files.read("/proc/\(process)/stat")
    return text.lastIndex(of: ")").map { text[text.index(after: $0)...].split(separator: " ") } ?? []
  }
}
