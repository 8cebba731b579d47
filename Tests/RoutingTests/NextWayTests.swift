import Addresses
import Chance
import Synchronization
import Testing

@testable import Routing

/// Which way a connection takes when others have failed, or are on trial.
@Suite struct NextWayTests: Selecting {
  @Test func `what failed a connection is not tried again the same way`() throws {
    let entries = Itinerary.Position(try upstreams("ab"))
    let exits = Itinerary.Position(try upstreams("xy"))
    let plan = Plan(.itinerary(Itinerary([entries, exits])))
    #expect(try tried(by: plan) == ["a,x", "a,y", "b,x", "b,y"])
  }

  /// The chains that are taken in turn when the last hop of each is not reached.
  private func tried(by plan: Plan) throws -> [String] {
    var standings = Standings()
    var generator = SeededGenerator(seed: 1)
    var detours = Detours()
    var tried: [String] = []
    while let selection = standings.choose(
      by: plan, for: try Request("x.test"), avoiding: detours, at: 1, using: &generator)
    {
      guard case .chain(let chain) = selection.way else { break }
      tried.append(chain.description)
      detours.add(chain.hops, isOut: true)
    }
    return tried
  }

  @Test func `a hop that failed a connection is passed last, whatever leads to it`() throws {
    let roads = ["ax", "bx", "c"].map { names in
      Stop.itinerary(Itinerary((try? upstreams(names))?.map { Itinerary.Position([$0]) } ?? []))
    }
    let plan = Plan(.group(Group(name: "g", members: roads.map { Group.Member($0) })))
    #expect(try tried(by: plan) == ["a,x", "c", "b,x"])
  }

  @Test func `a chain of many groups that exclude each other ends`() throws {
    let stops = Stop.group(try group("abcdefghij", .failover))
    let plan = Plan(.itinerary(Itinerary((0..<11).map { _ in Itinerary.Position([stops]) })))
    var standings = Standings()
    #expect(try ways(1, by: plan, &standings) == ["none"])
  }

  @Test(arguments: [Group.Strategy.failover, .roundRobin, .random, .fastest, .leastConnections])
  func `a thousand members with obstacles are passed over in one search`(strategy: Group.Strategy) throws {
    let members = try (0..<1000).map { Group.Member(.upstream(try upstream("m\($0)"))) }
    let counts = Mutex((gradings: 0, ways: 0))
    // Nothing is known of any, so that each grading asks for it.
    var standings = Standings { _ in
      counts.withLock { $0.gradings += 1 }
      return Standing()
    }
    let plan = Plan(.group(Group(name: "g", members: members, strategy: strategy)))
    var generator = SeededGenerator(seed: 1)
    for last in [nil, "m77"] {
      counts.withLock { $0 = (0, 0) }
      var detours = Detours()
      let way = standings.choose(
        by: plan, for: try Request("x.test", .udp), avoiding: &detours,
        unless: { selection, _, detours in
          counts.withLock { $0.ways += 1 }
          guard selection.way.description != last, case .chain(let chain) = selection.way else {
            return false
          }
          detours.add(chain.hops, isOut: true)
          return true
        }, at: 1, using: &generator)?.way.description
      #expect(way == last)
      #expect(counts.withLock { $0.ways } < 1100)
      #expect(counts.withLock { $0.gradings } < 20_000)
    }
  }

  /// Whether a way leads nowhere in a random world, in which some hops carry no datagrams, or are down.
  private func isObstructed(_ way: Way, _ detours: inout Detours, _ world: UInt64) -> Bool {
    guard case .chain(let chain) = way else { return false }
    for (index, hop) in chain.hops.enumerated() {
      var generator = SeededGenerator(seed: world ^ rendezvousScore(of: hop.name, for: ""))
      guard Int.random(in: 0..<3, using: &generator) == 0 else { continue }
      let isOut = Int.random(in: 0..<4, using: &generator) > 0
      let isDown = isOut && Bool.random(using: &generator)
      detours.add(chain.hops.prefix(index + 1), isOut: isOut, isDown: isDown)
      return true
    }
    return false
  }

