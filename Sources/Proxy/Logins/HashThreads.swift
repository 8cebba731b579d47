import Addresses
import Synchronization
import Transport

/// Threads that compute the crypt(3) hashes of logins, and do nothing else: what else the program does waits for no hash.
///
/// Half as many as loops: the other processors stay free for traffic, whatever the hashes cost. libcrypt allocates 16 MiB
/// for each yescrypt hash, so that many at once slow each other down.
final class HashThreads: Sendable {
  typealias Ticket = LoginQueue<Login>.Ticket

  /// A hash to be computed, and who is told of it.
  struct Login: Sendable {
    /// Blocks for as long as the hash costs.
    let compute: @Sendable () -> Event.LoginFailure?
    /// Called on any thread: `nil` when the client is admitted.
    let tell: @Sendable (Event.LoginFailure?) -> Void
  }

  private struct State {
    var queue: LoginQueue<Login>
    var idle: [EventLoop]
  }

  private let threads: [EventLoop]
  private let state: Mutex<State>

  init(loops: Int, limits: LoginQueue<Login>.Limits = .init()) throws(Errno) {
    var threads: [EventLoop] = []
    for _ in 0..<max(1, loops / 2) { threads.append(try EventLoop()) }
    self.threads = threads
    state = Mutex(State(queue: LoginQueue(limits: limits), idle: threads))
  }

  deinit {
    for thread in threads { thread.stop() }
  }

  /// Has a login computed when it is its client's turn.
  ///
  /// - Returns: `nil` when too many wait; `tell` is not called then.
  func submit(_ login: Login, of client: Client) -> Ticket? {
    let (admission, thread) = state.withLock { state in
      let admission = state.queue.add(login, of: client)
      if case .full = admission { return (admission, EventLoop?.none) }
      return (admission, state.idle.popLast())
    }
    if let thread { Task(executorPreference: thread) { [self] in drain(on: thread) } }
    switch admission {
    case .admitted(let ticket): return ticket
    case .displaced(let ticket, let other):
      other.tell(.tooManyLogins)
      return ticket
    case .full: return nil
    }
  }

  /// The login is not computed any more, unless that has begun. `tell` may still be called.
  func withdraw(_ ticket: Ticket) {
    state.withLock { _ = $0.queue.withdraw(ticket) }
  }

  var isIdle: Bool { state.withLock { $0.queue.isEmpty && $0.idle.count == threads.count } }

  private func drain(on thread: EventLoop) {
    while true {
      let next = state.withLock { state in
        let next = state.queue.next()
        if next == nil { state.idle.append(thread) }
        return next
      }
      guard let (ticket, login) = next else { return }
      let failure = login.compute()
      state.withLock { $0.queue.finish(ticket.client) }
      login.tell(failure)
    }
  }
}
