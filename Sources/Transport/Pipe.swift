import CLinux

/// A kernel pipe through which bytes are spliced from one socket to another without being copied.
final class Pipe {
  let readEnd: FileDescriptor
  let writeEnd: FileDescriptor
  private let census: Census?

  /// How many of a loop's pipes there are, held by tunnels or waiting.
  final class Census {
    fileprivate(set) var count = 0
  }

  /// What a pipe is asked to hold, in bytes. Larger ones measured no faster, and an unprivileged user gets few.
  static let capacity = 256 * 1024
  /// What it must hold, in bytes: to copy moves as much at a time.
  static let leastCapacity = EventLoop.scratchSize

  /// - Throws: why there is none: `ENOBUFS` when the user's pipes hold so much that the kernel gives only small ones
  ///   (pipe(7), pipe-user-pages-soft).
  init(countedIn census: Census? = nil) throws(Errno) {
    var ends: (Int32, Int32) = (-1, -1)
    _ = try unsafe withUnsafeMutableBytes(of: &ends) { bytes throws(Errno) in
      try Errno.check(
        unsafe linux_pipe(
          bytes.assumingMemoryBound(to: Int32.self).baseAddress, Int32(Self.capacity),
          Int32(Self.leastCapacity)))
    }
    readEnd = FileDescriptor(owning: ends.0)
    writeEnd = FileDescriptor(owning: ends.1)
    self.census = census
    census?.count += 1
  }

  deinit { census?.count -= 1 }
}

/// Empty pipes that wait for the next busy direction, so that an idle tunnel holds none.
struct PipePool {
  /// Enough for the directions that are busy at one moment on one loop; more are closed.
  private static let capacity = 16

  /// How long the system is not asked again when it had none: to ask costs more than a pipe saves.
  private static let pause = Deadline.Interval(.seconds(1))

  /// How many there may be; what is beyond it is copied.
  var limit = Int.max
  private let census = Pipe.Census()
  private var free: [Pipe] = []
  private var pauseEnd = Deadline(nanoseconds: 0)

  /// `nil` when the system has no more to give: the direction is then copied.
  mutating func take(at now: Deadline) -> Pipe? {
    if let pipe = free.popLast() { return pipe }
    guard census.count < limit, pauseEnd <= now else { return nil }
    if let pipe = try? Pipe(countedIn: census) { return pipe }
    pauseEnd = now + Self.pause
    return nil
  }

  /// The pipe must be empty.
  mutating func put(_ pipe: Pipe) {
    if free.count < Self.capacity, census.count <= limit { free.append(pipe) }
  }
}
