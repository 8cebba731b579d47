import Addresses
import Transport

/// A question and, once it came, its answer: shared by all who asked it while it was open.
///
/// Those who wait are known by the names of their waits only: one that gave up is not called back.
///
/// `@unchecked` holds because it belongs to a resolver, and is touched by tasks on its loop only.
final class Query: @unchecked Sendable {
  let question: Question
  private(set) var answer: Question.Answer?
  /// The name server that gave the answer; before, the one that is asked now. `nil` when none was.
  var server: SocketAddress? {
    get { current?.server ?? lastServer }
    set { lastServer = newValue }
  }
  private var lastServer: SocketAddress?
  /// Of a name that is searched for: the lookup of the name that is tried now.
  var current: Lookup?
  /// How many lookups of each client await the answer; `nil`: those of the program itself.
  var lookups: [Client?: Int] = [:]
  /// While it is open and awaited: its place among those of the client that it belongs to.
  var place: (number: Int, owner: Client?)?
  /// Asks; `nil` when it was answered at once.
  var task: Task<Void, Never>?
  private var waits: Set<WaitID> = []

  init(_ question: Question, answer: Question.Answer? = nil, server: SocketAddress? = nil) {
    self.question = question
    self.answer = answer
    lastServer = server
  }

  var isAwaited: Bool { !lookups.isEmpty }

  /// Ends `wait` when the answer comes.
  func add(_ wait: WaitID) {
    if answer == nil { waits.insert(wait) }
  }

  func remove(_ wait: WaitID) {
    waits.remove(wait)
  }

  func finish(with answer: Question.Answer, on loop: EventLoop) {
    self.answer = answer
    for wait in waits { loop.wake(wait) }
    waits = []
  }

  /// The answer to a question for addresses.
  var addresses: Answer? {
    answer?.map { finding in
      guard case .addresses(let addresses) = finding else { return [] }
      return addresses
    }
  }
}

extension EventLoop {
  /// Returns when one of `queries`, which are open, is answered; throws `timedOut` or `cancelled`.
  func waitForAnswer(to queries: Query..., until deadline: Deadline) async throws(ResolutionFailure) {
    var name: WaitID?
    let wakeup = await wait(for: [], until: deadline) { wait in
      name = wait
      for query in queries { query.add(wait) }
    }
    if let name {
      for query in queries { query.remove(name) }
    }
    switch wakeup {
    case .ready: return
    case .timedOut: throw .timedOut
    case .cancelled: throw .cancelled
    }
  }
}
