import Addresses
import Routing
import Testing
import Transport

@testable import Proxy

/// What a request's travel by a plan leaves behind in what is known of upstreams.
@Suite struct JourneyTests {
  private let health = Health()
  private let request = Request(to: Endpoint(.loopback4, port: 80))

  private func upstream(_ name: Character) -> Stop {
    .upstream(Upstream(name: String(name), endpoint: Endpoint(.loopback4, port: 1)))
  }

  /// A group whose members are chains of upstreams with names of one letter.
  private func journey(_ members: String..., strategy: Group.Strategy = .failover) -> Journey {
    let stops = members.map { Stop.itinerary(Itinerary($0.map { Itinerary.Position([upstream($0)]) })) }
    let group = Group(name: "g", members: stops.map { Group.Member($0) }, strategy: strategy)
    return Journey(by: Plan(.group(group)), for: request, health: health)
  }

  private func isDown(_ name: String) -> Bool {
    health.standings[name].isDown(at: Deadline.now.nanoseconds)
  }

  private func connections(_ names: String) -> [Int] {
    names.map { health.standings[String($0)].connections }
  }

  @Test func `every hop counts what goes through it for as long as that lasts`() {
    var first: Journey? = journey("ax")
    let second = journey("bx")
    #expect(connections("abx") == [0, 0, 0])
    _ = first?.next()
    _ = second.next()
    #expect(connections("abx") == [1, 1, 2])
    first = nil
    #expect(connections("abx") == [0, 1, 1])
    second.fail(Failure(.hop(0, of: 2, name: "b"), .connect, .closed))
    #expect(connections("abx") == [0, 0, 0])
  }

  @Test func `a way that leads there clears each of its hops`() {
    let trouble = journey("a", "b")
    for name in ["a", "b"] {
      #expect(trouble.next()?.description == name)
      #expect(trouble.fail(Failure(.hop(0, of: 1, name: name), .connect, .closed)))
    }
    #expect(isDown("a") && isDown("b"))
    let journey = journey("ab")
    _ = journey.next()
    journey.arrive()
    #expect(!isDown("a") && !isDown("b"))
  }

  @Test func `what is before the hop that failed has done its part, and what is behind it nothing`() {
    for name in ["a", "c"] {
      let trouble = journey(name)
      _ = trouble.next()
      trouble.fail(Failure(.hop(0, of: 1, name: name), .connect, .closed))
    }
    let journey = journey("abc")
    _ = journey.next()
    journey.fail(Failure(.hop(1, of: 3, name: "b"), .greet, .closed))
    #expect(!isDown("a") && isDown("b") && isDown("c"))
  }

  @Test func `a destination's own refusal ends the travel, and speaks for the hop`() {
    let trouble = journey("a")
    _ = trouble.next()
    trouble.fail(Failure(.hop(0, of: 1, name: "a"), .connect, .closed))
    let journey = journey("a", "b")
    #expect(journey.next()?.description == "b")
    #expect(!journey.fail(Failure(.hop(0, of: 1, name: "b"), .request, .reply(.connectionRefused))))
    let other = self.journey("a")
    _ = other.next()
    #expect(!other.fail(Failure(.hop(0, of: 1, name: "a"), .request, .reply(.hostUnreachable))))
    #expect(!isDown("a") && !isDown("b"))
  }

  @Test func `what is nobody's failure leaves the hop up, and lets another be tried`() {
    let journey = journey("a", "b")
    _ = journey.next()
    #expect(journey.fail(Failure(.hop(0, of: 1, name: "a"), .request, .reply(.generalFailure))))
    #expect(!isDown("a"))
    #expect(journey.next()?.description == "b")
  }

  @Test func `a hop's latency is what it takes to connect and to be admitted, and no more`() {
    let journey = journey("ab")
    _ = journey.next()
    let (first, second) = (Failure.Place.hop(0, of: 2, name: "a"), Failure.Place.hop(1, of: 2, name: "b"))
    for (place, phase, milliseconds) in [
      (first, .connect, 10), (first, .greet, 20), (second, .connect, 5), (second, .authenticate, 2),
      (second, .request, 500),
    ] as [(Failure.Place, Failure.Phase, Int)] {
      journey.note(place, phase, .milliseconds(milliseconds))
    }
    journey.arrive()
    #expect(health.standings["a"].latency == 30e6)
    #expect(health.standings["b"].latency == 7e6)
  }
}
