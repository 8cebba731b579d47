import Addresses
import Routing
import Synchronization
import Testing
import Transport

@testable import Proxy

/// What a request's travel by a plan leaves behind in what is known of upstreams.
@Suite struct JourneyTests {
  private let health = Health()
  private let request = Request(to: Endpoint(.loopback4, port: 80))

  private func upstream(_ name: Character) -> Stop { .upstream(proxy(String(name))) }

  private func proxy(_ name: String, port: UInt16 = 1) -> Upstream {
    Upstream(name: name, endpoint: Endpoint(.loopback4, port: port))
  }

  /// A group whose members are chains of upstreams with names of one letter.
  private func journey(_ members: String..., strategy: Group.Strategy = .failover) -> Journey {
    let stops = members.map { Stop.itinerary(Itinerary($0.map { Itinerary.Position([upstream($0)]) })) }
    let group = Group(name: "g", members: stops.map { Group.Member($0) }, strategy: strategy)
    return Journey(by: Plan(.group(group)), for: request, health: health)
  }

  /// A check of a group of these members, which the table has from now on.
  private func check(of names: [Character]) -> Journey.Purpose {
    let group = Group(
      name: "checked", members: names.map { Group.Member(upstream($0)) },
      check: Group.Check(to: request.destination, every: .seconds(60), timeout: .seconds(5)))
    health.keep(names.map { proxy(String($0)) }, [group])
    return .check(of: group, again: .seconds(76), behind: 0)
  }

  private func isDown(_ name: String) -> Bool {
    health.standings[proxy(name)].isDown(at: Deadline.now.nanoseconds)
  }

