import Addresses
import Chance
import Testing

@testable import Routing

/// Which member of a group connections take, by each strategy, counted.
@Suite struct SelectionTests: Selecting {
  @Test func `failover takes the first that is up`() throws {
    let plan = Plan(.group(try group("abc", .failover)))
    var standings = Standings()
    #expect(try counts(ways(10, by: plan, &standings)) == ["a": 10])
    standings = failing("a")
    #expect(try counts(ways(10, by: plan, &standings)) == ["b": 10])
    standings = failing("ab")
    #expect(try counts(ways(10, by: plan, &standings)) == ["c": 10])
  }

  @Test func `round-robin takes one after the other, and shares evenly what is down`() throws {
    let plan = Plan(.group(try group("abc", .roundRobin)))
    var standings = Standings()
    #expect(try ways(6, by: plan, &standings) == ["a", "b", "c", "a", "b", "c"])
    standings = failing("b")
    #expect(try counts(ways(100, by: plan, &standings)) == ["a": 50, "c": 50])
  }

  @Test func `random takes each as often as its weight says`() throws {
    let plan = Plan(.group(try group("abc", .random, weights: [6, 3, 1])))
    var standings = Standings()
    let taken = try counts(ways(10_000, by: plan, &standings))
    #expect(abs(taken["a", default: 0] - 6000) < 250)
    #expect(abs(taken["b", default: 0] - 3000) < 250)
    #expect(abs(taken["c", default: 0] - 1000) < 250)
    standings = failing("a")
    let others = try counts(ways(10_000, by: plan, &standings))
    #expect(others["a"] == nil)
    #expect(abs(others["b", default: 0] - 7500) < 250)
  }

  // All connections of all loops wait while one chooses.
  @Test func `a random group of 4,096 draws no more than the member that is taken`() throws {
    let members = try (0..<4096).map { Group.Member(.upstream(try upstream("m\($0)")), weight: 1 + $0 % 7) }
    let plan = Plan(.group(Group(name: "g", members: members, strategy: .random)))
    var standings = Standings()
    var generator = CountingGenerator(base: SeededGenerator(seed: 5))
    for number in 1...100 {
      #expect(standings.choose(by: plan, for: try Request("x.test"), at: 1, using: &generator) != nil)
      // A draw that would favour some members is made again.
      #expect(generator.count < number + 10)
    }
    // When all but the last are down, it is the only one drawn.
    for member in members.dropLast() {
      guard case .upstream(let upstream) = member.stop else { continue }
      standings.update(upstream) { $0.fail(at: 1, jitter: 0.5) }
    }
    let count = generator.count
    let way = standings.choose(by: plan, for: try Request("x.test"), at: 2, using: &generator)?.way
    #expect(way?.description == "m4095" && generator.count == count)
  }

  @Test func `fastest tries each once, then takes the one that answers soonest, and now and then another`()
    throws
  {
    let members = try upstreams("abc").map { Group.Member($0) } + [Group.Member(.direct)]
    let plan = Plan(.group(Group(name: "g", members: members, strategy: .fastest)))
    let latencies: [String: Double] = ["a": 30e6, "b": 10e6, "c": 20e6]
    var standings = Standings()
    var generator = SeededGenerator(seed: 1)
    var taken: [String: Int] = [:]
    for number in 0..<3200 {
      let way = standings.choose(by: plan, for: try Request("x.test"), at: 1, using: &generator)?.way
      let name = try #require(way).description
      taken[name, default: 0] += 1
      standings.update(name) { $0.measure(latencies[name] ?? 0) }
      if number == 2 { #expect(taken == ["a": 1, "b": 1, "c": 1]) }
    }
    #expect(taken["b", default: 0] > 3000)
    for name in ["a", "c"] { #expect((2..<100).contains(taken[name, default: 0])) }
  }

  @Test func `while one connection finds out how soon a member answers, others take what is known`() throws {
    let plan = Plan(.group(try group("ab", .fastest)))
    var standings = Standings()
    standings.update("b") { $0.measure(40e6) }
    #expect(try ways(1, by: plan, &standings) == ["a"])
    standings.update("a") { $0.connections = 1 }
    #expect(try counts(ways(100, by: plan, &standings))["b", default: 0] > 90)
    standings.update("a") { $0.measure(20e6) }
    #expect(try counts(ways(100, by: plan, &standings))["a", default: 0] > 90)
  }

  @Test func `least-connections takes the one with the fewest`() throws {
    let plan = Plan(.group(try group("abc", .leastConnections)))
    var standings = Standings()
    standings.update("a") { $0.connections = 5 }
    standings.update("b") { $0.connections = 2 }
    var generator = SeededGenerator(seed: 1)
    for _ in 0..<11 {
      let way = standings.choose(by: plan, for: try Request("x.test"), at: 1, using: &generator)?.way
      standings.update(try #require(way).description) { $0.connections += 1 }
    }
    #expect(["a", "b", "c"].map { standings[$0].connections } == [6, 6, 6])
  }

  @Test func `least-connections takes in turn what has equally few`() throws {
    let plan = Plan(.group(try group("abc", .leastConnections)))
    var standings = Standings()
    #expect(try ways(6, by: plan, &standings) == ["a", "b", "c", "a", "b", "c"])
  }

  @Test(arguments: Group.Key.allCases)
  func `sticky takes the same for the same key, all about equally often`(key: Group.Key) throws {
    let plan = Plan(.group(try group("abcd", .sticky(key))))
    let request: (Int) throws -> Request = { index in
      let number = index % 400
      switch key {
      case .client: return try Request("example.com", client: .v4(UInt32(0x0a00_0000 + number)))
      case .user: return try Request("example.com", user: "user\(number)")
      case .destination: return try Request("host\(number).test")
      }
    }
    var standings = Standings()
    let first = try ways(400, by: plan, &standings, request: request)
    #expect(try ways(400, by: plan, &standings, request: request) == first)
    // Another instance knows nothing of this one, and agrees.
    var others = Standings()
    #expect(try ways(400, by: plan, &others, request: request) == first)
    for count in counts(first).values { #expect(abs(count - 100) < 40) }
    // When one is down, only those that it had go elsewhere, and not all to the same.
    var failed = failing("a")
    let second = try ways(400, by: plan, &failed, request: request)
    #expect(zip(first, second).allSatisfy { $0 == "a" || $0 == $1 })
    #expect(Set(zip(first, second).filter { $0.0 == "a" }.map(\.1)) == ["b", "c", "d"])
  }

  @Test func `rendezvous scores are the same everywhere`() {
    #expect(rendezvousScore(of: "de", for: "192.0.2.7") == 0x7ecd_6734_b21c_d67b)
  }

  @Test func `direct is taken where it is a member, and nowhere else`() throws {
    let members = try upstreams("ab").map { Group.Member($0) }
    var standings = failing("ab")
    let closed = Plan(.group(Group(name: "g", members: members)))
    #expect(try ways(1, by: closed, &standings) == ["a"])
    let open = Plan(.group(Group(name: "g", members: members + [Group.Member(.direct)])))
    #expect(try ways(1, by: open, &standings) == ["direct"])
  }
}
