import Foundation

/// One way for a system call to fail.
struct Fault: Sendable, CustomStringConvertible {
  enum Effect: Sendable, Hashable {
    case error(Int32)
    /// One octet, one message or one event at a time.
    case short
    /// 20 ms late.
    case late
  }

  enum Rhythm: String, Sendable, CaseIterable {
    case once = "once"
    case seventh = "every 7th time"
    case always = "always"
  }

  /// What the program does meanwhile.
  enum Stage: Sendable {
    /// From its first instruction until it serves.
    case start
    /// It serves clients, and reloads.
    case load
    /// From SIGTERM to its end.
    case end
  }

  /// The name of its C function.
  let call: String
  let effect: Effect
  let rhythm: Rhythm
  /// Which call fails first, counted from 1.
  let first: Int

  init(call: String, effect: Effect, rhythm: Rhythm, first: Int? = nil) {
    self.call = call
    self.effect = effect
    self.rhythm = rhythm
    self.first = first ?? (rhythm == .seventh ? 7 : 1)
  }

  var description: String {
    let when = rhythm.rawValue + (rhythm == .once && first > 1 ? ", as call \(first)" : "")
    return switch effect {
    case .error(let code): "\(call) fails with “\(String(cString: strerror(code)))” \(when)"
    case .short: "\(call) is short \(when)"
    case .late: "\(call) is late \(when)"
    }
  }

  /// Whether it can look like the deed of a hop or a destination. Every other failure is the machine's own.
  var mayBeAPeers: Bool {
    // A hop's time may be over before a program has moved its bytes that is slow at everything.
    guard case .error(let code) = effect else { return effect == .late || rhythm != .once }
    // Without any address of its own a machine reaches nobody.
    if call == "connect", code == EADDRNOTAVAIL { return rhythm == .always }
    return Self.peersErrors.contains(code)
  }

  private static let peersErrors: Set<Int32> = [
    ECONNREFUSED, ECONNRESET, ECONNABORTED, EPIPE, ETIMEDOUT, EHOSTUNREACH, EHOSTDOWN, ENETUNREACH, ENETDOWN,
    ENOTCONN, EPROTO,
    // A local firewall forbids a peer, or this machine has no IPv6.
    EACCES, EPERM, EAFNOSUPPORT,
    // What the kernel makes of ICMP's word that the protocol is unreachable.
    ENOPROTOOPT,
  ]

  /// A function of the C library that fails on purpose.
  private struct Call {
    let name: String
    /// Where the program calls it each time. There its faults are tried, and there it is an error if it is not called.
    let stages: [Stage]
    /// What its manual page lists, where a correct program can meet it.
    let errors: [Int32]
    let canBeShort: Bool
    let canBeLate: Bool
    /// Which calls fail alone, besides the first: each is made somewhere else.
    let others: [Int]

    init(
      _ name: String, _ stages: [Stage], _ errors: [Int32], canBeShort: Bool = false, canBeLate: Bool = false,
      others: [Int] = []
    ) {
      self.name = name
      self.stages = stages
      self.errors = errors
      self.canBeShort = canBeShort
      self.canBeLate = canBeLate
      self.others = others
    }

    var faults: [Fault] {
      let effects =
        errors.map { Effect.error($0) } + (canBeShort ? [.short] : []) + (canBeLate ? [.late] : [])
      return effects.flatMap { effect in
        // A call that is always interrupted is rightly made again for ever.
        Rhythm.allCases.filter { $0 != .always || effect != .error(EINTR) }.map {
          Fault(call: name, effect: effect, rhythm: $0)
        } + others.map { Fault(call: name, effect: effect, rhythm: .once, first: $0) }
      }
    }
  }

