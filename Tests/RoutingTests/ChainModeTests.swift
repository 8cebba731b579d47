import Testing

@testable import Routing

/// Which hops connections pass, by each mode of a chain, counted.
@Suite struct ChainModeTests: Selecting {
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
}
