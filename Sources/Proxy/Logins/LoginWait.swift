import Transport

/// The wait of a session for its login: until the hash is computed, the client is gone, or its time is over.
///
/// `@unchecked` holds because everything but `init` runs on the session's loop: its variables are touched by one thread.
final class LoginWait: PeerWatcher, @unchecked Sendable {
  enum End {
    /// `nil` when the client is admitted.
    case decided(Event.LoginFailure?)
    /// The client has ended its direction, told once.
    case clientEnded
    case clientGone
    case timedOut
    case cancelled
  }

  private let loop: EventLoop
  private var decision: Event.LoginFailure??
  private var hasEnded = false
  private var isEndTold = false
  private var isGone = false
  private var wait: WaitID?

  init(on loop: EventLoop) {
    self.loop = loop
  }

  func decide(_ failure: Event.LoginFailure?) {
    decision = .some(failure)
    wake()
  }

  func peerEnded(isGone: Bool) {
    hasEnded = true
    if isGone { self.isGone = true }
    wake()
  }

  func next(until deadline: Deadline) async -> End {
    while true {
      if isGone { return .clientGone }
      if let decision { return .decided(decision) }
      if hasEnded, !isEndTold {
        isEndTold = true
        return .clientEnded
      }
      let wakeup = await loop.wait(for: [], until: deadline) { wait = $0 }
      wait = nil
      switch wakeup {
      case .ready: continue
      case .timedOut: return .timedOut
      case .cancelled: return .cancelled
      }
    }
  }

  private func wake() {
    if let wait { loop.wake(wait) }
  }
}
