import Foundation

/// A program some test needs, and the Debian package it comes from.
struct Program: Sendable {
  let path: String

  init(_ name: String, package: String) throws {
    let directories = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
    guard let path = directories.map({ $0 + "/" + name }).first(where: { access($0, X_OK) == 0 }) else {
      throw NeverHappened(description: "\(name) is missing: apt-get install \(package)")
    }
    self.path = path
  }

  init(path: String) { self.path = path }
}

/// A running program with its output, line by line. It ends with the value, or when the test process dies.
final class ChildProcess: Sendable {
  struct Exit: Equatable, CustomStringConvertible {
    /// The exit code; 128 and the signal's number when a signal ended it.
    let status: Int32
    let output: [String]
    let errors: [String]

    var description: String { "status \(status)\n" + (output + errors).joined(separator: "\n") }
  }

  let output = Recorder<String>()
  let errors = Recorder<String>()
  /// Both streams, in the order in which lines were read.
  let lines = Recorder<String>()
  /// The limits of open files that a test gave it.
  let descriptorLimits = Recorder<Int>()
  private let life: Life
  private let endedStreams = Recorder<Void>()

  /// `input` must fit into a pipe; `descriptors` is the limit of open files it runs under; `passed` is handed to it as
  /// sd_listen_fds(3) wants it.
  init(
    _ program: Program, _ arguments: [String], environment: [String: String] = [:], directory: String = "/",
    input: String = "", descriptors: Int? = nil, passed: [Int32] = [], in network: Network? = nil
  ) throws {
    // The signal comes last of what changes privileges, since each change would clear it.
    var command = (network?.entrance ?? []) + ["/usr/bin/setpriv", "--pdeathsig", "KILL"]
    if let descriptors {
      descriptorLimits.record(descriptors)
      command += ["prlimit", "--nofile=\(descriptors):\(descriptors)"]
    }
    // Only the process itself knows its number before it is the program.
    if !passed.isEmpty { command += ["/bin/sh", "-c", "LISTEN_PID=${LISTEN_PID:-$$} exec \"$0\" \"$@\""] }
    command += [program.path] + arguments

    // Nothing of the caller's, above all no proxy variables, except what sanitizers and coverage need.
    var variables = ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "HOME": "/nonexistent"]
    // Swift keeps tags in pointers to the boxes of indirect cases, so that what they hold looks leaked. And what was
    // freed must not look like memory in use for long.
    variables["ASAN_OPTIONS"] = "detect_leaks=0:quarantine_size_mb=1:thread_local_quarantine_size_kb=64"
    for name in ["LD_LIBRARY_PATH", "TSAN_OPTIONS", "LLVM_PROFILE_FILE", "TMPDIR"] {
      if let value = ProcessInfo.processInfo.environment[name] { variables[name] = value }
    }
    if !passed.isEmpty { variables["LISTEN_FDS"] = "\(passed.count)" }
    variables.merge(environment) { $1 }

    let inputs = try GNU.pipe()
    let outputs = try GNU.pipe()
    let diagnostics = try GNU.pipe()
    defer { for descriptor in [inputs.read, outputs.write, diagnostics.write] { close(descriptor) } }
    life = Life(
      try spawn(
        command, variables.map { "\($0)=\($1)" }, in: directory,
        descriptors: [inputs.read, outputs.write, diagnostics.write] + passed))

