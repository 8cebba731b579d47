import CLinux

/// Wakes tasks of any loop, from any thread, once and for all: a rung bell stays rung.
package struct Bell: ~Copyable, Sendable {
  private let descriptor: FileDescriptor

  package init() throws(Errno) {
    descriptor = FileDescriptor(owning: try Errno.check(linux_eventfd()))
  }

  package func ring() {
    var one: UInt64 = 1
    _ = unsafe linux_write(descriptor.rawValue, &one, 8)
  }

  /// Readable once the bell was rung.
  package func watched(on loop: EventLoop) throws(Errno) -> WatchedDescriptor {
    try WatchedDescriptor(descriptor.rawValue, on: loop)
  }

  /// Blocks the calling thread until the bell was rung.
  package func wait() {
    while linux_wait_readable(descriptor.rawValue) < 0 {}
  }
}
