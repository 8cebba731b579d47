import Routing
import Transport

/// How many tunnels one chain should have at rest, how old one may become, and when the next may be made: learnt from
/// what happens to them.
///
/// It opens nothing and reads no clock: it is told.
struct WarmStock {
  /// What it goes by. Tests take other numbers.
  struct Terms {
    /// A first hop that is nearer than that, there and back, alone is not worth a tunnel at rest: this machine, its
    /// neighbours.
    var nearby = Duration.milliseconds(5)
    /// Where others lie behind it, nor is a last hop that is reached so soon.
    var soonEnough = Duration.milliseconds(50)
    /// How often it must not have been.
    var fewestReaches = 4
    /// Of `auto`, for one loop.
    var most = 8
    /// A chain that nobody uses for that long has none, unless the table asks for them.
    var disuse = Duration.seconds(60)
    /// After so long without need for it there is one less, a hop that turned some away may be asked for one more, and
    /// what was measured grows old.
    var season = Duration.seconds(30)
    /// No tunnel rests for longer, whatever its hop allows.
    var longestLife = Duration.seconds(300)
    /// A hop that ends one sooner is not worth it to `auto`.
    var shortestLife = Duration.seconds(5)
    /// What does not last that long is a refusal.
    var refusal = Duration.seconds(1)
    var firstPause = Duration.seconds(1)
    var longestPause = Duration.seconds(60)
    /// So soon at the latest all are looked at: what a reload has made useless is closed then.
    var round = Duration.seconds(10)
  }

  let terms: Terms
  var warmth: Warmth
  /// Among so many loops a fixed number is divided, so that together they have that number.
  private let loops: Int
  /// Which of these this one is, from 0: the first ones take what cannot be divided.
  private let rank: Int
  private let hops: Int
  /// A fixed number is kept however long nobody comes.
  private let isLasting: Bool
  private(set) var lastUse: Deadline?
  /// How many are kept, until when, since connections that now go elsewhere may come here.
  private var standby = (count: 0, end: Deadline(nanoseconds: 0))
  /// How many were wanted lately.
  private var demand = 0
  /// The least that were left since the season began.
  private var fewest = Int.max
  private var seasonEnd: Deadline
  /// To the first hop. It is the kernel's, so that nobody's being busy passes for distance.
  private var roundTrip: Duration?
  /// How often, and how soon, the last hop was reached in this season and in the one before. How far the hops are from
  /// one another is seen by nobody here: the quickest of several tells best.
  private var reaches: (count: Int, soonest: Duration?) = (0, nil)
  private var formerReaches: (count: Int, soonest: Duration?) = (0, nil)
  /// What a tunnel is expected to last.
  private(set) var life: Duration
  /// How many lasted as long as they were let, in a row.
  private var survivors = 0
  /// The age at which one ended. It is believed once the chain is found to be alive.
  private var suspectedLife: Duration?
  private var lastEnd: Deadline?
  /// The age of a tunnel that was lost when a client asked something of it. That may be due to what was asked: the next
  /// tunnel that rests for so long is asked for a name that does not exist, and its end teaches.
  private(set) var doubtedAge: Duration?
  /// No doubt counts before.
  private var doubtPauseEnd = Deadline(nanoseconds: 0)
  /// The most that a hop lets stand.
  private var cap = Int.max
  private var failures = 0
  /// No tunnel is made before.
  private(set) var pauseEnd = Deadline(nanoseconds: 0)

  /// - Parameters:
  ///   - loops: how many have tunnels of the same chain.
  ///   - rank: of this one among them, from 0.
  ///   - hops: of the chain.
  ///   - isLasting: whether the chain is there for good, and not for one identity among many.
  init(
    _ warmth: Warmth, loops: Int = 1, rank: Int = 0, hops: Int = 1, isLasting: Bool = true,
    terms: Terms = Terms(), at now: Deadline
  ) {
    self.warmth = warmth
    self.loops = loops
    self.rank = rank
    self.hops = hops
    self.isLasting = isLasting
    self.terms = terms
    life = terms.longestLife
    seasonEnd = now + terms.season
  }

  // MARK: How many

  /// How many there should be, those in the making included.
  func target(at now: Deadline) -> Int {
    let reserve = now < standby.end ? standby.count : 0
    let isInUse = lastUse.map { now < $0 + terms.disuse } ?? false
    let wanted: Int
    switch warmth {
    case .count(0): return 0
    case .count(let count):
      wanted = isInUse || isLasting && lastUse != nil ? (count + loops - 1 - rank) / loops : reserve
    case .auto:
      // Of a standby nobody knows how far it is before one was made.
      guard isWorthIt || roundTrip == nil && reserve > 0 else { return 0 }
      wanted = max(isInUse ? max(demand, 1) : 0, reserve)
    }
    return min(wanted, cap)
  }

  /// Whether the other loops have to hear of a use now, so that all have their parts of a fixed number: of the first,
  /// and where tunnels go with disuse, again before they do.
  func isNews(at now: Deadline) -> Bool {
    guard case .count(1...) = warmth else { return false }
    guard let lastUse else { return true }
    return !isLasting && now >= lastUse + terms.disuse / 2
  }

