import Addresses
import Testing

@testable import Routing

/// Where connections go: each strategy and mode, counted.
@Suite struct SelectionTests {
  private static let second: Moment = 1_000_000_000

  private func upstream(_ name: String, udp: Upstream.UDPSupport? = nil) throws -> Upstream {
    Upstream(name: name, endpoint: Endpoint(.name(try DomainName("\(name).test")), port: 1080), udp: udp)
  }

  private func upstreams(_ names: String) throws -> [Stop] {
    try names.map { .upstream(try upstream(String($0))) }
  }

  private func group(_ names: String, _ strategy: Group.Strategy, weights: [Int] = []) throws -> Group {
    let members = try upstreams(names).enumerated().map { index, stop in
      Group.Member(stop, weight: index < weights.count ? weights[index] : 1)
    }
    return Group(name: "g", members: members, strategy: strategy)
  }

  private func itinerary(
    _ names: String, _ mode: Itinerary.Mode, length: ClosedRange<Int>? = nil
  ) throws -> Plan {
    Plan(
      .itinerary(
        Itinerary(
          name: "c", try upstreams(names).map { Itinerary.Position([$0]) }, mode: mode, length: length)))
  }

  /// The way of each of `count` connections, one after the other.
  private func ways(
    _ count: Int, by plan: Plan, _ standings: inout Standings, at now: Moment = second,
    request: (Int) throws -> Request = { _ in try Request("example.com") }
  ) throws -> [String] {
    var generator = SplitMix(state: 7)
    return try (0..<count).map { index in
      let selection = standings.choose(by: plan, for: try request(index), at: now, using: &generator)
      return selection?.way.description ?? "none"
    }
  }

  private func counts(_ ways: [String]) -> [String: Int] {
    ways.reduce(into: [:]) { $0[$1, default: 0] += 1 }
  }

  private func failing(_ names: String, at now: Moment = second) -> Standings {
    var standings = Standings()
    for name in names { standings.update(String(name)) { $0.fail(at: now, jitter: 0.5) } }
    return standings
  }

  // MARK: Groups

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
    var generator = CountingGenerator(base: SplitMix(state: 5))
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
    var generator = SplitMix(state: 1)
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
    var generator = SplitMix(state: 1)
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

  // MARK: Modes

  @Test func `a strict chain passes every position, and each hop once`() throws {
    let inner = Stop.group(try group("ab", .failover))
    let plan = Plan(.itinerary(Itinerary([Itinerary.Position([inner]), Itinerary.Position([inner])])))
    var standings = Standings()
    #expect(try ways(1, by: plan, &standings) == ["a,b"])
    standings = failing("a")
    #expect(try ways(1, by: plan, &standings) == ["b,a"])
  }

  @Test func `a dynamic chain leaves out what is down, but not all of it`() throws {
    let plan = try itinerary("abc", .dynamic)
    for (down, way) in [("", "a,b,c"), ("b", "a,c"), ("ac", "b"), ("abc", "a,b,c")] {
      var standings = failing(down)
      #expect(try ways(1, by: plan, &standings) == [way])
    }
  }

  @Test func `an optional position is left out when nothing in it is up, and only then`() throws {
    let position = Itinerary.Position(try upstreams("ab"), isOptional: true)
    let exit = Itinerary.Position(try upstreams("c"))
    let plan = Plan(.itinerary(Itinerary([position, exit])))
    for (down, way) in [("", "a,c"), ("a", "b,c"), ("ab", "c"), ("c", "a,c"), ("abc", "a,c")] {
      var standings = failing(down)
      #expect(try ways(1, by: plan, &standings) == [way], "\(down)")
    }
    // That it carries no UDP does not mean that it is down.
    let deaf = Itinerary.Position([.upstream(try upstream("d", udp: .no))], isOptional: true)
    var standings = Standings()
    let datagram = try Request("example.com", .udp)
    let udp = Plan(.itinerary(Itinerary([deaf, exit])))
    #expect(!udp.mayCarryUDP)
    #expect(try ways(1, by: udp, &standings, request: { _ in datagram }) == ["none"])
  }

