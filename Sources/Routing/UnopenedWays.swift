/// Trials of ways that a hop did not open when it was asked for the next hop, and of ways to hops that a dial had too
/// little time to reach.
///
/// Such an event does not tell what failed: the hop may have reached its limit of sessions, or the time may have been
/// used up by others, and one client can bring both about. However often it happens, it takes the next hop down only by a
/// trial, which Sockeye makes by itself.
struct UnopenedWays: Sendable {
  private struct Way: Hashable {
    /// `nil`: the next hop is the first.
    let hop: String?
    let next: String

    init?(_ hops: some BidirectionalCollection<Upstream>) {
      guard let next = hops.last else { return nil }
      self.hop = hops.dropLast().last?.name
      self.next = next.name
    }
  }

  private struct State {
    let start: Moment
    var isRunning = true
  }

  /// The latest of each way.
  private var trials: [Way: State] = [:]

  /// From one trial of a way to the next: 30 seconds.
  private static let pause: Moment = 30_000_000_000
  /// At a time, and in their pauses.
  private static let most = 256

  /// Begins a trial of the way from the last but one of these hops, or from here, to the last.
  ///
  /// - Returns: false if none may begin now.
  mutating func begin(_ hops: ArraySlice<Upstream>, at now: Moment) -> Bool {
    guard let way = Way(hops) else { return false }
    trials = trials.filter { $0.value.isRunning || now < $0.value.start + Self.pause }
    guard trials[way] == nil, trials.count < Self.most else { return false }
    trials[way] = State(start: now)
    return true
  }

  /// Ends a trial; false when a reload has ended it before.
  mutating func end(_ trial: WayTrial) -> Bool {
    guard let way = Way(trial.unopened), trials[way]?.start == trial.start else { return false }
    trials[way]?.isRunning = false
    return true
  }
}

/// What tells whether a hop failed, or the hop before it.
package struct WayTrial: Hashable, Sendable {
  /// The hops up to the one that was not reached.
  package let unopened: [Upstream]
  /// The same, with another last hop; `nil` where the plan has none.
  package let other: [Upstream]?
  let start: Moment
}

extension Standings {
  /// Begins a trial of the way to the last of these hops, which a dial did not reach.
  ///
  /// - Parameters:
  ///   - plan: what led there, and may lead by the same hop to others.
  ///   - request: what was dialled.
  /// - Returns: `nil` if the latest trial of that way is not over, or began less than 30 s ago.
  package mutating func beginTrial<Generator: RandomNumberGenerator>(
    of hops: ArraySlice<Upstream>, by plan: Plan, for request: Request, at now: Moment,
    using generator: inout Generator
  ) -> WayTrial? {
    guard unopened.begin(hops, at: now) else { return nil }
    // No hop comes before the first one that could be at fault.
    let other =
      hops.count > 1 ? otherWay(than: hops, by: plan, for: request, at: now, using: &generator) : nil
    return WayTrial(unopened: Array(hops), other: other, start: now)
  }

  /// Ends a trial: if its way was never opened, and no connection has reached the last hop meanwhile, by whatever hop before
  /// it, that hop is down.
  ///
  /// - Parameters:
  ///   - hasFailed: whether the way was never opened.
  ///   - jitter: from 0 up to 1, as for `Standing.fail`.
  package mutating func end(_ trial: WayTrial, hasFailed: Bool, at now: Moment, jitter: Double) {
    guard unopened.end(trial), hasFailed, let next = trial.unopened.last,
      !self[next].hasShown(since: trial.start)
    else { return }
    update(next) { $0.fail(at: now, jitter: jitter) }
  }
}