    _ = input.withCString { write(inputs.write, $0, strlen($0)) }
    close(inputs.write)
    readLines(from: outputs.read, into: [output, lines])
    readLines(from: diagnostics.read, into: [errors, lines])
    Thread.detachNewThread { [endedStreams, lines] in
      for _ in 0..<2 { endedStreams.takeFirst() }
      lines.finish()
    }
  }

  deinit { life.end() }

  var identifier: pid_t { life.identifier }

  var hasExited: Bool { !life.status.all.isEmpty }

  func signal(_ number: Int32) { life.signal(number) }

  /// The first field of /proc/PID/statm, in bytes.
  var addressSpace: Int {
    get throws {
      let fields = try String(contentsOfFile: "/proc/\(identifier)/statm", encoding: .utf8).split(
        separator: " ")
      return (Int(fields[0]) ?? 0) * sysconf(Int32(_SC_PAGESIZE))
    }
  }

  /// Sets RLIMIT_AS, in bytes; `nil` lifts it. The hard limit stays as it is.
  func limitAddressSpace(to size: Int?) throws {
    let exit = try ChildProcess.run(
      try Program("prlimit", package: "util-linux"),
      ["--pid", "\(identifier)", "--as=\(size.map(String.init) ?? "unlimited"):"])
    guard exit.status == 0 else { throw NeverHappened(description: "\(exit)") }
  }

  /// The second field of /proc/PID/statm, in bytes.
  var residentBytes: Int {
    get throws {
      let fields = try String(contentsOfFile: "/proc/\(identifier)/statm", encoding: .utf8).split(
        separator: " ")
      return (Int(fields[1]) ?? 0) * sysconf(Int32(_SC_PAGESIZE))
    }
  }

  /// The most it ever had resident: VmHWM of /proc/PID/status, in bytes.
  var peakResidentBytes: Int {
    get throws {
      let text = try String(contentsOfFile: "/proc/\(identifier)/status", encoding: .utf8)
      guard let peak = text.firstMatch(of: /VmHWM:\s+(\d+) kB/), let kibibytes = Int(peak.1) else {
        throw NeverHappened(description: "VmHWM in /proc/\(identifier)/status")
      }
      return kibibytes * 1024
    }
  }

  /// User and system time it has used so far.
  var processorTime: Duration {
    get throws {
      let text = try String(contentsOfFile: "/proc/\(identifier)/stat", encoding: .utf8)
      // Behind the name in parentheses, which may hold spaces, `utime` and `stime` are the 12th and 13th field.
      let fields = text[(text.lastIndex(of: ")") ?? text.startIndex)...].split(separator: " ")
      let ticks = (Int(fields[12]) ?? 0) + (Int(fields[13]) ?? 0)
      return .milliseconds(ticks * 1000 / sysconf(Int32(_SC_CLK_TCK)))
    }
  }

  /// The local addresses of its UDP sockets over IPv4, from /proc/PID/net/udp.
  var datagramSockets: [String] {
    get throws {
      let own = Set(try openFiles)
      let table = try textOfTable("/proc/\(identifier)/net/udp")
      return table.split(separator: "\n").dropFirst().compactMap { line in
        let fields = line.split(separator: " ")
        guard own.contains("socket:[\(fields[9])]") else { return nil }
        // The address is one number in the order of the machine, the port another: 0100007F:1F90.
        let numbers = fields[1].split(separator: ":").compactMap { UInt32($0, radix: 16) }
        let octets = withUnsafeBytes(of: numbers[0]) { $0.map(String.init).joined(separator: ".") }
        return "\(octets):\(numbers[1])"
      }
    }
  }

  var openDescriptors: Int {
    get throws { try FileManager.default.contentsOfDirectory(atPath: "/proc/\(identifier)/fd").count }
  }

  /// What its descriptors are open on, as /proc/PID/fd has it: `socket:[1234]`, `/dev/null`.
  var openFiles: [String] {
    get throws {
      let directory = "/proc/\(identifier)/fd"
      return try FileManager.default.contentsOfDirectory(atPath: directory).compactMap { name in
        try? FileManager.default.destinationOfSymbolicLink(atPath: "\(directory)/\(name)")
      }
    }
  }

  /// Waits until it has exited and everything it wrote has been read.
  func wait() throws -> Exit {
    let status = try life.status.wait(for: "the end of process \(identifier); it said \(lines.all)") {
      $0.first
    }
    try lines.waitForFinish()
    return Exit(status: status, output: output.all, errors: errors.all)
  }

  /// The first line, of either stream, that contains `pattern`.
  @discardableResult
  func line(matching pattern: some RegexComponent, after skipped: Int = 0) throws -> String {
    try lines.wait(for: "the line") { $0.dropFirst(skipped).first { $0.contains(pattern) } }
  }

  @discardableResult
  func line(containing text: String, after skipped: Int = 0) throws -> String {
    try lines.wait(for: "a line with “\(text)”") { $0.dropFirst(skipped).first { $0.contains(text) } }
  }

  /// Runs a program to its end.
  static func run(
    _ program: Program, _ arguments: [String], environment: [String: String] = [:], directory: String = "/",
    input: String = "", in network: Network? = nil
  ) throws -> Exit {
    try ChildProcess(
      program, arguments, environment: environment, directory: directory, input: input, in: network
    ).wait()
  }

  private func readLines(from descriptor: Int32, into recorders: [Recorder<String>]) {
    Thread.detachNewThread { [endedStreams] in
      var pending: [UInt8] = []
      var buffer = [UInt8](repeating: 0, count: 65_536)
      while true {
        let count = read(descriptor, &buffer, buffer.count)
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { break }
        pending += buffer[..<count]
        while let end = pending.firstIndex(of: 0x0A) {
          let line = String(decoding: pending[..<end], as: UTF8.self)
          for recorder in recorders { recorder.record(line) }
          pending.removeFirst(end + 1)
        }
      }
      close(descriptor)
      if !pending.isEmpty {
        for recorder in recorders { recorder.record(String(decoding: pending, as: UTF8.self)) }
      }
      endedStreams.record(())
    }
  }
}