  private static let calls = [
    Call(
      "accept4", [.load, .end],
      [EINTR, ECONNABORTED, EMFILE, ENFILE, ENOBUFS, ENOMEM, EPERM, EPROTO, EHOSTUNREACH],
      canBeLate: true),
    Call("bind", [.start, .load], [EACCES, EADDRINUSE, EADDRNOTAVAIL, EINVAL, ENOMEM]),
    Call("calloc", [.start, .load], [ENOMEM]),
    Call("close", [.start, .load, .end], [EINTR, EIO]),
    Call(
      "connect", [.load],
      [
        EACCES, EPERM, EADDRINUSE, EADDRNOTAVAIL, EAFNOSUPPORT, EAGAIN, ECONNREFUSED, EINTR, ENETUNREACH,
        ENOBUFS, ENOMEM, ETIMEDOUT,
      ], canBeLate: true),
    Call("epoll_create1", [.start], [EMFILE, ENFILE, ENOMEM]),
    Call("epoll_ctl", [.start, .load, .end], [ENOMEM, ENOSPC]),
    Call("epoll_wait", [.start, .load, .end], [EINTR], canBeShort: true, canBeLate: true),
    Call("eventfd", [.start], [EMFILE, ENFILE, ENODEV, ENOMEM]),
    Call("fchmod", [.start, .load], [EPERM, EROFS, EIO]),
    Call("fcntl", [.load], [EPERM, EBUSY, EINVAL, ENOMEM]),
    Call("fopen", [.start], [EACCES, EMFILE, ENFILE, ENOENT, ENOMEM]),
    Call("fstat", [.start, .load], [ENOMEM, EOVERFLOW]),
    Call("getentropy", [.start], [EIO, ENOSYS]),
    Call("gethostname", [.start], [ENAMETOOLONG]),
    Call("getpeername", [.load], [ENOTCONN, ENOBUFS]),
    Call("getrlimit", [.start, .load], [EINVAL, EPERM]),
    Call("getsockname", [.start, .load], [ENOBUFS]),
    Call("getsockopt", [.load], [ENOPROTOOPT, ENOBUFS]),
    Call("ioctl", [.load], [EINVAL, ENOTTY]),
    Call("listen", [.start, .load], [EADDRINUSE, EOPNOTSUPP]),
    Call("lstat", [.start, .load], [EACCES, ENOENT, ENOMEM]),
    Call("madvise", [.start], [EAGAIN, ENOMEM]),
    Call("malloc", [.start, .load], [ENOMEM], others: [20, 100, 200, 400, 600, 800, 1000, 1200]),
    Call("mmap", [.start, .load], [ENOMEM, EAGAIN, EPERM]),
    Call("munmap", [.start, .load], [ENOMEM]),
    Call("open", [.start, .load], [EACCES, EINTR, EIO, EMFILE, ENFILE, ENOENT, ENOMEM]),
    Call("pipe2", [.load], [EMFILE, ENFILE]),
    Call("pthread_create", [.start], [EAGAIN, EPERM]),
    Call(
      "read", [.start, .load, .end], [EINTR, EIO, ECONNRESET, ETIMEDOUT, ENOMEM], canBeShort: true,
      canBeLate: true),
    Call("realloc", [.start, .load], [ENOMEM], others: [5, 10, 20, 40]),
    Call("recv", [.load], [EINTR, ENOMEM, ECONNREFUSED, ECONNRESET], canBeShort: true, canBeLate: true),
    Call("recvmmsg", [.load], [EINTR, ENOMEM, ECONNREFUSED], canBeShort: true, canBeLate: true),
    Call("sem_wait", [.start, .load], [EINTR]),
    Call("send", [.load], [EINTR, ENOBUFS, ENOMEM, EPIPE, ECONNRESET], canBeShort: true, canBeLate: true),
    Call(
      "sendmmsg", [.load],
      [EINTR, ENOBUFS, ENOMEM, EMSGSIZE, EPERM, EACCES, ENETUNREACH, EHOSTUNREACH, EINVAL],
      canBeShort: true, canBeLate: true),
    Call("sendto", [.start, .load, .end], [EINTR, ENOBUFS, ENOMEM, EPERM, ENETUNREACH, ECONNREFUSED]),
    Call("setrlimit", [.start, .load], [EPERM, EINVAL]),
    Call("setsockopt", [.start, .load, .end], [EINVAL, ENOPROTOOPT, ENOMEM, ENOBUFS, EPERM]),
    // Not ENOTCONN, which a socket with a peer does not give.
    Call("shutdown", [.load], [ENOBUFS]),
    Call("sigwaitinfo", [.start, .load], [EINTR]),
    Call(
      "socket", [.start, .load, .end],
      [EACCES, EAFNOSUPPORT, EINVAL, EMFILE, ENFILE, ENOBUFS, ENOMEM, EPROTONOSUPPORT]),
    Call("splice", [.load], [EINTR, EINVAL, ENOMEM, ECONNRESET, EPIPE], canBeShort: true, canBeLate: true),
    Call("stat", [.start], [EACCES, ENOENT, ENOMEM]),
    Call("strdup", [.start, .load], [ENOMEM]),
    // Of this function, getrandom(2) alone fails.
    Call("syscall", [.start, .load], [EINTR, ENOSYS], canBeShort: true),
    Call("unlink", [.load, .end], [EACCES, EBUSY, EIO, ENOENT, EROFS]),
    Call(
      "write", [.start, .load, .end], [EINTR, EIO, ENOSPC, EPIPE, ECONNRESET], canBeShort: true,
      canBeLate: true),
  ]