  /// Whether a tunnel at rest saves time.
  var isWorthIt: Bool {
    guard warmth == .auto else { return warmth != .count(0) }
    guard let roundTrip else { return false }
    if roundTrip > terms.nearby { return true }
    guard hops > 1, reaches.count + formerReaches.count >= terms.fewestReaches, let soonest else {
      return false
    }
    return soonest > terms.soonEnough
  }

  private var soonest: Duration? { [reaches.soonest, formerReaches.soonest].compactMap(\.self).min() }

  /// How many may be in the making at the same time: after a failure one finds out for all.
  var mostRefills: Int { failures == 0 ? 4 : 1 }

  // MARK: How old

  /// Until that age one is handed out.
  var usableLife: Duration { life * 9 / 10 }

  /// From that age on it is replaced, so that the next one is there in time.
  var freshLife: Duration { max(usableLife - (soonest ?? .zero) * 2, usableLife / 2) }

  // MARK: What happens

  /// A connection asks for one.
  ///
  /// - Parameter resting: how many it finds.
  mutating func use(at now: Deadline, resting: Int) {
    lastUse = now
    if resting > 0 {
      fewest = min(fewest, resting - 1)
    } else {
      fewest = 0
      if now >= pauseEnd { demand = min(demand + 1, terms.most) }
    }
  }

  /// A connection on another loop has used the chain.
  mutating func useElsewhere(at now: Deadline) { lastUse = now }

  /// Connections may need so many soon.
  mutating func standBy(with count: Int, until end: Deadline) { standby = (count, end) }

  /// Time passes.
  mutating func advance(to now: Deadline) {
    guard now >= seasonEnd else { return }
    if fewest > 0, demand > 1 { demand -= 1 }
    fewest = Int.max
    if cap < Int.max { cap = cap < 64 ? cap + 1 : Int.max }
    formerReaches = reaches
    reaches = (0, nil)
    seasonEnd = now + terms.season
  }

  /// The last hop was reached, and took so long to be.
  ///
  /// - Parameter roundTrip: to the first hop.
  mutating func reach(after duration: Duration, roundTrip: Duration?, at now: Deadline) {
    if let roundTrip { self.roundTrip = roundTrip }
    reaches = (reaches.count + 1, min(reaches.soonest ?? duration, duration))
    if failures > 0 {
      failures = 0
      pauseEnd = now
    }
    guard let suspected = suspectedLife else { return }
    suspectedLife = nil
    survivors = 0
    life = min(life, suspected)
    if warmth == .auto, life < terms.shortestLife { pauseEnd = now + terms.longestPause }
  }

  /// The last hop was not reached, or refused us.
  ///
  /// - Parameters:
  ///   - resting: how many stand while this one is refused: as many as it lets, perhaps.
  ///   - jitter: from 0 up to 1.
  mutating func fail(at now: Deadline, resting: Int, jitter: Double) {
    suspectedLife = nil
    if resting > 0 { cap = resting }
    // Those begun together fail together.
    guard now >= pauseEnd else { return }
    let pause =
      failures < 6 ? min(terms.firstPause * (1 << failures), terms.longestPause) : terms.longestPause
    failures += 1
    pauseEnd = now + pause * (0.75 + jitter / 2)
  }

  /// A hop is known to be down, and somebody else says when to try it again.
  mutating func yield() {
    suspectedLife = nil
    failures = max(failures, 1)
  }

  /// One was closed, or fell silent, at this age when a client asked something of it.
  mutating func doubt(age: Duration, at now: Deadline) {
    guard doubtedAge == nil, now >= doubtPauseEnd else { return }
    doubtedAge = min(age, freshLife)
  }

  /// A tunnel of that age is about to be asked.
  mutating func settleDoubt(at now: Deadline) {
    doubtedAge = nil
    doubtPauseEnd = now + terms.season
  }

  /// One ended at rest at this age, or was silent when we asked it.
  ///
  /// - Parameter jitter: from 0 up to 1.
  mutating func end(at now: Deadline, age: Duration, jitter: Double) {
    guard age >= terms.refusal else { return fail(at: now, resting: 0, jitter: jitter) }
    // Those that end together at different ages were ended by something else than their age.
    if let last = lastEnd, now.since(last) < .seconds(1), let suspected = suspectedLife {
      suspectedLife = max(suspected, age) - min(suspected, age) > .seconds(1) ? nil : min(suspected, age)
    } else if lastEnd.map({ now.since($0) >= .seconds(1) }) ?? true {
      suspectedLife = age
    }
    lastEnd = now
  }

  /// One was closed at that age. When several in a row lasted as long as they were to, the next ones may for longer.
  mutating func survive(age: Duration) {
    guard age >= freshLife, age < life else { return }
    survivors += 1
    guard survivors >= 4 else { return }
    survivors = 0
    life = min(life * 3 / 2, terms.longestLife)
  }

  /// When something changes though nothing happens.
  func nextMoment(after now: Deadline) -> Deadline {
    [seasonEnd, standby.end, lastUse.map { $0 + terms.disuse }].compactMap(\.self).filter { $0 > now }.min()
      ?? .never
  }
}
