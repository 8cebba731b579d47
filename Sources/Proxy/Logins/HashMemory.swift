import Synchronization
import Transport

/// The memory that hashes of passwords take while they are computed.
///
/// A hash takes its memory a moment after it asked whether the system would give it. Two that ask at the same moment would
/// both be promised the same memory. So a reservation counts until its hash is computed. A hash for which too little is left then waits until another one is computed.
final class HashMemory: Sendable {
  private struct State {
    /// What hashes were promised that are not computed yet, in octets.
    var promised = 0
    var isAwaited = false
  }

  private let state = Mutex(State())
  /// Held by the hash that waits. Others stay behind it.
  private let line = Mutex(())
  /// Tells the hash that waits that another one is computed.
  private let returned = Semaphore()
  private let isLeft: @Sendable (Int) -> Bool

  /// - Parameter isLeft: whether the system would give the program so many octets.
  init(isLeft: @escaping @Sendable (Int) -> Bool = { OwnProcess.hasMemory(besides: $0) }) {
    self.isLeft = isLeft
  }

  /// Computes a hash that takes `count` octets. Blocks the calling thread until there is memory for it.
  ///
  /// - Returns: `nil` when there is too little although no other hash has any.
  func compute<Result>(taking count: Int, _ hash: () -> Result) -> Result? {
    // One that needs a few KiB asks for nothing.
    guard count > 0 else { return hash() }
    guard take(count) else { return nil }
    defer { giveBack(count) }
    return hash()
  }

  private func take(_ count: Int) -> Bool {
    line.withLock { _ in
      while true {
        let isTaken: Bool? = state.withLock { state in
          if isLeft(state.promised + count) {
            state.promised += count
            return true
          }
          guard state.promised > 0 else { return false }
          state.isAwaited = true
          return nil
        }
        if let isTaken { return isTaken }
        returned.wait()
      }
    }
  }

  private func giveBack(_ count: Int) {
    state.withLock { state in
      state.promised -= count
      if state.isAwaited { returned.post() }
      state.isAwaited = false
    }
  }
}
