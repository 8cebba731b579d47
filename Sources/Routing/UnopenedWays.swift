/// Hops that did not open the way to the next hop when they were asked to, and gave no answer.
///
/// One such event does not tell which of the two failed. The next hop failed when the hop before it does so several times
/// in a row, and opens the way to another hop afterwards.
struct UnopenedWays: Sendable {
  private struct Tally: Sendable {
    let next: Upstream
    var count = 0
    var latest: Moment
  }

  /// By the name of the hop that was asked, and of the next.
  private var tallies: [String: [String: Tally]] = [:]

  /// So many in a row are evidence, once another way is opened.
  private static let enough = 3
  /// Older events do not count: 5 minutes.
  private static let lifetime: Moment = 300_000_000_000
  /// The next hops that are remembered for each hop.
  private static let most = 64

  /// Adds that `hop` did not open the way to `next`.
  mutating func add(_ hop: Upstream, to next: Upstream, at now: Moment) {
    var ways = tallies[hop.name, default: [:]]
    var tally = ways[next.name] ?? Tally(next: next, latest: now)
    if now > tally.latest + Self.lifetime { tally.count = 0 }
    tally.count = min(tally.count + 1, Self.enough)
    tally.latest = now
    if ways[next.name] == nil, ways.count >= Self.most {
      ways = ways.filter { now <= $0.value.latest + Self.lifetime }
      guard ways.count < Self.most else { return }
    }
    ways[next.name] = tally
    tallies[hop.name] = ways
  }

  /// Notes that `hop` opened the way to `next`.
  ///
  /// - Returns: the other hops to which it did not, often enough: those have failed. What was known of them is forgotten.
  mutating func takeFailed(by hop: Upstream, opening next: Upstream, at now: Moment) -> [Upstream] {
    guard var ways = tallies[hop.name] else { return [] }
    ways[next.name] = nil
    let failed = ways.values.filter { $0.count >= Self.enough && now <= $0.latest + Self.lifetime }.map(
      \.next)
    for upstream in failed { ways[upstream.name] = nil }
    tallies[hop.name] = ways.isEmpty ? nil : ways
    return failed
  }
}

extension Standings {
  /// Notes that `hop` admitted us, was asked to open the way to `next`, and gave no answer.
  ///
  /// - Parameter jitter: from 0 up to 1, as for `Standing.fail`.
  package mutating func noteUnopened(_ hop: Upstream, to next: Upstream, at now: Moment, jitter: Double) {
    unopened.add(hop, to: next, at: now)
    // What is down stays down until it is reached.
    update(next) { if $0.failures > 0 { $0.fail(at: now, jitter: jitter) } }
  }

  /// Notes that `hop` opened the way to `next`.
  ///
  /// - Parameter jitter: from 0 up to 1, as for `Standing.fail`.
  package mutating func noteOpened(_ hop: Upstream, to next: Upstream, at now: Moment, jitter: Double) {
    for failed in unopened.takeFailed(by: hop, opening: next, at: now) {
      update(failed) { $0.fail(at: now, jitter: jitter) }
    }
  }
}
