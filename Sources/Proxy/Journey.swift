import Addresses
import Routing
import Transport
import Wire

/// One request's way by a plan: what was tried, and what was taken. It counts among the connections of the hops it
/// passes for as long as it lives.
///
/// `@unchecked` holds because its tasks run on one loop: its variables are touched by one thread.
package final class Journey: @unchecked Sendable {
  /// A way that failed.
  package struct Attempt: Sendable {
    package let way: Way
    package let failure: Failure
  }

  /// Who dials, and so what a failure proves.
  enum Purpose {
    case client
    /// The check of a group, which is done again after that time at the latest. Its destination is the table's own choice.
    /// The group's member begins behind so many hops, which are not checked.
    case check(of: Group, again: Duration, behind: Int)
    /// A tunnel is kept ready: its last hop is asked for nothing.
    case upkeep
  }

  let plan: Plan
  private let request: Request
  private let purpose: Purpose
  private let health: Health
  private let begin: (Errand) -> Void
  private var detours = Detours()
  /// Ways that were known to lead nowhere, and so took no time.
  private var skips = 0
  private var latencies = HopLatencies()
  package private(set) var attempts: [Attempt] = []
  /// The one being tried, or taken; `nil` before, between and after.
  package private(set) var way: Way?
  /// How many of its hops, from the first on, have admitted the connection.
  private var admitted = 0
  /// When it was chosen.
  private var start = Deadline.now
  /// A hop of the way has failed before: that it admits us is to be told at once.
  private var isTrial = false
  /// The hops that others avoid until this journey has tried them.
  private var trials: [Selection.Trial] = []
  /// The groups with a check that the way passes. A check itself is no use of a group.
  private var checkedVisits: [Selection.Visit] = []
  /// When the time for all ways is over; `nil` when there is one way only.
  private var end: Deadline?

  init(
    by plan: Plan, for request: Request, as purpose: Purpose = .client, health: Health,
    begin: @escaping (Errand) -> Void = { _ in }
  ) {
    self.plan = plan
    self.purpose = purpose
    self.request = request
    self.health = health
    self.begin = begin
  }

  /// Dials one chain, and no choice, while no client waits.
  convenience init(upkeepOf chain: Chain, health: Health) {
    let stops = chain.hops.map { Itinerary.Position([.upstream($0)]) }
    self.init(
      by: Plan(.itinerary(Itinerary(stops))), for: Request(to: Endpoint(.unspecified4, port: 0)),
      as: .upkeep, health: health)
  }

  deinit { leave() }

  // MARK: Choosing

  /// The best way that has not failed yet; `nil` when there is none.
  ///
  /// - Parameter trouble: why a chain leads nowhere just now, where that is known without a dial. Such ways are skipped, and
  ///   count as attempts. It is given what is known of all upstreams, and may not ask `Health`.
  func next(unless trouble: ((Chain, Standings) -> Failure?)? = nil) -> Way? {
    leave()
    var skipped: [String: Selection.Visit] = [:]
    // A search may ask of a way twice.
    var passedOver: Set<Way> = []
    let selection = health.choose(
      by: plan, for: request, avoiding: &detours,
      unless: trouble.map { trouble in
        { [self] selection, standings, detours in
          guard case .chain(let chain) = selection.way, let failure = trouble(chain, standings) else {
            return false
          }
          for visit in selection.visits where visit.group.check != nil { skipped[visit.group.name] = visit }
          if passedOver.insert(selection.way).inserted {
            attempts.append(Attempt(way: selection.way, failure: failure))
            skips += 1
          }
          detours.add(failure, as: failure.blame(in: chain), of: chain)
          return true
        }
      })
    use(skipped.values)
    guard let selection else { return nil }
    way = selection.way
    start = .now
    isTrial = selection.isTrial
    trials = selection.trials
    latencies = HopLatencies()
    checkedVisits = []
    health.count(selection.way, by: 1)
    guard case .client = purpose else { return selection.way }
    checkedVisits = selection.visits.filter { $0.group.check != nil }
    use(checkedVisits)
    return selection.way
  }

  /// Has these groups checked from now on, if they are not.
  private func use(_ visits: some Sequence<Selection.Visit>) {
    guard case .client = purpose else { return }
    for visit in visits {
      if let task = health.use(visit) { begin(.checks(of: visit.group.name, task: task)) }
    }
  }

  /// Ends the journey without success: what the client is told of the attempts. That one becomes the last of them.
  func conclude() -> Failure {
    // Of several that tell as much, the latest.
    let truest = attempts.indices.max { (attempts[$0].failure.truth, $0) < (attempts[$1].failure.truth, $1) }
    guard let truest else { return Failure(.hop(0, of: 1, name: plan.description), .connect, .noWay) }
    attempts.append(attempts.remove(at: truest))
    return attempts[attempts.count - 1].failure
  }

  /// How much of the time that is left the next way may take to have its last hop admit us: as much as each of those that
  /// may follow.
  ///
  /// Of many, the first few get more than their share: hops that hang are rarer than hops that refuse.
  func share(until deadline: Deadline) -> Deadline {
    end = deadline
    let left = max(1, min(plan.breadth - skips, Self.shares) - (attempts.count - skips))
    guard left > 1, deadline != .never else { return deadline }
    let now = Deadline.now
    return now + deadline.since(now) / left
  }

  private static let shares = 4

  /// How much longer to wait for the answer to a request when the way's share is over: a second, and then again, as long
  /// as there is time. `nil`: no longer, since a hop of the way is down, or left an earlier request of the client without
  /// an answer.
  ///
  /// The destination may be slow, and would be so by another way.
  func morePatience(at now: Deadline) -> Deadline? {
    guard let end, now < end, case .chain(let chain)? = way,
      health.mayAnswer(chain, to: request.owner)
    else { return nil }
    return min(end, now + .seconds(1))
  }

  // MARK: Telling

  /// The hop of that index has admitted us. If it is on trial, others may use it from now on, however long the request
  /// takes; unless a check has failed at it, which only a request that it fulfils makes good.
  func noteAdmission(ofHop index: Int) {
    guard case .chain(let chain)? = way, chain.hops.indices.contains(index) else { return }
    if isTrial { health.noteAdmission(of: chain.hops[index]) }
    countAdmissions(by: chain.hops[...index])
  }

  private func countAdmissions(by hops: ArraySlice<Upstream>) {
    guard hops.count > admitted else { return }
    health.countAdmission(by: hops[admitted...], by: 1)
    admitted = hops.count
  }

  /// The last hop has left the request without an answer for longer than its `timeout`.
  func noteSilence() {
    if case .chain(let chain)? = way { checkEarly(chain, at: chain.hops.count - 1) }
  }

  /// The way is taken by a tunnel that was open already, which proves nothing of hops on trial.
  func noteWarmTunnel() {
    endTrials()
  }

  /// A hop was reached, or admitted us, after so long.
  func note(_ place: Failure.Place, _ phase: Failure.Phase, _ duration: Duration) {
    if let index = place.hopIndex { latencies.note(phase, duration, ofHop: index) }
  }

  /// The way is dialled once more: what was measured is of a dial that came to nothing.
  func beginAgain() {
    latencies = HopLatencies()
    guard admitted > 0, case .chain(let chain)? = way else { return }
    health.countAdmission(by: chain.hops[..<admitted], by: -1)
    admitted = 0
  }

  /// The way is passed.
  ///
  /// - Parameter proof: what the last hop has shown with that: `passage` if it reached a destination, `answer` if it
  ///   could do what it was asked without reaching one, `admission` if it was asked for nothing yet.
  func arrive(showing proof: Standing.Proof) {
    if case .chain(let chain)? = way {
      health.note(proof, of: chain, latencies: latencies.sums)
      // Those of a tunnel that was open already have said nothing.
      countAdmissions(by: chain.hops[...])
    }
    endTrials()
  }

  /// Chains that may soon be taken in the place of the one that was.
  var standbys: [Chain] {
    guard plan.isSteady, case .chain(let chain)? = way else { return [] }
    return health.standbys(for: chain, by: plan, for: request)
  }

  /// Notes in a failure of the way if a hop of it may be full. Must come before `fail`.
  func noteFullness(in failure: inout Failure) {
    if case .chain(let chain)? = way { health.noteFullness(in: &failure, of: chain) }
  }

  /// The way does not lead there; false when another would not either.
  ///
  /// - Parameter blame: whose failure it is, when that is not for the failure itself to say.
  @discardableResult
  func fail(_ failure: Failure, as blame: Failure.Blame? = nil) -> Bool {
    guard let way else { return false }
    attempts.append(Attempt(way: way, failure: failure))
    // What is noted first ends a trial in another way: no other connection comes in between.
    defer { leave() }
    guard case .chain(let chain) = way else { return false }
    let blame = blame ?? failure.blame(in: chain)
    let trial = health.note(
      failure, as: blame, of: chain, by: plan, for: request, purpose, since: start, latencies: latencies.sums)
    if let trial { begin(.trial(trial)) }
    if blame == .suspect { checkEarly(chain, at: failure.culprit ?? chain.hops.count - 1) }
    detours.add(failure, as: blame, of: chain)
    return blame != .destination && blame != .ours
  }

  /// Has the members checked through which the way passes a suspect hop, and no others.
  private func checkEarly(_ chain: Chain, at index: Int) {
    for visit in checkedVisits where visit.before.count <= index {
      let member = visit.group.members[visit.member].stop
      guard member.upstreams.contains(where: { $0.name == chain.hops[index].name }) else { continue }
      if let subject = health.beginEarlyCheck(of: visit) {
        begin(.earlyCheck(of: visit.member, in: subject))
      }
    }
  }

  private func leave() {
    endTrials()
    if let way { health.count(way, by: -1, admitted: admitted) }
    way = nil
    admitted = 0
  }

  private func endTrials() {
    guard !trials.isEmpty else { return }
    health.end(trials)
    trials = []
  }
}

