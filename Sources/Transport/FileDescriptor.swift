import CLinux

/// An open file descriptor. It has one owner, and closes when that owner ends.
package struct FileDescriptor: ~Copyable {
  package let rawValue: Int32

  /// Takes over `rawValue`, which nobody else may close.
  package init(owning rawValue: Int32) {
    self.rawValue = rawValue
  }

  deinit {
    _ = linux_close(rawValue)
  }

  /// Gives the descriptor to the caller, who is to close it.
  consuming func release() -> Int32 {
    let result = rawValue
    discard self
    return result
  }
}
