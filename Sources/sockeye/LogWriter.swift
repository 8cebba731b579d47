import Synchronization
import Transport

/// Writes log lines to standard error from a thread of its own. Nothing else waits for that thread: where nobody reads
/// standard error, it stays in write(2) until the process ends.
///
/// Lines gather while one write lasts, up to 4 MiB. Further ones are dropped, and counted in a line of their own as
/// soon as there is room.
final class LogWriter: Sendable {
  private struct Pending {
    var bytes: [UInt8] = []
    var lost = 0
    /// From when the thread is told of lines to when it has written all there are.
    var isWriting = false
    var isEnding = false
  }

  private static let capacity = 4 << 20
  /// For the lines that are left when the process ends.
  private static let patience = Duration.seconds(1)

  private let pending = Mutex(Pending())
  private let loop: EventLoop
  private let lossLine: @Sendable (_ count: Int) -> String
  /// Rung when `finish` was called, and everything was written.
  private let isDone: Bell

  /// - Parameter lossLine: the line that says how many lines were lost.
  init(lossLine: @escaping @Sendable (_ count: Int) -> String) throws(Errno) {
    loop = try EventLoop(carriesDatagrams: false)
    isDone = try Bell()
    self.lossLine = lossLine
  }

  /// Adds a line, without its line break. Returns at once.
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

  /// Blocks the calling thread until all lines are written, for a second at most. To be called once, before the process
  /// ends.
  func finish() {
    let mustWait = pending.withLock { pending in
      pending.isEnding = true
      return pending.isWriting
    }
    if mustWait { isDone.wait(atMost: Self.patience) }
  }

  private func drain() {
    while true {
      let (bytes, lost, isEnding) = pending.withLock { pending in
        let taken = (pending.bytes, pending.lost, pending.isEnding)
        pending.bytes = []
        pending.lost = 0
        pending.isWriting = !taken.0.isEmpty
        return taken
      }
      guard !bytes.isEmpty else {
        if isEnding { isDone.ring() }
        return
      }
      Console.error.write(bytes)
      if lost > 0 { Console.error.write(lossLine(lost)) }
    }
  }
}