extension Detours {
  /// Keeps off the chains that begin with the hops up to the one that failed.
  fileprivate mutating func add(_ failure: Failure, as blame: Failure.Blame, of chain: Chain) {
    let hops = chain.hops.prefix((failure.culprit ?? chain.hops.count - 1) + 1)
    if failure.isUnopened {
      addUnopened(hops)
    } else {
      add(hops, isOut: blame == .hop || failure.isLackOfUDP, isDown: blame == .hop)
    }
  }
}

extension Dialer {
  /// Gives `body` each way in turn, until one leads to the destination, or fails in a way in which all would.
  ///
  /// What `body` gets is to be dialled, with the credentials of the identity that the request has at each hop.
  ///
  /// - Parameter command: what the last hop of a chain is asked for. Chains of a plan that have no words for it are
  ///   skipped.
  /// - Precondition: the outcome is neither `reject` nor `drop`; a plan comes with a journey.
  func travel<Reached: ~Copyable>(
    _ request: Request, asking command: SOCKS5.Command, via outcome: Outcome, within budget: Duration,
    _ body: (Way, Deadline) async throws(Failure) -> Reached
  ) async throws(Failure) -> Reached {
    try await within(budget) { deadline throws(Failure) in
      switch outcome {
      case .direct: return try await body(.direct, deadline)
      case .chain(let chain):
        do throws(Failure) {
          let reached = try await body(.chain(identities.isolate(chain, for: request)), deadline)
          ledger?.note(nil, of: chain)
          return reached
        } catch {
          ledger?.note(error, of: chain)
          throw error
        }
      case .plan:
        guard let journey else { preconditionFailure("a plan comes with a journey") }
        return try await travel(request, asking: command, by: journey, until: deadline, body)
      case .reject, .drop: preconditionFailure("a refused request is not dialled")
      }
    }
  }

