import Addresses
import Routing
import Transport

/// The tunnels of one loop that are open up to the last hops of chains, and wait for destinations.
///
/// One task watches them while there are any: what ends at rest, or says something unasked, is dropped before anybody
/// gets it. Each is made by a task of its own.
///
/// `@unchecked` holds because everything runs in tasks of the loop: its variables are touched by one thread.
final class WarmChains: @unchecked Sendable {
  private let loop: EventLoop
  private let loops: Int
  private let health: Health
  private let terms: WarmStock.Terms
  /// Of the moment: a reload may have changed the policy.
  private let makeDialer: () -> Dialer
  /// Runs a task on the loop.
  private let begin: (@escaping @Sendable () async -> Void) -> Void
  private var entries = RecencyMap<Chain, WarmChain>(capacity: 64)
  /// When standbys were looked for, by plan.
  private var standbyChecks = RecencyMap<Plan, Deadline>(capacity: 64)
  private var policy: Policy?
  private var isTended = false
  /// The wait of `tend`.
  private var watch: WaitID?
  private var isClosed = false
  /// The process was short of descriptors: until then none is kept for later.
  private var shortageEnd = Deadline(nanoseconds: 0)

  /// Of all chains together.
  private static let most = 128
  private static let standbyTime = Duration.seconds(60)
  private static let standbyInterval = Duration.seconds(5)
  private static let shortage = Duration.seconds(60)

  /// - Parameters:
  ///   - loops: how many have such tunnels.
  ///   - begin: runs a task on the loop, which may outlive the caller's.
  init(
    on loop: EventLoop, of loops: Int, health: Health, terms: WarmStock.Terms = .init(),
    makeDialer: @escaping () -> Dialer, begin: @escaping (@escaping @Sendable () async -> Void) -> Void
  ) {
    self.loop = loop
    self.loops = loops
    self.health = health
    self.terms = terms
    self.makeDialer = makeDialer
    self.begin = begin
  }

  // MARK: Use

  /// A tunnel to the last hop of a chain, if one waits there. Others are made in time for those who come next.
  ///
  /// - Parameter isChosen: a plan led here.
  func take(_ chain: Chain, isChosen: Bool) -> ReachedHop? {
    guard chain.warm != .count(0), !isClosed else { return nil }
    let entry = entry(for: chain)
    entry.isChosen = isChosen
    entry.stock.warmth = chain.warm
    let now = Deadline.now
    entry.stock.advance(to: now)
    if !entry.tunnels.isEmpty { stopWatching() }
    let taken = entry.take(at: now)
    tend(entry, at: now)
    return taken
  }

  /// A client's connection has reached the chain's last hop without help.
  func noteReach(_ chain: Chain, after duration: Duration, over stream: borrowing TCPStream) {
    guard chain.warm != .count(0), !isClosed else { return }
    let entry = entry(for: chain)
    let now = Deadline.now
    entry.stock.reach(after: duration, roundTrip: stream.roundTrip, at: now)
    tend(entry, at: now)
  }

  /// Whether it is time to say which chains may soon be taken in the place of this one.
  func wantsStandbys(for chain: Chain, by plan: Plan) -> Bool {
    guard plan.isSteady, !isClosed, entry(for: chain).stock.isWorthIt else { return false }
    let now = Deadline.now
    if let checked = standbyChecks.use(plan) {
      guard now >= checked + Self.standbyInterval else { return false }
      standbyChecks.replace(with: now, for: plan)
    } else {
      _ = standbyChecks.insert(now, for: plan)
    }
    return true
  }

  /// Keeps as many tunnels ready for a while as another chain has, in the place of which this one may be taken.
  func standBy(_ chain: Chain, for other: Chain) {
    let now = Deadline.now
    let count = self.entry(for: other).stock.target(at: now)
    let entry = entry(for: chain)
    entry.isChosen = true
    entry.stock.warmth = chain.warm
    entry.stock.standBy(with: count, until: now + Self.standbyTime)
    tend(entry, at: now)
  }

  private func entry(for chain: Chain) -> WarmChain {
    if let entry = entries.use(chain) { return entry }
    let entry = WarmChain(chain, stock(for: chain))
    if let displaced = entries.insert(entry, for: chain) {
      // It may still get what is being made.
      displaced.stock.warmth = .count(0)
      drop(displaced)
    }
    return entry
  }

  private func stock(for chain: Chain) -> WarmStock {
    WarmStock(
      chain.warm, loops: loops, hops: chain.hops.count, isLasting: !chain.isIsolated, terms: terms, at: .now)
  }

  // MARK: Giving up

  /// Closes all, for good.
  func close() {
    isClosed = true
    giveUp()
  }

  /// Closes all, since the process is short of descriptors; false when there was nothing to close.
  @discardableResult
  func giveUp() -> Bool {
    shortageEnd = .after(Self.shortage)
    let had = entries.values.contains { !$0.tunnels.isEmpty }
    for entry in entries.values { drop(entry) }
    return had
  }

  private func drop(_ entry: WarmChain) {
    stopWatching()
    entry.drop()
  }

  // MARK: Tending

  /// How many wait for each chain, and how many should.
  var counts: [(chain: Chain, resting: Int, wanted: Int)] {
    let now = Deadline.now
    return entries.values.map { ($0.chain, $0.tunnels.count, $0.stock.target(at: now)) }
      .filter { $0.resting > 0 || $0.wanted > 0 }
  }