  @Test func `a random chain takes as many as it should, each equally often, in any order`() throws {
    let plan = try itinerary("abcd", .random, length: 2...3)
    var standings = Standings()
    let taken = try ways(12_000, by: plan, &standings)
    let two = counts(taken.filter { $0.utf8.count == 3 })
    let three = counts(taken.filter { $0.utf8.count == 5 })
    #expect(two.count == 12 && two.values.allSatisfy { abs($0 - 500) < 120 })
    #expect(three.count == 24 && three.values.allSatisfy { abs($0 - 250) < 90 })
    standings = failing("a")
    #expect(try ways(100, by: plan, &standings).allSatisfy { !$0.contains("a") })
    standings = failing("abc")
    #expect(try ways(100, by: plan, &standings).allSatisfy { (3...5).contains($0.utf8.count) })
  }

  @Test func `a round-robin chain begins where the one before has ended`() throws {
    let plan = try itinerary("abcde", .roundRobin, length: 2...2)
    var standings = Standings()
    #expect(try ways(6, by: plan, &standings) == ["a,b", "c,d", "e,a", "b,c", "d,e", "a,b"])
    standings = failing("c")
    #expect(try ways(3, by: plan, &standings) == ["a,b", "d,e", "a,b"])
  }

  // MARK: Going on

  @Test func `what failed a connection is not tried again the same way`() throws {
    let entries = Itinerary.Position(try upstreams("ab"))
    let exits = Itinerary.Position(try upstreams("xy"))
    let plan = Plan(.itinerary(Itinerary([entries, exits])))
    var standings = Standings()
    var generator = SplitMix(state: 1)
    var detours = Detours()
    var tried: [String] = []
    while let selection = standings.choose(
      by: plan, for: try Request("x.test"), avoiding: detours, at: 1, using: &generator)
    {
      guard case .chain(let chain) = selection.way else { break }
      tried.append(chain.description)
      // The last hop is never reached.
      detours.add(chain.hops, isOut: true)
    }
    #expect(tried == ["a,x", "a,y", "b,x", "b,y"])
  }

  @Test func `a hop that failed a connection is passed last, whatever leads to it`() throws {
    let roads = ["ax", "bx", "c"].map { names in
      Stop.itinerary(Itinerary((try? upstreams(names))?.map { Itinerary.Position([$0]) } ?? []))
    }
    let plan = Plan(.group(Group(name: "g", members: roads.map { Group.Member($0) })))
    var standings = Standings()
    var generator = SplitMix(state: 1)
    var detours = Detours()
    var tried: [String] = []
    while let selection = standings.choose(
      by: plan, for: try Request("x.test"), avoiding: detours, at: 1, using: &generator)
    {
      guard case .chain(let chain) = selection.way else { break }
      tried.append(chain.description)
      detours.add(chain.hops, isOut: true)
    }
    #expect(tried == ["a,x", "c", "b,x"])
  }

  @Test func `a chain of many groups that exclude each other ends`() throws {
    let stops = Stop.group(try group("abcdefghij", .failover))
    let plan = Plan(.itinerary(Itinerary((0..<11).map { _ in Itinerary.Position([stops]) })))
    var standings = Standings()
    #expect(try ways(1, by: plan, &standings) == ["none"])
  }

  @Test func `datagrams take only what carries them`() throws {
    let members = [try upstream("a", udp: .no), try upstream("b")].map { Group.Member(.upstream($0)) }
    let plan = Plan(.group(Group(name: "g", members: members)))
    var standings = Standings()
    let datagram = try Request("example.com", .udp)
    #expect(plan.mayCarryUDP)
    #expect(try ways(1, by: plan, &standings, request: { _ in datagram }) == ["b"])
    #expect(try ways(1, by: plan, &standings) == ["a"])
  }