  private func travel<Reached: ~Copyable>(
    _ request: Request, asking command: SOCKS5.Command, by journey: Journey, until deadline: Deadline,
    _ body: (Way, Deadline) async throws(Failure) -> Reached
  ) async throws(Failure) -> Reached {
    let first = Deadline.now
    while let way = journey.next(unless: { chain, _ in lackOfWords(chain, command, request.destination) }) {
      observer?.onWay(way)
      let start = Deadline.now
      let dialled: Way =
        switch way {
        case .direct: .direct
        case .chain(let chain): .chain(identities.isolate(chain, for: request))
        }
      do throws(Failure) {
        let reached = try await body(dialled, journey.share(until: deadline))
        // Only a CONNECT that was fulfilled has reached a destination.
        journey.arrive(showing: command == .connect ? .passage : .answer)
        if case .chain(let chain) = way { ledger?.note(nil, of: chain) }
        keepStandbys(for: dialled, request, by: journey)
        return reached
      } catch {
        var failure = error
        failure.elapsed = Deadline.now.since(start)
        journey.noteFullness(in: &failure)
        if case .chain(let chain) = way { ledger?.note(failure, of: chain) }
        guard journey.fail(failure), deadline.leavesTimeToDial(since: first) else { throw journey.conclude() }
      }
    }
    throw journey.conclude()
  }

  private func lackOfWords(
    _ chain: Chain, _ command: SOCKS5.Command, _ destination: Endpoint
  ) -> Failure? {
    do throws(Failure) {
      try check(chain, command, destination)
      return nil
    } catch {
      observer?.onWay(.chain(chain))
      return error
    }
  }

  /// When a hop fails, the next connection shall find the other way ready.
  private func keepStandbys(for dialled: Way, _ request: Request, by journey: Journey) {
    guard let warm, case .chain(let chain) = dialled,
      warm.wantsStandbys(for: chain, by: journey.plan, client)
    else { return }
    let purpose = WarmChains.Purpose(client: client, plan: journey.plan)
    for standby in journey.standbys {
      warm.standBy(identities.isolate(standby, for: request), for: chain, purpose)
    }
  }
}