  /// A stream is neither closed nor handed out while somebody waits for it.
  private func stopWatching() {
    if let watch { loop.wake(watch) }
    watch = nil
  }

  /// Makes what is missing, and sees to it that somebody watches.
  private func tend(_ entry: WarmChain, at now: Deadline) {
    refill(entry, at: now)
    guard !isTended, !isClosed, !entry.tunnels.isEmpty || entry.stock.target(at: now) > 0 else { return }
    isTended = true
    begin { [self] in
      await watchAll()
      isTended = false
    }
  }

  private func watchAll() async {
    while !isClosed {
      let now = Deadline.now
      dropWhatIsUseless()
      // These alone: whoever held the tunnels would keep them from being closed.
      var interests: [Interest] = []
      var next = now + terms.round
      var isIdle = true
      for entry in entries.values {
        entry.stock.advance(to: now)
        entry.dropOld(at: now)
        refill(entry, at: now)
        interests += entry.tunnels.compactMap(\.interest)
        if !entry.tunnels.isEmpty || entry.stock.target(at: now) > 0 { isIdle = false }
        next = min(next, entry.nextMoment(after: now))
        let pauseEnd = pauseEnd(of: entry)
        if pauseEnd > now { next = min(next, pauseEnd) }
      }
      if isIdle { return }
      let wakeup = await loop.wait(for: interests, until: next) { watch = $0 }
      watch = nil
      switch wakeup {
      // Only one is told, and several may have ended together.
      case .ready: for entry in entries.values { entry.dropEnded(at: .now) }
      case .timedOut: break
      case .cancelled: return close()
      }
    }
  }

  /// After a reload, a chain with a hop that is not what it was leads nowhere any more.
  private func dropWhatIsUseless() {
    let current = makeDialer().policy
    guard current !== policy else { return }
    defer { policy = current }
    guard policy != nil else { return }
    let upstreams = current.upstreams
    for entry in entries.values where !entry.chain.hops.allSatisfy(upstreams.contains) {
      drop(entry)
      entry.stock = stock(for: entry.chain)
    }
  }

  /// Has the pipelining of a chain's hops tried while no client waits for that.
  func tryPipelining(of chain: Chain) {
    guard !isClosed else { return }
    begin { [self] in await makeDialer().tryPipelining(of: chain) }
  }

  // MARK: Making

  private func pauseEnd(of entry: WarmChain) -> Deadline {
    let pauseEnd = max(entry.stock.pauseEnd, shortageEnd)
    return entry.isChosen ? max(pauseEnd, health.pauseEnd(of: entry.chain)) : pauseEnd
  }

  private func refill(_ entry: WarmChain, at now: Deadline) {
    var missing = entry.missing(at: now)
    guard missing > 0, !isClosed, pauseEnd(of: entry) <= now else { return }
    let total = entries.values.reduce(0) { $0 + $1.tunnels.count + $1.refills }
    missing = min(missing, Self.most - total)
    guard missing > 0 else { return }
    for _ in 0..<missing {
      entry.refills += 1
      begin { [self] in
        let isMade = await makeTunnel(for: entry)
        entry.refills -= 1
        stopWatching()
        tend(entry, at: .now)
        if isMade { await makeDialer().tryPipelining(of: entry.chain) }
      }
    }
  }

  /// True when there is one more.
  private func makeTunnel(for entry: WarmChain) async -> Bool {
    var dialer = makeDialer()
    let budget = dialer.policy.timeouts.dial
    // It is one chain, and no choice: this is whoever finds out whether it is up again.
    let stops = entry.chain.hops.map { Itinerary.Position([.upstream($0)]) }
    let journey = Journey(
      by: Plan(.itinerary(Itinerary(stops))), for: Request(to: Endpoint(.unspecified4, port: 0)),
      health: health)
    if entry.isChosen {
      _ = journey.next()
      dialer.journey = journey
    }
    let start = Deadline.now
    do throws(Failure) {
      let hop = try await dialer.reach(entry.chain.hops.count - 1, of: entry.chain, until: start + budget)
      // Whoever speaks unasked is not understood when it is asked.
      guard hop.input.isEmpty else { throw Failure(hop.hop.place, .request, .closed) }
      let now = Deadline.now
      entry.stock.reach(after: now.since(start), roundTrip: hop.stream.roundTrip, at: now)
      journey.arriveAtLastHop()
      dialer.ledger?.note(nil, of: entry.chain)
      // It may have turned out to be no use.
      guard !isClosed, shortageEnd <= now, entry.stock.target(at: now) > 0 else { return false }
      entry.add(hop)
      return true
    } catch {
      if error.isOurs { giveUp() }
      dialer.ledger?.note(error, of: entry.chain)
      let resting = error.cause == .system(.timedOut) ? 0 : entry.tunnels.count
      // While others stand, it is one too many, and the hop is not down.
      journey.fail(error, as: resting > 0 ? .nobody : nil)
      let now = Deadline.now
      if entry.isChosen, resting == 0, health.pauseEnd(of: entry.chain) > now {
        entry.stock.yield()
      } else {
        entry.stock.fail(at: now, resting: resting, jitter: .random(in: 0..<1))
      }
      return false
    }
  }
}
