import Addresses
import Routing
import Testing
import Transport

@testable import Proxy

/// Whose failure it is when a hop does not open the way to the next one, and when a check fails before its group.
@Suite struct UnopenedWaysTests {
  private let health = Health()
  private let request = Request(to: Endpoint(.loopback4, port: 80))

  private func proxy(_ name: String) -> Upstream {
    Upstream(name: name, endpoint: Endpoint(.loopback4, port: 1))
  }

  /// Of upstreams with names of one letter.
  private func chain(_ names: String) -> Stop {
    .itinerary(Itinerary(names.map { Itinerary.Position([.upstream(proxy(String($0)))]) }))
  }

  private func isDown(_ name: String) -> Bool {
    health.standings[proxy(name)].isDown(at: Deadline.now.nanoseconds)
  }

  /// Of a hop that closes instead of opening the way to the next one.
  private func unopened(_ index: Int, of count: Int, _ name: String) -> Failure {
    Failure(.hop(index, of: count, name: name), .request, .closed)
  }

  /// `s` is an entry that opens the way to `c`, and not to `b`.
  private func groupBehindEntry() -> Group {
    Group(name: "g", members: [chain("sb"), chain("sc"), .direct].map { Group.Member($0) })
  }

  @Test
  func `where an entry does not open the way to a hop, another is tried, and nothing goes direct`() {
    let journey = Journey(by: Plan(.group(groupBehindEntry())), for: request, health: health)
    for (way, name) in [("s,b", "s"), ("s,c", "s")] {
      #expect(journey.next()?.description == way)
      #expect(journey.fail(unopened(0, of: 2, name)))
    }
    #expect(journey.next() == nil)
    #expect(!isDown("s") && !isDown("b") && !isDown("c"))
  }

  @Test func `a way around an entry that does not open one is taken before another way through it`() {
    let ways = [chain("sb"), chain("sc"), chain("d")].map { Group.Member($0) }
    let journey = Journey(
      by: Plan(.group(Group(name: "g", members: ways))), for: request, health: health)
    var tried: [String?] = []
    for index in 0..<3 {
      tried.append(journey.next()?.description)
      journey.fail(
        index == 1 ? Failure(.hop(0, of: 1, name: "d"), .connect, .closed) : unopened(0, of: 2, "s"))
    }
    #expect(tried == ["s,b", "d", "s,c"])
  }

  @Test func `a check's pause is for members, and not for the hops before the group`() {
    let group = Group(
      name: "g", members: [Group.Member(chain("ab"))],
      check: Group.Check(to: request.destination, every: .seconds(60), timeout: .seconds(5)))
    health.keep("oab".map { proxy(String($0)) }, [group])
    let check = { (failure: Failure) in
      let journey = Journey(
        by: Plan(self.chain("oab")), for: self.request, as: .check(of: group, again: .seconds(76), behind: 1),
        health: self.health)
      guard case .chain(let chain)? = journey.next() else { return }
      journey.fail(failure, as: failure.blame(inCheckOf: chain, behind: 1))
    }
    let pauseEnd = { self.health.standings[self.proxy($0)].pauseEnd }
    let start = Deadline.now.nanoseconds
    // A name server's failure is nobody's.
    for index in 0..<3 {
      check(Failure(.hop(index, of: 3, name: ""), .resolve, .resolution(.timedOut)))
    }
    #expect(pauseEnd("o") == 0 && pauseEnd("a") == 0 && pauseEnd("b") == 0)
    check(Failure(.hop(0, of: 3, name: "o"), .connect, .closed))
    #expect(isDown("o") && pauseEnd("a") == 0)
    #expect(pauseEnd("o") <= Deadline.now.nanoseconds + 1_250_000_000)
    // It did not open the way to the member.
    check(unopened(0, of: 3, "o"))
    #expect(pauseEnd("a") >= start + 60_000_000_000 && pauseEnd("b") == 0)
    check(unopened(1, of: 3, "a"))
    #expect(pauseEnd("b") >= start + 60_000_000_000)
    #expect(pauseEnd("o") <= Deadline.now.nanoseconds + 1_250_000_000)
  }
}
