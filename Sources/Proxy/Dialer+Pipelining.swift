import Addresses
import Routing
import Transport

extension Dialer {
  /// Does `body` at the pace that the chain's hops are known to stand; and once more in lockstep, if one of them did not
  /// stand it after all.
  func paced<Reached: ~Copyable>(
    _ chain: Chain, until deadline: Deadline,
    _ body: (Pace, Deadline) async throws(Failure) -> Reached
  ) async throws(Failure) -> Reached {
    let pace = pipelining.pace(for: chain)
    guard pace != .lockstep else { return try await body(pace, deadline) }
    let confused: Int
    let isDestinationsWord: Bool
    do throws(Failure) {
      return try await body(pace, deadline.halfway)
    } catch {
      let culprit = pace.culprit(of: error, in: chain, isProven: pipelining.isProven)
      guard let culprit, Deadline.now < deadline else { throw error }
      confused = culprit
      // A request may hang, or be hung up on, because of what it asks for.
      isDestinationsWord = error.isOfTheLastRequest
    }
    if !isDestinationsWord { pipelining.withdraw(chain.hops[confused]) }
    let reached = try await body(.lockstep, deadline)
    if isDestinationsWord { pipelining.withdraw(chain.hops[confused]) }
    return reached
  }

  /// Finds out which hops of a chain stand pipelining, if that is not known. No client must be waiting: where one does
  /// not, that takes as long as it may be silent.
  ///
  /// The last hop is asked for a name that nobody has (RFC 6761 §6.4): any answer will do.
  func tryPipelining(of chain: Chain) async {
    guard let nowhere = Endpoint("pipelining.invalid:9"),
      (try? check(chain, .connect, nowhere)) != nil
    else { return }
    let chain = identities.isolate(chain, for: Request(to: nowhere))
    var isContinued = false
    while let pace = pipelining.trialPace(for: chain, isContinued: isContinued) {
      isContinued = true
      let deadline = Deadline.after(chain.hops[chain.hops.count - 1].timeout)
      var failure: Failure?
      do throws(Failure) {
        var last = try await approach(chain.hops.count - 1, of: chain, at: pace, until: deadline)
        _ = try await ask(&last, .connect, nowhere, until: deadline)
      } catch {
        failure = error
      }
      let proven = Pace.provenHops(by: failure, of: chain.hops.count)
      for (index, hop) in chain.hops.enumerated().prefix(proven) where pace.contains(index) {
        pipelining.prove(hop)
      }
      let culprit = failure.flatMap { pace.culprit(of: $0, in: chain, isProven: pipelining.isProven) }
      guard let culprit else { return }
      pipelining.withdraw(chain.hops[culprit])
    }
  }
}

extension Failure {
  /// The last hop was asked for what is wanted.
  // By itself: the compiler (6.3.1) fails to optimize `paced` with this inside.
  @inline(never)
  fileprivate var isOfTheLastRequest: Bool {
    guard case .hop(let index, let count, _) = place else { return false }
    return phase == .request && index == count - 1
  }
}

extension Deadline {
  /// Between now and then.
  var halfway: Deadline {
    guard self != .never else { return self }
    let now = Deadline.now
    return now + since(now) / 2
  }
}
