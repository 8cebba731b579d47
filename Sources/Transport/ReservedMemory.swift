import CLinux

/// Memory of a fixed size, aligned to pages. A page takes room when it is first touched.
///
/// `@safe` holds because the value cannot be copied, and the memory is released in `deinit` only. To use `start` or `bytes` is
/// unsafe: the user keeps within the bounds, and outlives neither.
@safe struct ReservedMemory: ~Copyable {
  let start: UnsafeMutableRawPointer
  private let byteCount: Int

  var bytes: UnsafeMutableRawBufferPointer {
    unsafe UnsafeMutableRawBufferPointer(start: start, count: byteCount)
  }

  /// - Throws: `outOfMemory`. An allocation of Swift's would end the program instead.
  init(byteCount: Int) throws(Errno) {
    guard let start = unsafe linux_reserve(byteCount) else { throw .outOfMemory }
    unsafe self.start = start
    self.byteCount = byteCount
  }

  deinit {
    unsafe linux_release(start, byteCount)
  }
}

/// Tells whether the system would still give the program memory (RLIMIT_AS, `vm.overcommit_memory=2`).
///
/// Swift ends the program when an allocation fails. So a newcomer is refused while there is less than `reserve` left,
/// which those who are being served may need.
struct MemoryGauge {
  static let reserve = 16 << 20
  /// How long an answer counts: asking takes two system calls.
  private static let interval = Deadline.Interval(.milliseconds(100))

  private var nextCheck = Deadline(nanoseconds: 0)
  private var isShort = false

  mutating func isShort(at now: Deadline) -> Bool {
    if nextCheck <= now {
      isShort = linux_can_allocate(Self.reserve) == 0
      nextCheck = now + Self.interval
    }
    return isShort
  }
}