/// From spawn to reaping: signals go out only as long as the number is the child's.
private final class Life: Sendable {
  let identifier: pid_t
  let status = Recorder<Int32>()
  private let isReaped = Locked(false)

  init(_ identifier: pid_t) {
    self.identifier = identifier
    Thread.detachNewThread { [self] in
      var information = siginfo_t()
      while waitid(P_PID, id_t(identifier), &information, WEXITED | WNOWAIT) < 0, errno == EINTR {}
      let status = isReaped.withLock { isReaped in
        // What it started in its process group ends with it.
        kill(-identifier, SIGKILL)
        var status: Int32 = 0
        while waitpid(identifier, &status, 0) < 0, errno == EINTR {}
        isReaped = true
        return status
      }
      self.status.record(status & 0x7F == 0 ? status >> 8 & 0xFF : 128 + status & 0x7F)
    }
  }

  func signal(_ number: Int32) {
    isReaped.withLock { if !$0 { _ = kill(identifier, number) } }
  }

  func end() {
    isReaped.withLock { if !$0 { _ = kill(-identifier, SIGKILL) } }
  }
}

/// Starts `command` as the leader of a process group of its own, with `descriptors` as 0, 1, 2… and no others.
private func spawn(
  _ command: [String], _ environment: [String], in directory: String, descriptors: [Int32]
) throws -> pid_t {
  var actions = posix_spawn_file_actions_t()
  posix_spawn_file_actions_init(&actions)
  defer { posix_spawn_file_actions_destroy(&actions) }
  for (number, descriptor) in descriptors.enumerated() {
    posix_spawn_file_actions_adddup2(&actions, descriptor, Int32(number))
  }
  GNU.addCloseFrom(Int32(descriptors.count), to: &actions)
  GNU.addChdir(directory, to: &actions)

  var attributes = posix_spawnattr_t()
  posix_spawnattr_init(&attributes)
  defer { posix_spawnattr_destroy(&attributes) }
  var none = sigset_t()
  var all = sigset_t()
  sigemptyset(&none)
  sigfillset(&all)
  posix_spawnattr_setsigmask(&attributes, &none)
  posix_spawnattr_setsigdefault(&attributes, &all)
  posix_spawnattr_setpgroup(&attributes, 0)
  posix_spawnattr_setflags(
    &attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))

  let arguments = command.map { strdup($0) } + [nil]
  let variables = environment.map { strdup($0) } + [nil]
  defer { for string in arguments + variables { free(string) } }
  var identifier: pid_t = 0
  let failure = posix_spawn(&identifier, command[0], &actions, &attributes, arguments, variables)
  guard failure == 0 else { throw SocketError("start \(command[0])", failure) }
  return identifier
}

/// A file that the kernel writes page by page: Foundation takes the first short read for the end.
private func textOfTable(_ path: String) throws -> String {
  let descriptor = open(path, O_RDONLY | O_CLOEXEC)
  guard descriptor >= 0 else { throw SocketError("open \(path)") }
  defer { close(descriptor) }
  var text: [UInt8] = []
  var buffer = [UInt8](repeating: 0, count: 65_536)
  while true {
    let count = read(descriptor, &buffer, buffer.count)
    if count < 0, errno == EINTR { continue }
    guard count >= 0 else { throw SocketError("read \(path)") }
    guard count > 0 else { return String(decoding: text, as: UTF8.self) }
    text += buffer[..<count]
  }
}
