import Addresses
import Transport

/// What a name has in one family: at least one address, or the reason there is none.
package typealias Answer = Result<[IPAddress], ResolutionFailure>

/// A name on its way to addresses, in both families at once; to be used on the resolver's loop only.
///
/// Drop it to give up: a question that no lookup awaits any more gives its place to others. It serves Happy Eyeballs
/// (RFC 8305 §3): look at `v6` and `v4`, and while they do not suffice, wait for more.
package struct Lookup {
  private let query4: Query
  private let query6: Query
  private let claim: Claim?
  private let loop: EventLoop

  /// Keeps the questions of a lookup open until it is dropped.
  final class Claim {
    private let end: () -> Void

    init(end: @escaping () -> Void) {
      self.end = end
    }

    deinit {
      end()
    }
  }

  init(v4: Query, v6: Query, claim: Claim? = nil, on loop: EventLoop) {
    query4 = v4
    query6 = v6
    self.claim = claim
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
  /// Where the families differ, a shortage of ours says more than a name that does not exist, that more than a trouble on
  /// the way, and that more than a missing record.
  package var failure: ResolutionFailure? { failing?.failure }

  /// The name server that is awaited, or that told `failure`; `nil` when none was asked.
  package var server: SocketAddress? {
    if let failing { return failing.query.server }
    return query4.answer == nil ? query4.server : query6.server
  }

  private var failing: (query: Query, failure: ResolutionFailure)? {
    guard case .failure(let four)? = v4, case .failure(let six)? = v6 else { return nil }
    for isWorse in [\ResolutionFailure.isOurs, \.isNotFound] {
      if four[keyPath: isWorse] { return (query4, four) }
      if six[keyPath: isWorse] { return (query6, six) }
    }
    return four == .noData ? (query6, six) : (query4, four)
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

extension ResolutionFailure {
  fileprivate var isNotFound: Bool { self == .notFound }
}
