import Addresses
import Transport

/// What a name has in one family: at least one address, or the reason there is none.
package typealias Answer = Result<[IPAddress], ResolutionFailure>

/// A question and, once it came, its answer: shared by all who asked it while it was open.
///
/// Those who wait are known by the names of their waits only: one that gave up is not called back.
final class Query {
  private(set) var answer: Question.Answer?
  private var waits: Set<WaitID> = []

  init(answer: Question.Answer? = nil) {
    self.answer = answer
  }

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

/// A name on its way to addresses, in both families at once; to be used on the resolver's loop only.
///
/// No task stands behind it: drop it to give up. It serves Happy Eyeballs (RFC 8305 §3): look at `v6` and `v4`, and
/// while they do not suffice, wait for more.
package struct Lookup {
  private let query4: Query
  private let query6: Query
  private let loop: EventLoop

  init(v4: Query, v6: Query, on loop: EventLoop) {
    query4 = v4
    query6 = v6
    self.loop = loop
  }

  /// `nil` while it is awaited.
  package var v4: Answer? { query4.addresses }
  package var v6: Answer? { query6.addresses }

  package subscript(family: Family) -> Answer? {
    switch family {
    case .v4: v4
    case .v6: v6
    }
  }

  /// Both families are answered.
  package var isComplete: Bool { v4 != nil && v6 != nil }

  /// Why there is no address at all; `nil` while there may be one.
  ///
  /// Where the families differ, a name that does not exist says more than a trouble on the way, and that more than
  /// a missing record.
  package var failure: ResolutionFailure? {
    guard case .failure(let four)? = v4, case .failure(let six)? = v6 else { return nil }
    if four == .notFound || six == .notFound { return .notFound }
    return four == .noData ? six : four
  }

  /// Returns when one more family is answered than now, at once when both are; throws `timedOut` or `cancelled`.
  package func waitForAnswer(until deadline: Deadline) async throws(ResolutionFailure) {
    guard !isComplete else { return }
    try await loop.waitForAnswer(to: query4, query6, until: deadline)
  }

  /// Ends `wait` when one more family is answered: for a task that waits for descriptors as well.
  package func wake(_ wait: WaitID) {
    query4.add(wait)
    query6.add(wait)
  }
}
