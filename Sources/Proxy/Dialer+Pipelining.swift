import Addresses
import Routing
import Transport
import Wire

extension Dialer {
  /// Runs `body` at the pace that the chain's hops support; and once more in lockstep if a hop closes the connection, or
  /// violates the protocol, as one does that does not support pipelining after all.
  ///
  /// Slowness is no reason to ask again: the destination may be slow, and has all the time until the deadline.
  ///
  /// - Parameter command: what the last hop will be asked for.
  func paced<Reached: ~Copyable>(
    _ chain: Chain, asking command: SOCKS5.Command, until deadline: Deadline,
    _ body: (Pace) async throws(Failure) -> Reached
  ) async throws(Failure) -> Reached {
    let (pace, isTrialDue) = pipelining.pace(for: chain, asking: command)
    if isTrialDue { warm?.tryPipelining(of: chain, isChosen: journey != nil) }
    let start = Deadline.now
    guard pace != .lockstep else { return try await body(pace) }
    do throws(Failure) {
      return try await body(pace)
    } catch {
      guard let culprit = pace.culprit(of: error, in: chain, isProven: pipelining.isProven) else {
        throw error
      }
      doubt(culprit, of: chain)
      guard error.cause != .system(.timedOut), deadline.leavesTimeToDial(since: start) else { throw error }
    }
    journey?.beginAgain()
    return try await body(.lockstep)
  }

  /// A hop may have lost what it was told in one flight, or the destination is the reason: a trial will tell.
  func doubt(_ index: Int, of chain: Chain) {
    pipelining.doubt(chain.hops[index])
    warm?.tryPipelining(of: chain, isChosen: journey != nil)
  }

  /// Finds out which hops of a chain support pipelining, if that is not known or in doubt. No client must be waiting:
  /// where one does not, that takes as long as it may be silent.
  ///
  /// The last hop is asked for a name that does not exist (RFC 6761 §6.4): any answer will do. A hop that is down, or takes
  /// no more connections, fails at any pace, and an entry that closes since the next hop is down closes at any pace. A hop
  /// loses the privilege only if a dial right afterwards, which asks one thing at a time, gets further.
  ///
  /// - Parameter health: is told when a hop does not even admit us; `nil` for a chain that is no choice.
  func tryPipelining(of chain: Chain, noting health: Health? = nil) async {
    guard let nowhere = Endpoint("pipelining.invalid:9"),
      (try? check(chain, .connect, nowhere)) != nil
    else { return }
    let chain = identities.isolate(chain, for: Request(to: nowhere))
    var isContinued = false
    while let pace = pipelining.trialPace(for: chain, isContinued: isContinued) {
      isContinued = true
      let failure = await failure(of: chain, asking: nowhere, at: pace)
      let proven = Pace.provenHops(by: failure, of: chain.hops.count)
      for (index, hop) in chain.hops.enumerated().prefix(proven) where pace.contains(index) {
        pipelining.prove(hop)
      }
      guard let trial = failure,
        let culprit = pace.culprit(of: trial, in: chain, isProven: pipelining.isProven)
      else { return }
      let lockstep = await failureInLockstep(of: chain, asking: nowhere, noting: health)
      guard Pace.convicts(culprit, of: trial, then: lockstep, of: chain.hops.count) else { return }
      pipelining.withdraw(chain.hops[culprit])
    }
  }

  /// Dials while no client waits, and returns what came of it. Each hop has its own `timeout`.
  private func failure(of chain: Chain, asking destination: Endpoint, at pace: Pace) async -> Failure? {
    do throws(Failure) {
      var last = try await approach(chain.hops.count - 1, of: chain, at: pace, until: .never)
      _ = try await ask(
        &last, .connect, destination, within: last.hop.upstream.timeout, until: .never)
      return nil
    } catch {
      return error
    }
  }

  /// The same with each answer awaited, which shows whether the hops are up.
  private func failureInLockstep(
    of chain: Chain, asking destination: Endpoint, noting health: Health?
  ) async -> Failure? {
    var dialer = self
    let journey = health.map { Journey(upkeepOf: chain, health: $0) }
    dialer.journey = journey
    _ = journey?.next()
    let failure = await dialer.failure(of: chain, asking: destination, at: .lockstep)
    // What the last hop says of the name counts for nothing.
    guard var failure, !failure.isAnswer(of: chain.hops.count - 1) else {
      journey?.arrive(showing: .admission)
      return failure
    }
    journey?.noteFullness(in: &failure)
    journey?.fail(failure)
    return failure
  }
}

extension Failure {
  /// Whether it is what a hop that had admitted us came to, or said, with the request.
  fileprivate func isAnswer(of hop: Int) -> Bool {
    place.hopIndex == hop && phase.isAfterAdmission
  }
}

extension Deadline {
  /// Whether an eighth of the time from `start` on is left. A dial that begins with less would hardly reach anything.
  func leavesTimeToDial(since start: Deadline) -> Bool {
    self == .never || since(.now) >= since(start) / 8
  }
}
