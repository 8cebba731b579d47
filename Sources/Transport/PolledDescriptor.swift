import CLinux

/// A descriptor that a loop watches, and closes when this value ends. To be used on the loop's thread only.
package struct PolledDescriptor: ~Copyable {
  package let descriptor: FileDescriptor
  // Next to the other 32 bits: every idle tunnel holds two of these.
  private let slot: Int32
  package let loop: EventLoop

  package init(_ descriptor: consuming FileDescriptor, on loop: EventLoop) throws(Errno) {
    slot = Int32(try loop.addSlot(for: descriptor.rawValue))
    self.descriptor = descriptor
    self.loop = loop
  }

  // The kernel stops watching when the descriptor closes, right after this.
  deinit {
    loop.removeSlot(Int(slot))
  }

  package var rawValue: Int32 { descriptor.rawValue }

  package func interest(in readiness: Readiness) -> Interest {
    Interest(slot: Int(slot), readiness: readiness)
  }

  /// Has the end of the stream's peer told to `watcher`, at once if it was seen before, until `endWatch`.
  package func watch(_ watcher: any PeerWatcher) { loop.watch(Int(slot), watcher) }

  /// To be called before this value ends.
  package func endWatch() { loop.endWatch(Int(slot)) }

  /// Returns when the descriptor may be ready; throws `timedOut` or `cancelled`.
  package func wait(for readiness: Readiness, until deadline: Deadline) async throws(Errno) {
    try await loop.wait(for: interest(in: readiness), until: deadline).check()
  }
}

/// A descriptor that a loop watches but that somebody else owns, such as a C library.
///
/// End this before the owner closes the descriptor.
package struct WatchedDescriptor: ~Copyable {
  private let rawValue: Int32
  private let loop: EventLoop
  private let slot: Int

  package init(_ rawValue: Int32, on loop: EventLoop) throws(Errno) {
    slot = try loop.addSlot(for: rawValue)
    self.rawValue = rawValue
    self.loop = loop
  }

  deinit {
    loop.forget(rawValue)
    loop.removeSlot(slot)
  }

  package func interest(in readiness: Readiness) -> Interest {
    Interest(slot: slot, readiness: readiness)
  }
}
