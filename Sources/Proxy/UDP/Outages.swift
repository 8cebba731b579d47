import Routing
import Synchronization
import Transport

/// Chains, and plans of all whose chains that is true, that failed to carry UDP a moment ago, over all loops.
///
/// One that could not be opened is left alone for a while: a client that goes on sending must not knock at a dead hop
/// with every datagram. And none of them fills the log.
final class Outages: Sendable {
  private struct Trouble {
    let failure: Failure
    let isOutage: Bool
    let end: Deadline
  }

  private static let duration = Duration.seconds(30)

  private let troubles = Mutex<[Outcome: Trouble]>([:])

  /// Why the chain is out of use; `nil` when it may be tried.
  func failure(of chain: Chain) -> Failure? {
    troubles.withLock { troubles in
      guard let trouble = troubles[.chain(chain)], trouble.isOutage, trouble.end > .now else { return nil }
      return trouble.failure
    }
  }

  /// Remembers why a chain or a plan failed; false when it was in trouble already.
  ///
  /// - Parameter isOutage: false for one that had worked, and may be opened anew.
  func note(_ failure: Failure, of outcome: Outcome, isOutage: Bool) -> Bool {
    troubles.withLock { troubles in
      let now = Deadline.now
      // A reloaded table may never ask for the others again.
      troubles = troubles.filter { $0.value.end > now }
      let old = troubles[outcome]
      if let old, old.isOutage || !isOutage { return false }
      troubles[outcome] = Trouble(failure: failure, isOutage: isOutage, end: now + Self.duration)
      return old == nil
    }
  }
}
