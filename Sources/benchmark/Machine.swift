import Glibc
import Transport

/// Standard error, for what is not the result.
func say(_ text: String) {
  let line = Array((text + "\n").utf8)
  _ = unsafe line.withUnsafeBufferPointer { unsafe write(STDERR_FILENO, $0.baseAddress, $0.count) }
}

/// What the benchmark asks of the machine it runs on.
enum Machine {
  static var cores: Int { max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }

  /// Seconds of processor time that this process has used: unlike the clock, it does not count the others' share.
  static var processorSeconds: Double {
    var time = timespec()
    unsafe clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }

  static func exit(_ status: Int32) -> Never { Glibc.exit(status) }

  /// Five thousand tunnels take more than the usual soft limit; what is started inherits this.
  static func raiseDescriptorLimit() {
    var limit = rlimit()
    guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
    limit.rlim_cur = limit.rlim_max
    _ = unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
  }

  /// Puts this process, and what it starts, before what else the machine does. Only root can; for others nothing changes.
  static func takePrecedence() { _ = setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, -20) }

  /// Where this program's own file stands, and beside it those it measures.
  static var programDirectory: String {
    let path = unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(PATH_MAX)) { buffer in
      let count = unsafe buffer.baseAddress.map { unsafe readlink("/proc/self/exe", $0, buffer.count) } ?? 0
      return unsafe String(decoding: buffer.prefix(max(0, count)).map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
    return path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
  }

  static func pause(microseconds: UInt32) { usleep(microseconds) }

  static func sleep(until deadline: Deadline) async {
    try? await Task.sleep(for: deadline.since(.now), tolerance: .zero)
  }

  /// Something listens on this port of 127.0.0.1.
  static func accepts(_ port: UInt16) -> Bool {
    let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(socket) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    return unsafe withUnsafePointer(to: &address) {
      unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
      }
    }
  }

  /// Why nothing can be measured, in words.
  struct Failure: Error, CustomStringConvertible {
    var description: String
  }
}

/// Ports of 127.0.0.1 on which nothing listens, below those the kernel gives to clients.
struct FreePorts {
  private var candidate = 20_000 + UInt16(getpid() % 8000)

  mutating func next() -> UInt16 {
    repeat { candidate += 1 } while Machine.accepts(candidate)
    return candidate
  }
}

extension Duration {
  var seconds: Double {
    let (seconds, attoseconds) = components
    return Double(seconds) + Double(attoseconds) / 1e18
  }
}
