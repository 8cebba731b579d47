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
  /// For whom, and by what choice, a chain is dialled.
  struct Purpose {
    /// `nil` when no client waits.
    var client: Client?
    /// The plan that led to the chain; `nil` for a fixed one.
    var plan: Plan?
  }

  private let loop: EventLoop
  private let loops: Int
  private let rank: Int
  let health: Health
  private let terms: WarmStock.Terms
  /// Of the moment: a reload may have changed the policy.
  let makeDialer: () -> Dialer
  /// Runs a task on the loop.
  let begin: (@escaping @Sendable () async -> Void) -> Void
  /// Tells the other loops that a chain with a fixed number is in use.
  private let announce: (Chain, Purpose) -> Void
  /// Chains for which the table asks for a number of tunnels, and which do not vary.
  private let promised = WarmShelf(chains: 64, tunnels: 128)
  private let others = WarmShelf(chains: 64, tunnels: 64)
  /// Of these a client can make any number.
  private let identities = WarmShelf(chains: 64, tunnels: 64, share: 16)
  /// When standbys were looked for, by the plan's description: the plan of a table that a reload has replaced is not kept.
  private var standbyChecks = RecencyMap<String, Deadline>(capacity: 64)
  /// The one by which useless tunnels were dropped last. A reload replaces it, and then nothing keeps it.
  private weak var policy: Policy?
  private var hadPolicy = false
  private var isTended = false
  /// The wait of `tend`.
  private var watch: WaitID?
  private(set) var isClosed = false
  /// The process was short of descriptors: until then none is kept for later.
  private(set) var shortageEnd = Deadline(nanoseconds: 0)

  private static let standbyTime = Duration.seconds(60)
  private static let standbyInterval = Duration.seconds(5)
  private static let shortage = Duration.seconds(60)

  /// - Parameters:
  ///   - loops: how many have such tunnels.
  ///   - rank: of this one among them, from 0.
  ///   - announce: tells the others of a use, which `keep` it.
  ///   - begin: runs a task on the loop, which may outlive the caller's.
  init(
    on loop: EventLoop, of loops: Int = 1, rank: Int = 0, health: Health, terms: WarmStock.Terms = .init(),
    makeDialer: @escaping () -> Dialer, announce: @escaping (Chain, Purpose) -> Void = { _, _ in },
    begin: @escaping (@escaping @Sendable () async -> Void) -> Void
  ) {
    self.loop = loop
    self.loops = loops
    self.rank = rank
    self.health = health
    self.terms = terms
    self.makeDialer = makeDialer
    self.announce = announce
    self.begin = begin
  }

  // MARK: Use

  /// A tunnel to the last hop of a chain, if one waits there. Others are made in time for those who come next.
  func take(_ chain: Chain, for purpose: Purpose) -> ReachedHop? {
    guard chain.warm != .count(0), !isClosed else { return nil }
    let entry = entry(for: chain, purpose)
    let now = Deadline.now
    if loops > 1, entry.stock.isNews(at: now) { announce(chain, purpose) }
    entry.stock.advance(to: now)
    if !entry.tunnels.isEmpty { stopWatching() }
    let taken = entry.take(at: now)
    tend(entry, at: now)
    return taken
  }

  /// Keeps this loop's part of the tunnels for a chain that is used on another.
  func keep(_ chain: Chain, for purpose: Purpose) {
    guard !isClosed else { return }
    let entry = entry(for: chain, purpose)
    let now = Deadline.now
    entry.stock.useElsewhere(at: now)
    tend(entry, at: now)
  }

  /// A client's connection has reached the chain's last hop without help.
  func noteReach(
    _ chain: Chain, for purpose: Purpose, after duration: Duration, over stream: borrowing TCPStream
  ) {
    guard chain.warm != .count(0), !isClosed else { return }
    let entry = entry(for: chain, purpose)
    let now = Deadline.now
    entry.stock.reach(after: duration, roundTrip: stream.roundTrip, at: now)
    tend(entry, at: now)
  }

  /// A tunnel that was taken was closed, or fell silent, when a client asked something of it.
  func noteLoss(_ chain: Chain, for purpose: Purpose, age: Duration) {
    guard !isClosed else { return }
    let entry = entry(for: chain, purpose)
    entry.stock.doubt(age: age, at: .now)
    stopWatching()
  }

  /// Whether it is time to say which chains may soon be taken in the place of this one.
  func wantsStandbys(for chain: Chain, by plan: Plan, _ client: Client?) -> Bool {
    let purpose = Purpose(client: client, plan: plan)
    guard plan.isSteady, chain.warm != .count(0), !isClosed, entry(for: chain, purpose).stock.isWorthIt else {
      return false
    }
    let now = Deadline.now
    if let checked = standbyChecks.use(plan.description) {
      guard now >= checked + Self.standbyInterval else { return false }
      standbyChecks.replace(with: now, for: plan.description)
    } else {
      _ = standbyChecks.insert(now, for: plan.description)
    }
    return true
  }

  /// Keeps as many tunnels ready for a while as another chain has, in the place of which this one may be taken.
  func standBy(_ chain: Chain, for other: Chain, _ purpose: Purpose) {
    guard chain.warm != .count(0), !isClosed else { return }
    let now = Deadline.now
    let count = self.entry(for: other, purpose).stock.target(at: now)
    let entry = entry(for: chain, purpose)
    entry.stock.standBy(with: count, until: now + Self.standbyTime)
    tend(entry, at: now)
  }

  private func shelf(for chain: Chain, _ purpose: Purpose) -> WarmShelf {
    if chain.isIsolated { return identities }
    return chain.warm != .auto && purpose.plan?.isSteady != false ? promised : others
  }

  private func entry(for chain: Chain, _ purpose: Purpose) -> WarmChain {
    let shelf = shelf(for: chain, purpose)
    let entry: WarmChain
    if let known = shelf.use(chain) {
      entry = known
    } else {
      let client = chain.isIsolated ? purpose.client : nil
      entry = WarmChain(chain, of: client, on: shelf, stock(for: chain, isLasting: shelf === promised))
      if let displaced = shelf.add(entry) {
        // It may still get what is being made.
        displaced.stock.warmth = .count(0)
        drop(displaced)
      }
    }
    entry.isChosen = purpose.plan != nil
    entry.stock.warmth = chain.warm
    return entry
  }

  private func stock(for chain: Chain, isLasting: Bool) -> WarmStock {
    // What cannot be divided falls to another loop for each chain.
    let place = (rank + Int(UInt(bitPattern: chain.hashValue) % UInt(loops))) % loops
    return WarmStock(
      chain.warm, loops: loops, rank: place, hops: chain.hops.count, isLasting: isLasting, terms: terms,
      at: .now)
  }

  private var entries: some Sequence<WarmChain> {
    [promised, others, identities].lazy.flatMap(\.chains)
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
    let had = entries.contains { !$0.tunnels.isEmpty }
    for entry in entries { drop(entry) }
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
    return entries.map { ($0.chain, $0.tunnels.count, $0.stock.target(at: now)) }
      .filter { $0.resting > 0 || $0.wanted > 0 }
  }

  /// A stream is neither closed nor handed out while somebody waits for it.
  func stopWatching() {
    if let watch { loop.wake(watch) }
    watch = nil
  }

  /// Makes what is missing, and sees to it that somebody watches.
  func tend(_ entry: WarmChain, at now: Deadline) {
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
      for entry in entries {
        entry.stock.advance(to: now)
        entry.dropOld(at: now)
        if let tunnel = entry.takeDoubted(at: now) { ask(tunnel, of: entry) }
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
      case .ready: for entry in entries { entry.dropEnded(at: .now) }
      case .timedOut: break
      case .cancelled: return close()
      }
    }
  }

  /// After a reload, a chain with a hop that is not what it was leads nowhere any more.
  private func dropWhatIsUseless() {
    let current = makeDialer().policy
    guard current !== policy else { return }
    defer { (policy, hadPolicy) = (current, true) }
    guard hadPolicy else { return }
    let upstreams = current.upstreams
    for entry in entries where !entry.chain.hops.allSatisfy(upstreams.contains) {
      drop(entry)
      entry.stock = stock(for: entry.chain, isLasting: entry.shelf === promised)
    }
  }
}