  @Test func `nobody goes direct for a proxy that is up, whatever it did to this connection`() throws {
    let stops = try upstreams("ab")
    for strategy in [Group.Strategy.failover, .roundRobin, .random, .fastest, .leastConnections] {
      for members in [stops + [.direct], [stops[0], .direct, stops[1]], [.direct] + stops] {
        let plan = Plan(
          .group(Group(name: "g", members: members.map { Group.Member($0) }, strategy: strategy)))
        for isDown in [false, true] {
          var standings = Standings()
          var generator = SplitMix(state: 3)
          var detours = Detours()
          detours.add(Self.hops(of: stops[0]), isOut: isDown)
          let way = standings.choose(
            by: plan, for: try Request("x.test"), avoiding: detours, at: 1, using: &generator)?.way
            .description
          let mayGoDirect = isDown && members[1] != stops[1] || isDown && strategy != .failover
          #expect(
            way == "b" || way == "direct" && mayGoDirect, "\(strategy) \(members) \(isDown) \(way ?? "")")
          // The other one is no way out either.
          detours.add(Self.hops(of: stops[1]), isOut: isDown)
          let last = standings.choose(
            by: plan, for: try Request("x.test"), avoiding: detours, at: 1, using: &generator)?.way
            .description
          #expect(last == (isDown ? "direct" : nil))
        }
      }
    }
  }

  private static func hops(of stop: Stop) -> [Upstream] { stop.upstreams }

  @Test func `fastest takes direct only while no proxy is up, from the first connection on`() throws {
    let stops = try upstreams("ab")
    let inner = Stop.group(
      Group(name: "inner", members: [Group.Member(.direct), Group.Member(stops[1])]))
    for members in [[Stop.direct] + stops, [stops[0], .direct], [inner, stops[0]], [stops[0], inner]] {
      let plan = Plan(.group(Group(name: "g", members: members.map { Group.Member($0) }, strategy: .fastest)))
      var standings = Standings()
      var generator = SplitMix(state: 5)
      for number in 0..<2000 {
        let way = standings.choose(by: plan, for: try Request("x.test"), at: 1, using: &generator)?.way
        let name = try #require(way).description
        #expect(name != "direct", "connection \(number)")
        // The first ones are on their way for long.
        standings.update(name) { $0.connections += 1 }
        if number > 50 { standings.update(name) { $0.measure(name == "a" ? 9e9 : 1e6) } }
      }
      for name in ["a", "b"] { standings.update(name) { $0.fail(at: 1, jitter: 0) } }
      #expect(
        standings.choose(by: plan, for: try Request("x.test"), at: 1, using: &generator)?.way == .direct)
    }
    // What cannot carry datagrams is not in their way.
    let deaf = Stop.upstream(try upstream("d", udp: .no))
    let plan = Plan(
      .group(Group(name: "g", members: [Group.Member(deaf), Group.Member(.direct)], strategy: .fastest)))
    var standings = Standings()
    let datagram = try Request("x.test", .udp)
    #expect(try ways(1, by: plan, &standings, request: { _ in datagram }) == ["direct"])
  }

  @Test func `a client whose requests a proxy did not answer takes another proxy, and others do not`() throws
  {
    let plan = Plan(
      .group(
        Group(
          name: "g", members: try upstreams("ab").map { Group.Member($0) } + [Group.Member(.direct)])))
    var standings = Standings()
    let (client, other) = (IPAddress.v4(0x0a00_0001), IPAddress.v4(0x0a00_0002))
    for number in 0..<3 {
      let host = Host.name(try DomainName("h\(number).test"))
      standings.update("a") { $0.doubt(of: Client(at: client), for: host, at: 1) }
    }
    let request: (IPAddress?) throws -> Request = { try Request("x.test", client: $0) }
    #expect(try ways(2, by: plan, &standings, request: { _ in try request(client) }) == ["b", "b"])
    #expect(try ways(1, by: plan, &standings, request: { _ in try request(other) }) == ["a"])
    #expect(try ways(1, by: plan, &standings, request: { _ in try request(nil) }) == ["a"])
    // Doubt leads to other proxies, and not around them.
    standings.update("b") { $0.fail(at: Self.second, jitter: 0) }
    #expect(try ways(1, by: plan, &standings, request: { _ in try request(client) }) == ["a"])
    standings.update("a") { $0.show(.answer) }
    standings.update("b") { $0.show(.passage) }
    #expect(try ways(1, by: plan, &standings, request: { _ in try request(client) }) == ["a"])
  }

  @Test func `with a check, fastest goes by the whole way that the check measured`() throws {
    let members = try upstreams("abc").map { Group.Member($0) }
    let check = { (port: UInt16) in
      Group.Check(to: Endpoint(.loopback4, port: port), every: .seconds(30), timeout: .seconds(5))
    }
    let group = Group(name: "g", members: members, strategy: .fastest, check: check(80))
    var standings = Standings()
    // The nearest proxy has the longest way.
    for (name, latency) in [("a", 1e6), ("b", 20e6), ("c", 30e6)] {
      standings.update(name) { $0.measure(latency) }
    }
    for (member, time) in zip(members, [400e6, 50e6]) {
      standings.measure(time, to: member.stop, of: group)
    }
    #expect(try counts(ways(200, by: Plan(.group(group)), &standings)) == ["b": 200])
    standings.measure(10e6, to: members[2].stop, of: group)
    #expect(try counts(ways(200, by: Plan(.group(group)), &standings)) == ["c": 200])
    // The times of another check are not this one's.
    let changed = Group(name: "g", members: members, strategy: .fastest, check: check(443))
    #expect(try counts(ways(200, by: Plan(.group(changed)), &standings))["a", default: 0] > 150)
  }

  // MARK: Trials

  @Test func `after its pause one connection tries it, and others wait for what comes of that`() throws {
    let plan = Plan(.group(try group("ab", .failover)))
    var standings = failing("a")
    let later = Self.second * 3
    #expect(try ways(3, by: plan, &standings, at: later) == ["a", "b", "b"])
    standings.update("a") { $0.show(.passage) }
    #expect(try ways(2, by: plan, &standings, at: later) == ["a", "a"])
  }

  @Test func `a connection that gives its trial up lets the next one try, and ends no other's trial`() throws
  {
    let (alone, plan) = (Plan(.group(try group("a", .failover))), Plan(.group(try group("ab", .failover))))
    var standings = failing("a")
    var now = Self.second * 3
    func choose(_ plan: Plan, _ standings: inout Standings) throws -> Selection {
      var generator = SplitMix(state: 7)
      now += 1
      let selection = standings.choose(
        by: plan, for: try Request("example.com"), at: now, using: &generator)
      return try #require(selection)
    }
    let first = try choose(plan, &standings)
    #expect(first.way.description == "a" && first.isTrial && first.trials.count == 1)
    // For this one nothing else is left. Its end is not the end of the trial.
    let other = try choose(alone, &standings)
    #expect(other.way.description == "a" && other.isTrial && other.trials.isEmpty)
    standings.end(other.trials)
    #expect(try choose(plan, &standings).way.description == "b")
    standings.end(first.trials)
    #expect(try choose(plan, &standings).way.description == "a")
    // Nor does a trial end that has begun since.
    standings.end(first.trials)
    #expect(try choose(plan, &standings).way.description == "b")
  }
}

/// Counts the random numbers that are taken.
private struct CountingGenerator: RandomNumberGenerator {
  var base: SplitMix
  var count = 0

  mutating func next() -> UInt64 {
    count += 1
    return base.next()
  }
}

/// Sebastiano Vigna's splitmix64.
struct SplitMix: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var value = state
    value = (value ^ value >> 30) &* 0xbf58_476d_1ce4_e5b9
    value = (value ^ value >> 27) &* 0x94d0_49bb_1331_11eb
    return value ^ value >> 31
  }
}
