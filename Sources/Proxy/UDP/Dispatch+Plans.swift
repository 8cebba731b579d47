import Routing
import Transport

/// Datagrams whose route leads to a plan (a group, or a chain with a choice).
extension Dispatch {
  /// What a plan came to.
  enum Choice {
    /// Lasts as long as the association. The journey counts it among what goes `direct`.
    case direct(Journey)
    case path(ChainPath)
    case nowhere(Nowhere)
  }

  /// No destination has a way by a plan.
  struct Nowhere {
    let drop: Drop
    /// Each of its ways, and not only those that are down, is known to carry no datagrams.
    let isLackOfUDP: Bool
    /// The plan is not followed before.
    let end: Deadline
  }

  /// An association keeps to one way, as a tunnel does, unless the plan is to tell destinations apart.
  func decide(
    _ request: Request, following plan: Plan, by route: Route?, alternative: Outcome?
  ) -> Flow.Decision {
    switch chosen[plan] {
    case .direct: return decideDirectly(request)
    case .path(let path) where !path.hasEnded: return decide(request, by: path)
    case .nowhere(let nowhere) where nowhere.end > loop.now:
      return decide(request, nowhere, by: route, alternative: alternative)
    case .path, .nowhere, nil: break
    }
    let end = loop.now + Self.failureLifetime
    let journey = association.worker.journey(by: plan, for: request)
    var concernsAll = true
    let way = journey.next { [self] chain, standings in
      let isolated = server.identities.isolate(chain, for: request)
      guard paths[isolated] == nil, let trouble = trouble(of: chain, as: isolated, standings) else {
        return nil
      }
      if chain.isIsolatedByDestination, self.trouble(of: chain, as: chain, standings) == nil {
        concernsAll = false
      }
      return trouble
    }
    if let way {
      guard case .chain(let chain) = way else {
        choose(.direct(journey), for: plan)
        return decideDirectly(request)
      }
      let isolated = server.identities.isolate(chain, for: request)
      if let path = paths[isolated] {
        choose(.path(path), for: plan)
        return decide(request, by: path)
      }
      guard makeRoom() else {
        let nowhere = Nowhere(drop: .queue, isLackOfUDP: false, end: end)
        choose(.nowhere(nowhere), for: plan)
        return decide(request, nowhere, by: route, alternative: alternative)
      }
      let path = ChainPath(chain, as: isolated, by: route, of: association, journey: journey)
      choose(.path(path), for: plan)
      add(path)
      return decide(request, by: path)
    }
    let failure = Failure(lackOfUDPOf: .plan(plan)) ?? journey.conclude()
    report(failure, of: .plan(plan))
    let isLackOfUDP = failure.isLackOfUDP && journey.attempts.allSatisfy(\.failure.isLackOfUDP)
    let nowhere = Nowhere(drop: .noPath, isLackOfUDP: isLackOfUDP, end: end)
    // A search looks at every member. A client sends as many datagrams to new destinations as it likes.
    if concernsAll { chosen[plan] = .nowhere(nowhere) }
    return decide(request, nowhere, by: route, alternative: alternative)
  }

  private func decide(
    _ request: Request, _ nowhere: Nowhere, by route: Route?, alternative: Outcome?
  ) -> Flow.Decision {
    if let alternative, nowhere.isLackOfUDP {
      return decide(request, alternative, by: route, alternative: nil)
    }
    return .nowhere(nowhere.drop, until: nowhere.end)
  }

  /// Why a chain is not to be tried just now.
  ///
  /// It may lead to `direct`. So a failure that others met holds only as long as `Health`, which hears of every connection,
  /// leaves the hop alone; and that a hop carries no UDP, the hop tells this association itself.
  private func trouble(of chain: Chain, as isolated: Chain, _ standings: Standings) -> Failure? {
    if let rest = rest(of: isolated) { return rest.failure }
    guard let failure = server.outages.failure(of: chain, as: isolated), !failure.isLackOfUDP else {
      return nil
    }
    let isUpToHealth = failure.blame(in: chain) == .hop
    return !isUpToHealth || standings.pauseEnd(of: chain) > loop.now ? failure : nil
  }

  private func choose(_ choice: Choice, for plan: Plan) {
    if !plan.dependsOnDestination { chosen[plan] = choice }
  }

  /// Opens a path by the first way of the plan that leads somewhere, before anything is to leave by it. All ways share the
  /// time for a dial.
  func open(_ plan: Plan, by route: Route?) async throws(Failure) {
    let request = anywhere
    let journey = association.worker.journey(by: plan, for: request)
    let start = Deadline.now
    while let way = journey.next(unless: { [self] chain, standings in
      trouble(of: chain, as: server.identities.isolate(chain, for: request), standings)
    }) {
      // Nothing has to be opened for it.
      guard case .chain(let chain) = way else {
        return choose(.direct(journey), for: plan)
      }
      let isolated = server.identities.isolate(chain, for: request)
      let path = ChainPath(chain, as: isolated, by: route, of: association, journey: journey)
      do {
        try await open(path, until: start + path.budget)
        return choose(.path(path), for: plan)
      } catch {
        guard !error.isFinal else { throw error }
        guard (start + path.budget).leavesTimeToDial(since: start) else { break }
      }
    }
    throw journey.conclude()
  }
}