  /// The names of all functions that fail.
  static let callNames = Set(calls.map(\.name))

  /// All faults that are tried in a stage.
  static func all(in stage: Stage) -> [Fault] { calls.filter { $0.stages.contains(stage) }.flatMap(\.faults) }
}

/// Makes the system calls of a program fail, by a library that is preloaded into it (Tests/Faults).
final class FaultSwitch: Sendable {
  private let directory: TemporaryDirectory
  private let file: String
  /// Mapped for as long as this lives; the program reads it while `isOn` is not 0 and this changes it while it is.
  nonisolated(unsafe) private let page: UnsafeMutablePointer<Page>

  /// As in Tests/Faults/faults.c.
  private struct Page {
    var isOn: Int32 = 0
    var effect: Int32 = 0
    var error: Int32 = 0
    var first: Int32 = 0
    var period: Int32 = 0
    var calls: Int32 = 0
    var faults: Int32 = 0
  }

  private static let pageSize = 4096

  init() throws {
    directory = try TemporaryDirectory()
    file = try directory.write(String(repeating: "\0", count: Self.pageSize), to: "switch")
    let descriptor = open(file, O_RDWR)
    defer { close(descriptor) }
    guard
      let memory = mmap(nil, Self.pageSize, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0),
      memory != MAP_FAILED
    else { throw SocketError("mmap") }
    page = memory.bindMemory(to: Page.self, capacity: 1)
  }

  deinit { munmap(page, Self.pageSize) }

  /// The library, where the build put it: beside the program.
  static var library: String {
    get throws {
      let library = URL(fileURLWithPath: try Sockeye.program().path).deletingLastPathComponent()
        .appendingPathComponent("libfaults.so").path
      guard access(library, R_OK) == 0 else {
        throw NeverHappened(description: "\(library) is not built: swift build --product faults")
      }
      return library
    }
  }

  /// What the program's environment needs.
  var environment: [String: String] {
    get throws {
      [
        "LD_PRELOAD": try Self.library, "SOCKEYE_FAULTS": file,
        "SOCKEYE_FAULTS_CALLERS": try Self.callers.get(),
      ]
    }
  }

  /// Where CLinux and CTLS lie in the program: they look at what an allocation returns, and Swift's code does not.
  private static let callers = Result {
    let exit = try ChildProcess.run(
      try Program("nm", package: "binutils"),
      ["--defined-only", "--numeric-sort", "--print-size", try Sockeye.program().path])
    let functions = exit.output.compactMap { line -> (name: Substring, range: Range<UInt>)? in
      let fields = line.split(separator: " ")
      guard fields.count == 4, fields[2].lowercased() == "t", let start = UInt(fields[0], radix: 16),
        let size = UInt(fields[1], radix: 16)
      else { return nil }
      return (fields[3], start..<start + size)
    }
    let known = functions.filter { $0.name.hasPrefix("linux_") || $0.name.hasPrefix("tls_") }
    guard let first = known.first?.range.lowerBound, let end = known.last?.range.upperBound,
      !functions.contains(where: { (first..<end).contains($0.range.lowerBound) && $0.name.hasPrefix("$s") })
    else { throw NeverHappened(description: "one place of all functions in C: \(exit.errors)") }
    return "\(String(first, radix: 16))-\(String(end, radix: 16))"
  }

  func set(_ fault: Fault) {
    clear()
    switch fault.effect {
    case .error(let code):
      page.pointee.effect = 1
      page.pointee.error = code
    case .short: page.pointee.effect = 2
    case .late: page.pointee.effect = 3
    }
    page.pointee.first = Int32(fault.first)
    page.pointee.period = fault.rhythm == .once ? 0 : fault.rhythm == .seventh ? 7 : 1
    page.pointee.calls = 0
    page.pointee.faults = 0
    let name = UnsafeMutableRawPointer(page).advanced(by: MemoryLayout<Page>.size)
    memset(name, 0, 32)
    memcpy(name, fault.call, min(31, fault.call.utf8.count))
    page.pointee.isOn = 1
  }

  func clear() { page.pointee.isOn = 0 }

  /// How many calls failed since `set`.
  var faults: Int { Int(page.pointee.faults) }

  /// How often the call was made since `set`, whether it failed or not.
  var calls: Int { Int(page.pointee.calls) }

  /// - Throws: when the call was never made, and so the fault was not tried.
  func checkReached(by fault: Fault) throws {
    // It may be made less often than that.
    guard faults > 0 || (fault.first > 1 && calls > 0) else {
      throw NeverHappened(description: "a call of \(fault.call)")
    }
  }
}
