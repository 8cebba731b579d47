import Routing

/// The hops of a chain that are told everything at once, by index: greeting, authentication, request, and what is for
/// the hop behind them. Of the others each answer is awaited. HTTP hops are never among them (RFC 9931).
struct Pace: Hashable {
  private var bits: UInt64 = 0

  static let lockstep = Pace()

  func contains(_ index: Int) -> Bool { (0..<64).contains(index) && bits & 1 << UInt64(index) != 0 }

  mutating func insert(_ index: Int) {
    if index < 64 { bits |= 1 << UInt64(index) }
  }

  /// The hop that most likely was told too much at once, when a dial at this pace came to such an end; `nil` when that
  /// had nothing to do with it.
  ///
  /// - Parameter isProven: of hops that are not under suspicion.
  func culprit(of failure: Failure, in chain: Chain, isProven: (Upstream) -> Bool) -> Int? {
    guard failure.isConfusion, let index = failure.place.hopIndex else { return nil }
    switch failure.phase {
    case .greet:
      // What it never saw it cannot answer: the hop before may have swallowed it.
      guard contains(index - 1) else { return contains(index) ? index : nil }
      return contains(index) && isProven(chain.hops[index - 1]) ? index : index - 1
    case .authenticate: return contains(index) ? index : nil
    // The hop before it was asked.
    case .connect: return contains(index - 1) ? index - 1 : nil
    case .request, .associate:
      if contains(index) { return index }
      // For a hop that is not greeted this is the first that it was to answer.
      return chain.hops[index].kind != .socks5 && contains(index - 1) ? index - 1 : nil
    case .resolve, .tls, .accept, .relay: return nil
    }
  }

  /// How many hops at the front have shown, in a dial that ended so, that nothing is lost that they are sent.
  ///
  /// - Parameter count: of the chain.
  static func provenHops(by failure: Failure?, of count: Int) -> Int {
    guard let failure else { return count }
    guard let index = failure.place.hopIndex else { return 0 }
    switch failure.phase {
    case .greet: return failure.isConfusion ? max(0, index - 1) : index
    // It has answered once: what is for it gets through.
    case .tls, .authenticate: return index
    case .connect: return max(0, index - 1)
    case .request, .associate: return failure.isConfusion ? index : index + 1
    case .resolve, .accept, .relay: return 0
    }
  }

  /// Whether a trial shows that the hop of that index does not support pipelining: in lockstep, the hop admits us, and the
  /// dial gets further.
  ///
  /// - Parameters:
  ///   - trial: what ended the trial.
  ///   - lockstep: what ended the dial in lockstep right afterwards; `nil` when all hops were passed.
  static func convicts(_ index: Int, of trial: Failure, then lockstep: Failure?, of count: Int) -> Bool {
    guard let lockstep else { return true }
    let isAdmitted =
      provenHops(by: lockstep, of: count) > index
      || lockstep.place.hopIndex == index && lockstep.phase.isAfterAdmission
    return isAdmitted && (!lockstep.isConfusion || lockstep.progress > trial.progress)
  }
}

extension Failure {
  /// How far a dial to a chain had come. A hop that closes has gone further than one that is silent.
  fileprivate var progress: (hop: Int, phase: Int, end: Int) {
    (
      place.hopIndex ?? 0, Phase.allCases.firstIndex(of: phase) ?? 0, cause == .system(.timedOut) ? 0 : 1
    )
  }

  /// An end that a hop may come to which loses bytes, or takes them for something else. A clear answer is none.
  fileprivate var isConfusion: Bool {
    guard case .hop(let index, _, _) = place, index > 0 || phase != .connect else { return false }
    switch cause {
    case .closed, .violation, .http, .method, .system(.timedOut), .system(.connectionReset),
      .system(.brokenPipe):
      return true
    default: return false
    }
  }
}
