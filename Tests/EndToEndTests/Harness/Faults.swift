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

  /// The name of its C function.
  let call: String
  let effect: Effect
  let rhythm: Rhythm

  var description: String {
    switch effect {
    case .error(let code): "\(call) fails with “\(String(cString: strerror(code)))” \(rhythm.rawValue)"
    case .short: "\(call) is short \(rhythm.rawValue)"
    case .late: "\(call) is late \(rhythm.rawValue)"
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
  ]

  /// What the manual page of each call lists, where a correct program can meet it.
  private static let errors: [(call: String, codes: [Int32])] = [
    ("accept4", [EINTR, ECONNABORTED, EMFILE, ENFILE, ENOBUFS, ENOMEM, EPERM, EPROTO, EHOSTUNREACH]),
    ("bind", [EACCES, EADDRINUSE, EADDRNOTAVAIL, EINVAL, ENOMEM]),
    ("close", [EINTR, EIO]),
    (
      "connect",
      [
        EACCES, EPERM, EADDRINUSE, EADDRNOTAVAIL, EAFNOSUPPORT, EAGAIN, ECONNREFUSED, EINTR, ENETUNREACH,
        ENOBUFS,
        ENOMEM, ETIMEDOUT,
      ]
    ),
    ("epoll_create1", [EMFILE, ENFILE, ENOMEM]),
    ("epoll_ctl", [ENOMEM, ENOSPC]),
    ("epoll_wait", [EINTR]),
    ("eventfd", [EMFILE, ENFILE, ENODEV, ENOMEM]),
    ("fchmod", [EPERM, EROFS, EIO]),
    ("fcntl", [EPERM, EBUSY, EINVAL, ENOMEM]),
    ("fstat", [ENOMEM, EOVERFLOW]),
    ("getpeername", [ENOTCONN, ENOBUFS]),
    ("getrlimit", [EINVAL, EPERM]),
    ("getsockname", [ENOBUFS]),
    ("getsockopt", [ENOPROTOOPT, ENOBUFS]),
    ("ioctl", [EINVAL, ENOTTY]),
    ("listen", [EADDRINUSE, EOPNOTSUPP]),
    ("lstat", [EACCES, ENOENT, ENOMEM]),
    ("madvise", [EAGAIN, ENOMEM]),
    ("malloc", [ENOMEM]),
    ("mmap", [ENOMEM, EAGAIN, EPERM]),
    ("munmap", [ENOMEM]),
    ("open", [EACCES, EINTR, EIO, EMFILE, ENFILE, ENOENT, ENOMEM]),
    ("pipe2", [EMFILE, ENFILE]),
    ("poll", [EINTR, ENOMEM]),
    ("pthread_create", [EAGAIN, EPERM]),
    ("read", [EINTR, EIO, ECONNRESET, ETIMEDOUT, ENOMEM]),
    ("recv", [EINTR, ENOMEM, ECONNREFUSED, ECONNRESET]),
    ("recvfrom", [EINTR, ENOMEM, ECONNREFUSED]),
    ("recvmmsg", [EINTR, ENOMEM, ECONNREFUSED]),
    ("send", [EINTR, ENOBUFS, ENOMEM, EPIPE, ECONNRESET]),
    ("sendmmsg", [EINTR, ENOBUFS, ENOMEM, EMSGSIZE, EPERM, EACCES, ENETUNREACH, EHOSTUNREACH, EINVAL]),
    ("sendmsg", [EINTR, ENOBUFS, ENOMEM, EPERM]),
    ("sendto", [EINTR, ENOBUFS, ENOMEM, EPERM, ENETUNREACH, ECONNREFUSED]),
    ("setrlimit", [EPERM, EINVAL]),
    ("setsockopt", [EINVAL, ENOPROTOOPT, ENOMEM, ENOBUFS, EPERM]),
    ("shutdown", [ENOTCONN, ENOBUFS]),
    ("socket", [EACCES, EAFNOSUPPORT, EINVAL, EMFILE, ENFILE, ENOBUFS, ENOMEM, EPROTONOSUPPORT]),
    ("splice", [EINTR, EINVAL, ENOMEM, ECONNRESET, EPIPE]),
    ("stat", [EACCES, ENOENT, ENOMEM]),
    ("unlink", [EACCES, EBUSY, EIO, ENOENT, EROFS]),
    ("write", [EINTR, EIO, ENOSPC, EPIPE, ECONNRESET]),
    ("writev", [EINTR, EPIPE, ECONNRESET]),
  ]

  private static let shortCalls = [
    "epoll_wait", "read", "readv", "recv", "recvmmsg", "send", "sendmmsg", "splice", "write", "writev",
  ]

  private static let lateCalls = [
    "accept4", "connect", "epoll_wait", "read", "recv", "recvmmsg", "send", "sendmmsg", "splice", "write",
  ]

  static let all: [Fault] = {
    let failing = errors.flatMap { call, codes in codes.map { (call, Effect.error($0)) } }
    let short = shortCalls.map { ($0, Effect.short) }
    let late = lateCalls.map { ($0, Effect.late) }
    return (failing + short + late).flatMap { call, effect in
      // A call that is always interrupted is rightly made again for ever.
      Rhythm.allCases.filter { $0 != .always || effect != .error(EINTR) }.map {
        Fault(call: call, effect: effect, rhythm: $0)
      }
    }
  }()
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

  /// What the program's environment needs.
  var environment: [String: String] {
    get throws {
      let library = URL(fileURLWithPath: try Sockeye.program().path).deletingLastPathComponent()
        .appendingPathComponent("libfaults.so").path
      guard access(library, R_OK) == 0 else {
        throw NeverHappened(description: "\(library) is not built: swift build --product faults")
      }
      return ["LD_PRELOAD": library, "SOCKEYE_FAULTS": file]
    }
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
    page.pointee.first = fault.rhythm == .seventh ? 7 : 1
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
}
