import Glibc
import Transport

/// What the program tells the shell.
enum ExitStatus: Int32 {
  case done = 0
  /// It did not hold, or did not work: a failing check, a failing trace.
  case failed = 1
  /// The command line is wrong.
  case wrongUsage = 2
}

/// Ends the process.
func exit(_ status: ExitStatus) -> Never {
  Glibc.exit(status.rawValue)
}

/// Standard output, for what was asked for, and standard error, for everything else.
struct Console: Sendable {
  static let output = Console(descriptor: STDOUT_FILENO)
  static let error = Console(descriptor: STDERR_FILENO)

  private let descriptor: Int32
  /// On a terminal, and never against the user's wish (no-color.org).
  let hasColor: Bool

  private init(descriptor: Int32) {
    self.descriptor = descriptor
    let isUnwanted = unsafe getenv("NO_COLOR").map { unsafe $0.pointee != 0 } ?? false
    hasColor = isatty(descriptor) == 1 && !isUnwanted
  }

  /// Writes the text and a line break, in one piece where the system allows it.
  ///
  /// Text that came from a file or the network has passed through `printable` before.
  func write(_ text: String) {
    write(Array("\(text)\n".utf8))
  }

  /// Writes bytes as they are, waiting for a slow reader.
  func write(_ bytes: [UInt8]) {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if count < 0 {
        let code = errno
        if code == EINTR { continue }
        // A pipe that another program made non-blocking.
        guard code == EAGAIN else { return fail(code) }
        var poll = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        unsafe Glibc.poll(&poll, 1, -1)
        continue
      }
      rest = rest.dropFirst(count)
    }
  }

  /// Writes a line, and drops the rest of it when that takes longer than a second. For errors while signals are blocked:
  /// a program that waits for a reader of standard error could not be ended.
  func writeSoon(_ text: String) {
    let bytes = Array("\(text)\n".utf8)
    let end = Deadline.after(.seconds(1))
    // A pipe that is ready takes as many octets at once (PIPE_BUF in pipe(7)).
    let count = 4096
    for start in stride(from: 0, to: bytes.count, by: count) {
      var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
      let left = max(0, Int32(end.since(.now) / .milliseconds(1)))
      guard unsafe poll(&entry, 1, left) > 0 else { return }
      write(Array(bytes[start..<min(start + count, bytes.count)]))
    }
  }

  /// Ends the program when what was asked for cannot be told, so that nobody takes a cut answer for a whole one.
  private func fail(_ code: Int32) {
    guard descriptor == STDOUT_FILENO else { return }
    Console.error.write("sockeye: cannot write to standard output: \(Errno(rawValue: code))")
    exit(.failed)
  }

  /// The text in bold or in a color, if the console shows colors.
  func styled(_ text: String, _ style: Style) -> String {
    hasColor ? "\u{1b}[\(style.rawValue)m\(text)\u{1b}[0m" : text
  }

  enum Style: String {
    case bold = "1"
    case red = "1;31"
    case magenta = "1;35"
  }
}
