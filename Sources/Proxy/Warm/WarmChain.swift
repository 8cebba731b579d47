import Addresses
import Routing
import Transport

/// One chain's tunnels up to its last hop, which wait for destinations.
///
/// `@unchecked` holds because it belongs to one loop's `WarmChains`, whose tasks run on one thread.
final class WarmChain: @unchecked Sendable {
  let chain: Chain
  /// Whose identity it is, if it is one's.
  let client: Client?
  /// Where it is kept. It may have had to make room there.
  unowned let shelf: WarmShelf
  var stock: WarmStock
  /// The oldest first. While somebody waits for them, none may be closed.
  private(set) var tunnels: [Tunnel] = []
  /// How many are being made.
  var refills = 0
  /// A plan leads through it: what is known of its hops counts.
  var isChosen = false

  private static let keepAliveSeconds = 30

  /// `@unchecked` holds as it does for the chain.
  final class Tunnel: @unchecked Sendable {
    private var hop: ReachedHop?
    let since: Deadline

    fileprivate init(_ hop: consuming ReachedHop) {
      since = hop.since
      self.hop = consume hop
    }

    /// Whatever is read here means the end.
    var interest: Interest? { hop?.stream.interest(in: .readable) }

    /// Whether it still waits, and has said nothing.
    fileprivate var isQuiet: Bool {
      do throws(Errno) {
        _ = try hop?.stream.discard()
        return false
      } catch {
        return error == .wouldBlock
      }
    }

    func take() -> ReachedHop? {
      hop?.isWarm = true
      return hop.take()
    }
  }

  init(_ chain: Chain, of client: Client?, on shelf: WarmShelf, _ stock: WarmStock) {
    self.chain = chain
    self.client = client
    self.shelf = shelf
    self.stock = stock
  }

  func add(_ hop: consuming ReachedHop) {
    // Silence is all that comes of it, so a peer that is gone is asked for.
    hop.stream.keepAlive(seconds: Self.keepAliveSeconds)
    tunnels.append(Tunnel(hop))
  }

  /// The youngest that still waits: nobody is told when a router on the way has forgotten an old one.
  func take(at now: Deadline) -> ReachedHop? {
    let found = tunnels.count
    while let tunnel = tunnels.popLast() {
      if tunnel.isQuiet {
        stock.use(at: now, resting: found)
        return tunnel.take()
      }
      noteEnd(of: tunnel, at: now)
    }
    stock.use(at: now, resting: 0)
    return nil
  }

  func drop() { tunnels = [] }

  /// Drops those that have ended, or have spoken unasked.
  func dropEnded(at now: Deadline) {
    tunnels = tunnels.filter { tunnel in
      if tunnel.isQuiet { return true }
      noteEnd(of: tunnel, at: now)
      return false
    }
  }

  /// Drops those that are too old, and those that are too many.
  func dropOld(at now: Deadline) {
    var surplus = tunnels.count - stock.target(at: now)
    tunnels = tunnels.filter { tunnel in
      let age = now.since(tunnel.since)
      // The oldest come first: their successors are there, or nobody needs them.
      guard surplus > 0 || age >= stock.usableLife else { return true }
      surplus -= 1
      stock.survive(age: age)
      return false
    }
  }

  /// Takes out a tunnel that rests for as long as one that was lost: it has to be asked.
  func takeDoubted(at now: Deadline) -> Tunnel? {
    guard let age = stock.doubtedAge,
      let index = tunnels.firstIndex(where: { now.since($0.since) >= age })
    else { return nil }
    stock.settleDoubt(at: now)
    return tunnels.remove(at: index)
  }

  private func noteEnd(of tunnel: Tunnel, at now: Deadline) {
    stock.end(at: now, age: now.since(tunnel.since), jitter: .random(in: 0..<1))
  }

  /// How many must be begun.
  func missing(at now: Deadline) -> Int {
    let freshLife = stock.freshLife
    let fresh = tunnels.count { now.since($0.since) < freshLife }
    return min(stock.target(at: now) - fresh, stock.mostRefills) - refills
  }

  /// When something is to be done though nothing happens.
  func nextMoment(after now: Deadline) -> Deadline {
    let ages = [stock.freshLife, stock.usableLife, stock.doubtedAge].compactMap(\.self)
    let turns = tunnels.flatMap { tunnel in ages.map { tunnel.since + $0 } }.filter { $0 > now }
    return min(stock.nextMoment(after: now), turns.min() ?? .never)
  }
}
