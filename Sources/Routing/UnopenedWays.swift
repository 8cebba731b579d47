/// Hops that did not open the way to the next hop when they were asked to, and gave no answer.
///
/// Such an event does not tell which of the two failed: the hop may have reached its limit of sessions, which one client
/// can bring about. It never takes the next hop down. It leads to a trial, once the same hop serves another way.
struct UnopenedWays: Sendable {
  private struct Way {
    let hops: [Upstream]
    var latest: Moment
    /// A trial is wanted.
    var isPending = true
    /// No other trial begins before.
    var pauseEnd: Moment = 0
  }

  /// By the name of the hop that was asked, and of the next.
  private var ways: [String: [String: Way]] = [:]

  /// Older events do not count: 5 minutes.
  private static let lifetime: Moment = 300_000_000_000
  /// From one trial of a way to the next: 30 seconds.
  private static let pause: Moment = 30_000_000_000
  /// The next hops that are remembered for each hop.
  private static let most = 64

  /// Adds that the last but one of these hops did not open the way to the last.
  mutating func add(_ hops: ArraySlice<Upstream>, at now: Moment) {
    guard let (hop, next) = Self.names(hops) else { return }
    var known = ways[hop, default: [:]]
    if known[next] == nil, known.count >= Self.most {
      known = known.filter { now <= $0.value.latest + Self.lifetime }
      guard known.count < Self.most else { return }
    }
    known[next] = Way(hops: Array(hops), latest: now, pauseEnd: known[next]?.pauseEnd ?? 0)
    ways[hop] = known
  }

  /// Notes that the last but one of these hops serves a way through the last.
  ///
  /// - Returns: a trial of a way that it did not open.
  mutating func takeTrial(opening hops: ArraySlice<Upstream>, at now: Moment) -> WayTrial? {
    guard !ways.isEmpty, let (hop, next) = Self.names(hops), let known = ways[hop] else { return nil }
    ways[hop]?[next]?.isPending = false
    let found = known.first { name, way in
      name != next && way.isPending && now <= way.latest + Self.lifetime && now >= way.pauseEnd
    }
    guard let (name, way) = found else { return nil }
    ways[hop]?[name]?.isPending = false
    ways[hop]?[name]?.pauseEnd = now + Self.pause
    return WayTrial(unopened: way.hops, opened: Array(hops))
  }

  private static func names(_ hops: ArraySlice<Upstream>) -> (hop: String, next: String)? {
    guard hops.count > 1 else { return nil }
    return (hops[hops.endIndex - 2].name, hops[hops.endIndex - 1].name)
  }
}

/// What tells whether a hop failed, or the hop before it: two ways to be dialled, which part behind the same hop.
package struct WayTrial: Hashable, Sendable {
  /// The hops up to the one that was not reached.
  package let unopened: [Upstream]
  /// The hops up to another one, which was reached.
  package let opened: [Upstream]
}

extension Standings {
  /// Notes that the last but one of these hops admitted us, was asked to open the way to the last, and gave no answer.
  ///
  /// - Parameter jitter: from 0 up to 1, as for `Standing.fail`.
  package mutating func noteUnopened(_ hops: ArraySlice<Upstream>, at now: Moment, jitter: Double) {
    guard let next = hops.last else { return }
    if self[next].failures > 0 {
      // What is down stays down until it is reached.
      update(next) { $0.fail(at: now, jitter: jitter) }
    } else {
      unopened.add(hops, at: now)
    }
  }

  /// Notes that a connection passed all hops of a chain.
  ///
  /// - Returns: the trial of a way that one of them did not open.
  package mutating func takeTrial(passing chain: Chain, at now: Moment) -> WayTrial? {
    for index in chain.hops.indices.dropFirst() {
      if let trial = unopened.takeTrial(opening: chain.hops[...index], at: now) { return trial }
    }
    return nil
  }
}
