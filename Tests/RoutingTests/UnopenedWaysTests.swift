import Addresses
import Chance
import Testing

@testable import Routing

/// When a way is tried that a hop did not open, and what the trial leaves behind.
@Suite struct UnopenedWaysTests {
  private static let second: Moment = 1_000_000_000

  private var standings = Standings()
  private let request = Request(to: Endpoint(.loopback4, port: 80))

  private func upstream(_ name: String) -> Upstream {
    Upstream(name: name, endpoint: Endpoint(.loopback4, port: 1))
  }

  private mutating func trial(_ names: String..., at now: Moment) -> WayTrial? {
    var generator = SeededGenerator(seed: 1)
    let hops = names.map(upstream)
    let plan = Plan(.itinerary(Itinerary(hops.map { Itinerary.Position([.upstream($0)]) })))
    return standings.beginTrial(of: hops[...], by: plan, for: request, at: now, using: &generator)
  }

  private mutating func end(_ trial: WayTrial?, at now: Moment) throws {
    standings.end(try #require(trial), hasFailed: true, at: now, jitter: 0.5)
  }

  private func isDown(_ name: String, at now: Moment) -> Bool {
    standings[upstream(name)].isDown(at: now)
  }

  @Test mutating func `a way has one trial at a time, and one in thirty seconds`() throws {
    let first = trial("s", "b", at: Self.second)
    #expect(first?.unopened.map(\.name) == ["s", "b"] && first?.other == nil)
    #expect(trial("s", "b", at: 100 * Self.second) == nil)
    // Others are ways of their own.
    #expect(trial("t", "b", at: Self.second) != nil)
    #expect(trial("o", "s", "c", at: Self.second) != nil)
    try end(first, at: 20 * Self.second)
    #expect(isDown("b", at: 20 * Self.second) && !isDown("s", at: 20 * Self.second))
    #expect(trial("s", "b", at: 30 * Self.second) == nil)
    #expect(trial("s", "b", at: 31 * Self.second) != nil)
  }

  @Test mutating func `the end of an old trial is not the end of a new one`() throws {
    let old = trial("s", "b", at: 1)
    standings.keep([], [])
    let new = trial("s", "b", at: 2)
    try end(old, at: 3)
    #expect(!isDown("b", at: 3))
    try end(new, at: 4)
    #expect(isDown("b", at: 4))
  }

  @Test(arguments: [0, 1, 2, 3] as [Moment])
  mutating func `a hop that a connection passed since the trial began is not down`(moment: Moment) throws {
    let trial = trial("s", "b", at: 2)
    standings.update(upstream("b")) { $0.show(.admission, at: moment) }
    try end(trial, at: 4)
    #expect(isDown("b", at: 4) == (moment < 3))
  }

  @Test mutating func `trials at a time are limited`() {
    let begun = (0..<300).count { trial("s", "b\($0)", at: 1) != nil }
    #expect(begun == 256)
  }
}
