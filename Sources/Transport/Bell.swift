import CLinux
import Glibc

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

  /// Blocks the calling thread until the bell is rung, or that time is over.
  package func wait(atMost limit: Duration) {
    let end = Deadline.after(limit)
    var entry = pollfd(fd: descriptor.rawValue, events: Int16(POLLIN), revents: 0)
    // It comes back early when a signal handler has run.
    while true {
      let left = end.since(.now) / .milliseconds(1)
      guard left > 0, unsafe poll(&entry, 1, Int32(left.rounded(.up))) <= 0 else { return }
    }
  }

  /// Readable once the bell was rung.
  package func watched(on loop: EventLoop) throws(Errno) -> WatchedDescriptor {
    try WatchedDescriptor(descriptor.rawValue, on: loop)
  }
}
