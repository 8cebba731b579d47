import Synchronization
import Transport

/// Writes log lines to standard error from a thread of its own: a slow reader holds up nobody's connection.
///
/// Lines gather while one write lasts. What does not fit is dropped and counted.
final class LogWriter: Sendable {
  private struct Pending {
    var bytes: [UInt8] = []
    var lost = 0
    var isWriting = false
  }

  private static let capacity = 4 << 20

  private let pending = Mutex(Pending())
  let loop: EventLoop

  init() throws(Errno) {
    loop = try EventLoop()
  }

  /// Adds a line, without its line break.
  func write(_ line: String) {
    let mustStart = pending.withLock { pending in
      guard pending.bytes.count < Self.capacity else {
        pending.lost += 1
        return false
      }
      pending.bytes.append(contentsOf: line.utf8)
      pending.bytes.append(UInt8(ascii: "\n"))
      defer { pending.isWriting = true }
      return !pending.isWriting
    }
    if mustStart { Task(executorPreference: loop) { self.drain() } }
  }

  /// Writes what is left, and returns when it is out.
  func finish() async {
    await Task(executorPreference: loop) { self.drain() }.value
  }

  private func drain() {
    while true {
      let (bytes, lost) = pending.withLock { pending in
        let taken = (pending.bytes, pending.lost)
        pending.bytes = []
        pending.lost = 0
        pending.isWriting = !taken.0.isEmpty
        return taken
      }
      guard !bytes.isEmpty else { return }
      Console.error.write(bytes)
      if lost > 0 { Console.error.write("\(lost) log lines were lost: standard error is too slow") }
    }
  }
}