  private func connections(_ names: String) -> [Int] {
    names.map { health.standings[proxy(String($0))].connections }
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

  private func admitted(_ names: String) -> [Int] {
    names.map { health.standings[proxy(String($0))].admitted }
  }

  @Test func `every hop counts what it has admitted for as long as that is open`() {
    var first: Journey? = journey("axy")
    _ = first?.next()
    #expect(admitted("axy") == [0, 0, 0])
    first?.noteAdmission(ofHop: 1)
    first?.noteAdmission(ofHop: 0)
    #expect(admitted("axy") == [1, 1, 0])
    first?.beginAgain()
    #expect(admitted("axy") == [0, 0, 0])
    first?.noteAdmission(ofHop: 0)
    first?.arrive(showing: .passage)
    let second = journey("x")
    _ = second.next()
    second.noteAdmission(ofHop: 0)
    #expect(admitted("axy") == [1, 2, 1])
    second.fail(Failure(.hop(0, of: 1, name: "x"), .request, .closed))
    #expect(admitted("axy") == [1, 1, 1])
    first = nil
    #expect(admitted("axy") == [0, 0, 0])
  }

  private static let denials: [(Failure.Phase, Failure.Cause)] =
    [(.connect, .system(.connectionReset))]
    + ([.tls, .greet, .authenticate] as [Failure.Phase]).flatMap { phase in
      [.closed, .system(.connectionReset), .system(.brokenPipe), .system(.timedOut)].map { (phase, $0) }
    }

  @Test(arguments: denials)
  func `a hop that denies admission without a word is down only while it has admitted nothing that is open`(
    phase: Failure.Phase, cause: Failure.Cause
  ) {
    let trials = Mutex(0)
    let group = Group(name: "g", members: [Group.Member(upstream("a")), Group.Member(.direct)])
    func dial() -> Journey {
      let journey = Journey(by: Plan(.group(group)), for: request, health: health) { errand in
        if case .trial = errand { trials.withLock { $0 += 1 } }
      }
      #expect(journey.next()?.description == "a")
      return journey
    }
    func fail(_ phase: Failure.Phase, _ cause: Failure.Cause) -> Journey {
      let journey = dial()
      var failure = Failure(.hop(0, of: 1, name: "a"), phase, cause)
      journey.noteFullness(in: &failure)
      journey.fail(failure)
      return journey
    }
    var open: Journey? = dial()
    open?.arrive(showing: .passage)
    for _ in 0..<5 { #expect(fail(phase, cause).next() == nil) }
    #expect(!isDown("a") && trials.withLock { $0 } == 1)
    open = nil
    // A dial that is under way and not admitted does not count.
    let other = dial()
    #expect(fail(phase, cause).next() == .direct)
    #expect(isDown("a"))
    withExtendedLifetime(other) {}
  }

  @Test(
    arguments: [
      (.connect, .system(.connectionRefused)), (.connect, .system(.timedOut)), (.tls, .tls(.notTLS)),
      (.greet, .method(.noneAcceptable)), (.greet, .violation(.version(72))), (.authenticate, .credentials),
    ] as [(Failure.Phase, Failure.Cause)])
  func `a hop that is not connected to, or says why it does not admit us, is down whatever it has admitted`(
    phase: Failure.Phase, cause: Failure.Cause
  ) {
    let open = journey("a")
    _ = open.next()
    open.arrive(showing: .passage)
    let next = journey("a")
    _ = next.next()
    var failure = Failure(.hop(0, of: 1, name: "a"), phase, cause)
    next.noteFullness(in: &failure)
    next.fail(failure)
    #expect(isDown("a"))
    withExtendedLifetime(open) {}
  }

  @Test func `a dial that began before the hop served another connection takes it down no more`() {
    for isUpkeep in [false, true] {
      let health = Health()
      func dial() -> Journey {
        let journey = Journey(by: Plan(upstream("a")), for: request, health: health)
        _ = journey.next()
        return journey
      }
      let late = dial()
      let other = isUpkeep ? Journey(upkeepOf: Chain([proxy("a")]), health: health) : dial()
      _ = other.next()
      if isUpkeep { other.arrive(showing: .admission) } else { other.arrive(showing: .passage) }
      let next = dial()
      let failure = Failure(.hop(0, of: 1, name: "a"), .connect, .system(.timedOut))
      #expect(late.fail(failure))
      #expect(health.standings[proxy("a")].failures == 0)
      next.fail(failure)
      #expect(health.standings[proxy("a")].failures == 1)
    }
  }

  @Test func `a dial that ends without an answer does not tell when the hops before did their part`() {
    let late = journey("a")
    _ = late.next()
    let other = journey("ab")
    _ = other.next()
    other.fail(Failure(.hop(1, of: 2, name: "b"), .connect, .system(.timedOut)))
    late.fail(Failure(.hop(0, of: 1, name: "a"), .connect, .system(.timedOut)))
    #expect(isDown("a"))
  }

  @Test func `what cannot be asked of a hop, and so is not dialled, brings no hop of the chain up`() {
    for cause in [.beyondSOCKS4(.ipv6), .beyondHTTP, .withoutUDP, .noWay] as [Failure.Cause] {
      let health = Health()
      let stops = ["a", "b"].map { Itinerary.Position([.upstream(proxy($0))]) }
      let plan = Plan(.itinerary(Itinerary(stops)))
      for (index, failure) in [
        Failure(.hop(0, of: 2, name: "a"), .connect, .system(.connectionRefused)),
        Failure(.hop(1, of: 2, name: "b"), .request, cause),
      ].enumerated() {
        let journey = Journey(by: plan, for: request, health: health)
        #expect(journey.next()?.description == "a,b", "\(index)")
        journey.fail(failure)
      }
      #expect(health.standings[proxy("a")].failures == 1, "\(cause)")
    }
  }

  /// One whose check fails through one of its own members, for instance.
  @Test func `a group within a group stays up as long as one of its members is`() {
    let inner = Stop.group(Group(name: "inner", members: "ab".map { Group.Member(upstream($0)) }))
    let outer = Plan(
      .group(Group(name: "outer", members: [Group.Member(inner), Group.Member(upstream("c"))])))
    for (name, next) in [("a", "b"), ("b", "c")] {
      let check = Journey(
        by: Plan(inner), for: request, as: check(of: ["a", "b"]), health: health)
      #expect(check.next()?.description == name)
      check.fail(Failure(.hop(0, of: 1, name: name), .request, .reply(.hostUnreachable)), as: .hop)
      let journey = Journey(by: outer, for: request, health: health)
      #expect(journey.next()?.description == next)
    }
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
    journey.arrive(showing: .passage)
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

  @Test(
    arguments: [.reply(.generalFailure), .closed, .system(.timedOut), .status(.badGateway)] as [Failure.Cause]
  )
  func `a request that fails leaves the hop up, and lets another be tried`(cause: Failure.Cause) {
    for _ in 0..<10 {
      let journey = journey("a", "b")
      #expect(journey.next()?.description == "a")
      #expect(journey.fail(Failure(.hop(0, of: 1, name: "a"), .request, cause)))
      #expect(!isDown("a"))
      #expect(journey.next()?.description == "b")
    }
  }

  @Test func `a connection goes direct where the proxy is down, and not where its request failed`() {
    for (phase, isDirect) in [
      (.connect, true), (.tls, true), (.greet, true), (.authenticate, true), (.request, false),
      (.associate, false),
    ] as [(Failure.Phase, Bool)] {
      let health = Health()
      let group = Group(name: "g", members: [Group.Member(upstream("a")), Group.Member(.direct)])
      let journey = Journey(by: Plan(.group(group)), for: request, health: health)
      #expect(journey.next()?.description == "a")
      #expect(journey.fail(Failure(.hop(0, of: 1, name: "a"), phase, .closed)))
      #expect(journey.next() == (isDirect ? .direct : nil), "\(phase)")
      let next = Journey(by: Plan(.group(group)), for: request, health: health)
      #expect(next.next()?.description == (isDirect ? "direct" : "a"), "\(phase)")
    }
  }

  @Test func `requests without an answer take a hop from the client that made them, and from no other`() {
    let group = Group(name: "g", members: [Group.Member(upstream("a")), Group.Member(upstream("b"))])
    func pass(_ client: UInt32, _ destination: UInt32) -> String? {
      let request = Request(
        to: Endpoint(.address(.v4(destination)), port: 80), client: .v4(client))
      let journey = Journey(by: Plan(.group(group)), for: request, health: health)
      let way = journey.next()
      if way?.description == "a" {
        journey.fail(Failure(.hop(0, of: 1, name: "a"), .request, .system(.connectionReset)))
      }
      return way?.description
    }
    #expect((0..<5).map { pass(1, $0) } == ["a", "a", "a", "b", "b"])
    for client in 2...20 as ClosedRange<UInt32> { #expect(pass(client, client) == "a") }
    #expect(!isDown("a"))
  }

  @Test func `a hop that failed is up for others as soon as it admits a connection`() {
    let trouble = journey("a", "b")
    for name in ["a", "b"] {
      _ = trouble.next()
      trouble.fail(Failure(.hop(0, of: 1, name: name), .connect, .closed))
    }
    let journey = journey("ab")
    _ = journey.next()
    #expect(isDown("a") && isDown("b"))
    journey.noteAdmission(ofHop: 0)
    #expect(!isDown("a") && isDown("b"))
    journey.noteAdmission(ofHop: 1)
    #expect(!isDown("b"))
  }

  @Test(arguments: [Ending.dropped, .ours, .warm, .upkeep])
  func `a trial that is given up keeps nobody from the hop, and sends nobody direct`(ending: Ending)
    async throws
  {
    let group = Group(name: "g", members: [Group.Member(upstream("a")), Group.Member(.direct)])
    let next = { [self] in Journey(by: Plan(.group(group)), for: request, health: health) }
    let trouble = next()
    _ = trouble.next()
    trouble.fail(Failure(.hop(0, of: 1, name: "a"), .connect, .closed))
    let pauseEnd = health.pauseEnd(of: Chain([proxy("a")]))
    try await onLoop { loop in try await loop.sleep(until: pauseEnd) }

    var journey: Journey? = next()
    #expect(journey?.next()?.description == "a")
    #expect(isDown("a"))
    switch ending {
    case .dropped: journey = nil
    case .ours: journey?.fail(Failure(.hop(0, of: 1, name: "a"), .connect, .system(.cancelled)))
    case .warm: journey?.noteWarmTunnel()
    case .upkeep: journey?.arrive(showing: .admission)
    }
    #expect(!isDown("a"))
    #expect(next().next()?.description == "a")
    withExtendedLifetime(journey) {}
  }

  enum Ending { case dropped, ours, warm, upkeep }

  @Test func `a request that a hop has taken waits for as long as there is time and no hop is down`() throws {
    let journey = journey("ab", "c")
    _ = journey.next()
    let now = Deadline.now
    #expect(journey.morePatience(at: now) == nil)
    let share = journey.share(until: now + .seconds(30))
    // Half of what was left at some moment between the two.
    #expect(share >= now + .seconds(15) && share <= .after(.seconds(15)))
    #expect(journey.morePatience(at: share) == share + .seconds(1))
    let last = now + .milliseconds(29_500)
    #expect(journey.morePatience(at: last) == now + .seconds(30))
    #expect(journey.morePatience(at: now + .seconds(30)) == nil)
    // Another connection finds out that a hop of the way is down.
    let other = self.journey("b")
    _ = other.next()
    other.fail(Failure(.hop(0, of: 1, name: "b"), .connect, .closed))
    #expect(journey.morePatience(at: Deadline.now) == nil)
  }

  @Test func `ways that are skipped take none of the time`() {
    let journey = journey("a", "b", "c", "d", "e", "f")
    let way = journey.next { chain, _ in
      ["a", "b", "c"].contains(chain.description)
        ? Failure(.hop(0, of: 1, name: chain.description), .relay, .noWay) : nil
    }
    #expect(way?.description == "d")
    #expect(journey.attempts.map(\.way.description) == ["a", "b", "c"])
    let now = Deadline.now
    // Three are left.
    let share = journey.share(until: now + .seconds(30))
    #expect(share > now + .seconds(9) && share < now + .seconds(11))
  }

  @Test func `a way that is skipped begins no trial, keeps from direct, and counts as a use of its group`() {
    let check = Group.Check(to: Endpoint(.loopback4, port: 1), every: .seconds(30), timeout: .seconds(5))
    let group = Group(name: "g", members: [Group.Member(upstream("a")), Group.Member(.direct)], check: check)
    health.keep([proxy("a")], [group])
    let checks = Mutex(0)
    let journey = Journey(by: Plan(.group(group)), for: request, health: health) { _ in
      checks.withLock { $0 += 1 }
    }
    let refusal = Failure(.hop(0, of: 1, name: "a"), .associate, .reply(.generalFailure))
    #expect(journey.next { _, _ in refusal } == nil)
    #expect(connections("a") == [0] && !isDown("a"))
    #expect(checks.withLock { $0 } == 1)
    let lack = Failure(.hop(0, of: 1, name: "a"), .associate, .reply(.commandNotSupported))
    let other = Journey(by: Plan(.group(group)), for: request, health: health)
    #expect(other.next { _, _ in lack } == .direct)
  }

  @Test
  func `a hop that left one request of a client without an answer has its share of the next, and no more`() {
    func journey(of client: Client) -> Journey {
      let group = Group(name: "g", members: [Group.Member(upstream("a")), Group.Member(upstream("b"))])
      let request = Request(to: Endpoint(.loopback4, port: 80), of: client)
      let journey = Journey(by: Plan(.group(group)), for: request, health: health)
      _ = journey.next()
      _ = journey.share(until: .after(.seconds(30)))
      return journey
    }
    let (client, other) = (Client(user: 1), Client(user: 2))
    let first = journey(of: client)
    #expect(first.morePatience(at: .now) != nil)
    first.fail(Failure(.hop(0, of: 1, name: "a"), .request, .system(.timedOut)))
    #expect(journey(of: client).morePatience(at: .now) == nil)
    #expect(journey(of: other).morePatience(at: .now) != nil)
    journey(of: other).arrive(showing: .passage)
    #expect(journey(of: client).morePatience(at: .now) != nil)
  }

  @Test(
    arguments: [
      .reply(.networkUnreachable), .reply(.hostUnreachable), .reply(.connectionRefused), .reply(.ttlExpired),
      .reply(.notAllowed), .reply(.generalFailure), .reply(.commandNotSupported),
      .reply(.addressTypeNotSupported), .socks4Reply(.rejected), .socks4Reply(.identUnreachable),
      .socks4Reply(.identMismatch), .status(.init(rawValue: 401)), .status(.forbidden), .status(.notFound),
      .status(.init(rawValue: 407)), .status(.badGateway), .status(.serviceUnavailable),
      .status(.gatewayTimeout), .closed, .system(.timedOut),
    ] as [Failure.Cause])
  func `a check passes only when its destination is reached, and only that ends its failure`(
    cause: Failure.Cause
  ) {
    let journey = { (purpose: Journey.Purpose) in
      let journey = Journey(
        by: Plan(.itinerary(Itinerary([Itinerary.Position([upstream("a")])]))), for: request, as: purpose,
        health: health)
      _ = journey.next()
      return journey
    }
    let check = check(of: ["a"])
    func fail(_ failure: Failure) {
      journey(check).fail(failure, as: failure.blame(inCheckOf: Chain([proxy("a")]), behind: 0))
    }
    fail(Failure(.hop(0, of: 1, name: "a"), .request, cause))
    #expect(isDown("a"))
    // Neither a tunnel to it nor an answer of its brings it back.
    journey(.upkeep).arrive(showing: .admission)
    #expect(isDown("a"))
    journey(.client).fail(Failure(.hop(0, of: 1, name: "a"), .request, .reply(.hostUnreachable)))
    #expect(isDown("a"))
    // Nor does what it can do without reaching a destination, such as to relay datagrams.
    journey(.client).arrive(showing: .answer)
    #expect(isDown("a"))
    journey(check).arrive(showing: .passage)
    #expect(!isDown("a"))
    // What is ours, or a name server's, is no failure of a member's.
    fail(Failure(.hop(0, of: 1, name: "a"), .connect, .system(.tooManyOpenFiles)))
    fail(Failure(.hop(0, of: 1, name: "a"), .resolve, .resolution(.timedOut)))
    #expect(!isDown("a"))
  }

  @Test func `of several refusals the truest is told, and was the last`() {
    let journey = journey("a", "b", "c")
    for (name, cause) in [
      ("a", .reply(.generalFailure)), ("b", .reply(.commandNotSupported)), ("c", .closed),
    ] as [(String, Failure.Cause)] {
      #expect(journey.next()?.description == name)
      #expect(journey.fail(Failure(.hop(0, of: 1, name: name), .request, cause)))
    }
    #expect(journey.next() == nil)
    #expect(journey.conclude().cause == .reply(.commandNotSupported))
    #expect(journey.attempts.map(\.way.description) == ["a", "c", "b"])
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
    // Another dial of the same way, as datagrams need one for each hop.
    journey.note(first, .connect, .milliseconds(300))
    journey.note(first, .greet, .milliseconds(300))
    journey.arrive(showing: .passage)
    #expect(health.standings[proxy("a")].latency == 30e6)
    #expect(health.standings[proxy("b")].latency == 7e6)
  }

  @Test func `of a dial that is made again the latency is that of the second dial alone`() {
    let journey = journey("a")
    _ = journey.next()
    let place = Failure.Place.hop(0, of: 1, name: "a")
    for (connect, greet) in [(10, 500), (20, 30)] {
      journey.beginAgain()
      journey.note(place, .connect, .milliseconds(connect))
      journey.note(place, .greet, .milliseconds(greet))
    }
    journey.arrive(showing: .passage)
    #expect(health.standings[proxy("a")].latency == 50e6)
  }

  @Test
  func `a reload that gives a name to another proxy makes its health new, and old dials do not spoil it`() {
    let old = [journey("a", "b"), journey("a")]
    for journey in old { #expect(journey.next()?.description == "a") }
    old[0].fail(Failure(.hop(0, of: 1, name: "a"), .connect, .closed))
    #expect(isDown("a"))
    health.keep([proxy("a"), proxy("b")], [])
    #expect(isDown("a"))
    health.keep([proxy("a", port: 2), proxy("b")], [])
    let new = proxy("a", port: 2)
    #expect(!health.standings[new].isDown(at: Deadline.now.nanoseconds))
    // A dial that began before the reload fails after it.
    old[1].fail(Failure(.hop(0, of: 1, name: "a"), .connect, .closed))
    #expect(health.standings[new] == Standing())
    // Back again, it is not what it was either.
    health.keep([proxy("a"), proxy("b")], [])
    #expect(!isDown("a"))
  }
}