  private func randomStop(_ depth: Int, _ generator: inout SeededGenerator) throws -> Stop {
    let kind = depth == 0 ? 0 : Int.random(in: 0..<3, using: &generator)
    if kind == 0 { return try upstreams(String("abcdef".randomElement(using: &generator) ?? "a"))[0] }
    if kind == 1 {
      let positions = try (0..<Int.random(in: 1...2, using: &generator)).map { _ in
        let choices = try (0..<Int.random(in: 1...2, using: &generator)).map { _ in
          try randomStop(depth - 1, &generator)
        }
        return Itinerary.Position(choices, isOptional: Bool.random(using: &generator))
      }
      return .itinerary(Itinerary(positions))
    }
    let members = try (0..<Int.random(in: 1...4, using: &generator)).map { _ in
      Group.Member(try randomStop(depth - 1, &generator))
    }
    return .group(Group(name: "g\(depth)", members: members))
  }

  @Test(arguments: [freshSeed])
  func `ways with obstacles are passed over as if each had been tried`(seed: UInt64) throws {
    var generator = SeededGenerator(seed: seed)
    for round in 0..<5_000 {
      let isFlat = Bool.random(using: &generator)
      let depth = isFlat ? 0 : 2
      let isDirect = Bool.random(using: &generator)
      let members =
        try (0..<(isFlat ? 5 : 2)).map { _ in try randomStop(depth, &generator) }
        + (isDirect ? [.direct] : [])
      let plan = Plan(.group(Group(name: "g", members: members.map { Group.Member($0) })))
      let down = Set("abcdef".filter { _ in Int.random(in: 0..<4, using: &generator) == 0 })
      var standings = failing(String(down))
      var naive = standings
      let world = generator.next()
      var (one, other) = (SeededGenerator(seed: world), SeededGenerator(seed: world))
      var detours = Detours()
      let way = standings.choose(
        by: plan, for: try Request("x.test"), avoiding: &detours,
        unless: { selection, _, detours in isObstructed(selection.way, &detours, world) }, at: 1, using: &one
      )?.way
      detours = Detours()
      var expected: Way?
      while let next = naive.choose(
        by: plan, for: try Request("x.test"), avoiding: detours, at: 1, using: &other)
      {
        guard isObstructed(next.way, &detours, world) else {
          expected = next.way
          break
        }
      }
      // One search may find out of more ways than it needed to, and so that `direct` may not be taken.
      let isRight =
        isFlat
        ? way == expected
        : way.map { isObstructed($0, &detours, world) } != true
          && (expected == .direct
            || way != .direct && (way == nil) == (expected == nil)
              && (!passes(way, down) || passes(expected, down)))
      guard isRight else {
        Issue.record("round \(round): \(members) with \(down) down: \(way as Way?), not \(expected as Way?)")
        return
      }
    }
  }

  private func passes(_ way: Way?, _ names: Set<Character>) -> Bool {
    guard case .chain(let chain)? = way else { return false }
    return chain.hops.contains { hop in names.contains { hop.name == String($0) } }
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
          var generator = SeededGenerator(seed: 3)
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

  @Test(arguments: [Group.Strategy.fastest, .leastConnections])
  func `fastest and least-connections take direct only while no proxy is up, from the first connection on`(
    strategy: Group.Strategy
  ) throws {
    let stops = try upstreams("ab")
    let inner = Stop.group(
      Group(name: "inner", members: [Group.Member(.direct), Group.Member(stops[1])]))
    for members in [[Stop.direct] + stops, [stops[0], .direct], [inner, stops[0]], [stops[0], inner]] {
      let plan = Plan(.group(Group(name: "g", members: members.map { Group.Member($0) }, strategy: strategy)))
      var standings = Standings()
      var generator = SeededGenerator(seed: 5)
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
      .group(Group(name: "g", members: [Group.Member(deaf), Group.Member(.direct)], strategy: strategy)))
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
      var generator = SeededGenerator(seed: 7)
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
