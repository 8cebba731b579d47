import Addresses
import Synchronization
import Transport

/// Threads that compute the crypt(3) hashes of logins, and do nothing else, so that no hash delays a tunnel.
///
/// There are half as many as loops: the other processors stay free for traffic, whatever the hashes cost.
final class HashThreads: Sendable {
  typealias Tell = @Sendable (Event.LoginFailure?) -> Void

  /// The name of a login that was submitted.
  struct Ticket: Sendable {
    fileprivate let number: Int
    fileprivate let key: Key
  }

  /// A hash to be computed, and who is told of it.
  struct Login: Sendable {
    /// Logins of one client with the same claim share one computation. `nil`: with no other.
    let claim: Authenticator.Claim?
    /// Blocks for as long as the hash costs.
    let compute: @Sendable () -> Event.LoginFailure?
    /// Called on any thread: `nil` when the client is admitted.
    let tell: Tell
  }

  /// What logins have in common that share a computation.
  fileprivate enum Key: Hashable, Sendable {
    case shared(Client, Authenticator.Claim)
    case alone(Int)
  }

  /// A computation that waits or is under way.
  private struct Computation {
    let ticket: LoginQueue<Work>.Ticket
    /// By the numbers of the logins.
    var tells: [Int: Tell]
  }

  private struct Work {
    let key: Key
    let compute: @Sendable () -> Event.LoginFailure?
  }

  private struct State {
    var queue: LoginQueue<Work>
    var computations: [Key: Computation] = [:]
    var nextNumber = 0
    var idle: [EventLoop]
  }

  private let threads: [EventLoop]
  private let state: Mutex<State>

  init(loops: Int, limits: LoginLimits = .init()) throws(Errno) {
    var threads: [EventLoop] = []
    for _ in 0..<max(1, loops / 2) { threads.append(try EventLoop(carriesDatagrams: false)) }
    self.threads = threads
    state = Mutex(State(queue: LoginQueue(limits: limits), idle: threads))
  }

  deinit {
    for thread in threads { thread.stop() }
  }

  /// How many hashes may be computed at once.
  var count: Int { threads.count }

  /// Has a login computed when it is its client's turn.
  ///
  /// - Returns: `nil` when too many wait; `tell` is not called then.
  func submit(_ login: Login, of client: Client) -> Ticket? {
    let (ticket, displaced, thread) = state.withLock { state in
      let number = state.nextNumber
      state.nextNumber += 1
      let key = login.claim.map { Key.shared(client, $0) } ?? .alone(number)
      let ticket = Ticket(number: number, key: key)
      if state.computations[key] != nil {
        state.computations[key]?.tells[number] = login.tell
        return (Ticket?.some(ticket), [Tell](), EventLoop?.none)
      }
      let place: LoginQueue<Work>.Ticket
      var displaced: [Tell] = []
      switch state.queue.add(Work(key: key, compute: login.compute), of: client) {
      case .full: return (nil, [], nil)
      case .admitted(let admitted): place = admitted
      case .displaced(let admitted, let other):
        place = admitted
        displaced = state.computations.removeValue(forKey: other.key).map { Array($0.tells.values) } ?? []
      }
      state.computations[key] = Computation(ticket: place, tells: [number: login.tell])
      return (ticket, displaced, state.idle.popLast())
    }
    if let thread { Task(executorPreference: thread) { [self] in drain(on: thread) } }
    for tell in displaced { tell(.tooManyLogins) }
    return ticket
  }

  /// The login is not computed any more, unless that has begun or another login shares the computation. `tell` may still
  /// be called.
  func withdraw(_ ticket: Ticket) {
    state.withLock { state in
      guard var computation = state.computations[ticket.key] else { return }
      computation.tells[ticket.number] = nil
      state.computations[ticket.key] = computation
      // One that has begun stays: others may still share it.
      if computation.tells.isEmpty, state.queue.withdraw(computation.ticket) != nil {
        state.computations[ticket.key] = nil
      }
    }
  }

  var isIdle: Bool {
    state.withLock { $0.queue.isEmpty && $0.computations.isEmpty && $0.idle.count == threads.count }
  }

  private func drain(on thread: EventLoop) {
    while true {
      let next = state.withLock { state in
        let next = state.queue.next()
        if next == nil { state.idle.append(thread) }
        return next
      }
      guard let (ticket, work) = next else { return }
      let failure = work.compute()
      let tells = state.withLock { state in
        state.queue.finish(ticket.client)
        return state.computations.removeValue(forKey: work.key).map { Array($0.tells.values) } ?? []
      }
      for tell in tells { tell(failure) }
    }
  }
}
