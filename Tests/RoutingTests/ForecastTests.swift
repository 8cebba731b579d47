import Addresses
import Testing

@testable import Routing

/// What a group would take now.
@Suite struct ForecastTests {
  private static let now: Moment = 5_000_000_000

  private func upstream(_ name: Character) throws -> Stop {
    .upstream(
      Upstream(name: String(name), endpoint: Endpoint(.name(try DomainName("\(name).test")), port: 1080)))
  }

  private func group(_ names: String, _ strategy: Group.Strategy, name: String = "g") throws -> Group {
    Group(name: name, members: try names.map { Group.Member(try upstream($0)) }, strategy: strategy)
  }

  private func forecast(_ group: Group, _ standings: Standings = Standings()) -> String? {
    standings.forecast(group, at: Self.now)?.description
  }

  @Test func `it is what the next connection takes, again and again, and nothing moves`() throws {
    for strategy in [Group.Strategy.failover, .roundRobin, .leastConnections, .fastest] {
      let group = try group("abc", strategy)
      var standings = Standings()
      standings.update("a") { $0.fail(at: Self.now, jitter: 0.5) }
      standings.update("b") { $0.measure(9_000) }
      standings.update("c") { $0.measure(5_000) }
      var generator = NoChance()
      for _ in 0..<4 {
        let foretold = forecast(group, standings)
        #expect(forecast(group, standings) == foretold)
        let taken = standings.choose(
          by: Plan(.group(group)), for: .anything, at: Self.now, using: &generator)
        #expect(taken?.way.description == foretold)
      }
    }
  }

  @Test func `fastest is foretold by its measurements`() throws {
    var standings = Standings()
    for (name, latency) in [("a", 3.0), ("b", 1), ("c", 2)] {
      standings.update(name) { $0.measure(latency) }
    }
    #expect(forecast(try group("abc", .fastest), standings) == "b")
  }

  @Test func `when all are down, the first is tried all the same`() throws {
    var standings = Standings()
    for name in ["a", "b"] { standings.update(name) { $0.fail(at: Self.now, jitter: 0.5) } }
    let group = try group("ab", .failover)
    #expect(forecast(group, standings) == "a")
    #expect(!standings.isUp(.group(group), at: Self.now))
    #expect(standings.isUp(.group(group), at: Self.now + 2_000_000_000))
  }

  @Test func `what chance or the client decides is not foretold, at any depth`() throws {
    #expect(forecast(try group("ab", .random)) == nil)
    #expect(forecast(try group("ab", .sticky(.client))) == nil)
    let inner = Group.Member(.group(try group("ab", .random, name: "inner")))
    #expect(forecast(Group(name: "g", members: [inner])) == nil)
    func chain(_ mode: Itinerary.Mode, _ length: ClosedRange<Int>? = nil) throws -> Group {
      let positions = try "ab".map { Itinerary.Position([try upstream($0)]) }
      return Group(
        name: "g",
        members: [Group.Member(.itinerary(Itinerary(name: "c", positions, mode: mode, length: length)))])
    }
    #expect(forecast(try chain(.random, 1...1)) == nil)
    #expect(forecast(try chain(.roundRobin, 1...2)) == nil)
    #expect(forecast(try chain(.roundRobin, 1...1)) == "a")
    #expect(forecast(try chain(.strict)) == "a,b")
  }
}
