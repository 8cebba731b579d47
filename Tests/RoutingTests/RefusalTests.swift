import Addresses
import Testing

@testable import Routing

@Suite struct RefusalTests {
  private static let inside: Condition = .ip([
    "10.0.0.0/8", "127.0.0.0/8", "192.168.0.0/16", "::1", "fc00::/7",
  ])
  private let table = RouteTable((Self.inside, .reject))

  @Test(
    "T12, T14: an address cannot get around a range by its spelling",
    arguments: [
      "10.77.0.1", "::ffff:10.77.0.1", "::FFFF:a4d:1", "0:0:0:0:0:ffff:10.77.0.1", "::10.77.0.1",
      "64:ff9b::10.77.0.1",
      "64:ff9b:1::10.77.0.1", "2002:a4d:1::", "2002:a4d:1:ffff::1", "2001:0:1:2:3:4:f5b2:fffe", "::1",
      "::127.0.0.1",
      "64:ff9b::7f00:1", "2002:7f00:1::1", "fd00::1",
    ])
  func spelling(text: String) throws {
    let request = try Request(text)
    #expect(table.verdict(for: request).outcome == .reject)
    let address = try #require(IPAddress(text))
    #expect(table.refusal(of: address, for: try Request("rebound.test")) != nil)
  }

  @Test(arguments: [
    "11.0.0.1", "::11.0.0.1", "64:ff9b::11.0.0.1", "2002:b00:1::", "2001:0:a4d:1::", "2001:db8::a4d:1",
  ])
  func `an address that embeds another range is let through`(text: String) throws {
    #expect(table.verdict(for: try Request(text)).outcome == .direct)
    #expect(table.refusal(of: try #require(IPAddress(text)), for: try Request("a.test")) == nil)
  }

  @Test func `only a refusal sees what an address embeds`() throws {
    let hop = Upstream(name: "office", endpoint: try #require(Endpoint("127.0.0.1:9")))
    for outcome: Outcome in [.direct, .chain(Chain([hop]))] {
      #expect(RouteTable((.ip(["10.0.0.0/8"]), outcome)).line(for: try Request("64:ff9b::10.0.0.1")) == nil)
    }
    #expect(RouteTable((.ip(["10.0.0.0/8"]), .drop)).line(for: try Request("64:ff9b::10.0.0.1")) == 1)
    #expect(RouteTable((.host(["10.0.0.1"]), .reject)).line(for: try Request("64:ff9b::10.0.0.1")) == 1)
  }

  @Test func `what an address embeds does not exempt it from a refusal of all others`() throws {
    let table = RouteTable((.not(.ip(["10.0.0.0/8"])), .reject))
    #expect(table.line(for: try Request("10.0.0.1")) == nil)
    #expect(table.line(for: try Request("64:ff9b::10.0.0.1")) == 1)
    #expect(
      table.refusal(of: try #require(IPAddress("64:ff9b::10.0.0.1")), for: try Request("a.test")) != nil)
  }

  @Test("T15: the unspecified addresses are loopback", arguments: ["0.0.0.0", "::"])
  func unspecified(text: String) throws {
    #expect(table.verdict(for: try Request(text)).outcome == .reject)
    let address = try #require(IPAddress(text))
    for name in ["localhost", "localhost.", "LOCALHOST", "ip6-localhost"] {
      #expect(table.refusal(of: address, for: try Request(name)) != nil)
      #expect(table.refusal(of: .loopback4, for: try Request(name)) != nil)
      #expect(table.refusal(of: .loopback6, for: try Request(name)) != nil)
    }
    #expect(RouteTable((.ip([Prefix(address)]), .reject)).line(for: try Request(text)) == 1)
  }

  @Test("T16: a name may resolve to some addresses and not to others")
  func rebinding() throws {
    let request = try Request("rebound.test")
    #expect(table.verdict(for: request).outcome == .direct)
    #expect(table.refusal(of: .v4(0x0a00_0001), for: request)?.line == 1)
    #expect(table.refusal(of: .v4(0x0808_0808), for: request) == nil)
  }

  @Test(
    "T17: a name cannot get around a domain by its spelling",
    arguments: ["evil.test", "EVIL.test", "a.Evil.TEST."])
  func names(text: String) throws {
    #expect(RouteTable((.domain(["evil.test"]), .reject)).line(for: try Request(text)) == 1)
    #expect(RouteTable((.host(["evil.test", "*.evil.test"]), .reject)).line(for: try Request(text)) == 1)
  }

  @Test func `a permission in front of the refusal is heard`() throws {
    let table = RouteTable((.ip(["10.1.0.0/16"]), .direct), (.ip(["10.0.0.0/8"]), .reject))
    #expect(table.refusal(of: .v4(0x0a01_0001), for: try Request("a.test")) == nil)
    #expect(table.refusal(of: .v4(0x0a02_0001), for: try Request("a.test"))?.line == 2)
  }

  @Test func `the other conditions of a refusing route are asked about the name`() throws {
    let table = RouteTable(
      (.all([.ip(["10.0.0.0/8"]), .port([22...22])]), .reject),
      (.all([.domain(["corp.example"]), .ip(["10.0.0.0/8"])]), .direct),
      (.any([.domain(["evil.test"]), .not(.not(.ip(["10.0.0.0/8"])))]), .drop))
    let inside = IPAddress.v4(0x0a00_0001)
    #expect(table.refusal(of: inside, for: try Request("a.test:22"))?.line == 1)
    #expect(table.refusal(of: inside, for: try Request("wiki.corp.example")) == nil)
    #expect(table.refusal(of: inside, for: try Request("a.test"))?.line == 3)
    #expect(table.refusal(of: .v4(0x0808_0808), for: try Request("a.test")) == nil)
  }

  @Test func `routes that do not speak of addresses are not asked again`() throws {
    let table = RouteTable(
      (.port([443...443]), .direct), (.domain(["a.test"]), .reject), (Self.inside, .reject))
    #expect(table.refusal(of: .loopback4, for: try Request("a.test:443"))?.line == 3)
    #expect(table.refusal(of: .v4(0x0808_0808), for: try Request("a.test:80")) == nil)
  }

  @Test func `an address under host refuses a name that resolves to it`() throws {
    let table = RouteTable((.host(["b.test", "10.0.0.1"]), .reject))
    #expect(table.refusal(of: .v4(0x0a00_0001), for: try Request("a.test")) != nil)
    #expect(table.refusal(of: .v4(0x0a00_0002), for: try Request("a.test")) == nil)
  }

  /// Cases of users: `not` around the addresses, an allow-list by address, and what stands beside an address.
  @Test(
    arguments: [
      // A route that held only because the address was unknown no longer decides.
      ([(.not(.ip(["10.0.0.0/8"])), .direct)], .reject, "10.0.0.1", 0),
      ([(.not(.ip(["10.0.0.0/8"])), .direct)], .drop, "10.0.0.1", 0),
      ([(.not(.ip(["10.0.0.0/8"])), .direct)], .reject, "8.8.8.8", nil),
      ([(.all([.port([443...443]), .not(.ip(["10.0.0.0/8"]))]), .direct)], .reject, "10.0.0.1", 0),
      ([(.not(.host(["10.0.0.1", "b.test"])), .direct)], .reject, "10.0.0.1", 0),
      ([(.not(.any([.ip(["10.0.0.0/8"]), .port([25...25])])), .direct)], .reject, "10.0.0.1", 0),
      (
        [(.not(.ip(["10.0.0.0/8"])), .direct), (.port([443...443]), .drop)], .direct, "10.0.0.1", 2
      ),
      // Nor by an address that embeds the one excluded.
      ([(.not(.ip(["10.0.0.0/8"])), .direct)], .reject, "64:ff9b::10.0.0.1", 0),
      ([(.not(.ip(["127.0.0.0/8"])), .direct)], .reject, "0.0.0.0", 0),
      // Not a refusal: as an `ip` route to a chain, it is passed by.
      ([(.not(.ip(["10.0.0.0/8"])), .direct)], .direct, "10.0.0.1", nil),
      // The name is enough for the route, and the address is refused behind it.
      (
        [(.any([.domain(["a.test"]), .ip(["8.0.0.0/8"])]), .direct), (.ip(["10.0.0.0/8"]), .reject)],
        .direct, "10.0.0.1", 2
      ),
      (
        [(.any([.domain(["a.test"]), .ip(["8.0.0.0/8"])]), .direct), (.ip(["10.0.0.0/8"]), .reject)],
        .direct, "8.8.8.8", nil
      ),
      (
        [(.any([.domain(["a.test"]), .ip(["10.1.0.0/16"])]), .direct), (.ip(["10.0.0.0/8"]), .reject)],
        .direct, "10.1.0.1", nil
      ),
      ([(.any([.domain(["a.test"]), .not(.ip(["10.0.0.0/8"]))]), .direct)], .reject, "10.0.0.1", nil),
      // The names of a route do not refuse behind one that lets them pass; its addresses do.
      (
        [(.port([443...443]), .direct), (.any([.domain(["a.test"]), .ip(["10.0.0.0/8"])]), .reject)],
        .direct, "8.8.8.8", nil
      ),
      (
        [(.port([443...443]), .direct), (.any([.domain(["a.test"]), .ip(["10.0.0.0/8"])]), .reject)],
        .direct, "10.0.0.1", 2
      ),
      // A name that is allowed as a name stays so.
      ([(.domain(["a.test"]), .direct)], .reject, "10.0.0.1", nil),
      ([(.domain(["a.test"]), .direct), (.not(.ip(["10.0.0.0/8"])), .direct)], .reject, "10.0.0.1", nil),
    ] as [([(Condition, Outcome)], Outcome, String, Int?)])
  func `a name is refused where the table refuses it with its address`(
    routes: [(Condition, Outcome)], fallback: Outcome, address: String, line: Int?
  ) throws {
    let table = RouteTable(
      routes: routes.enumerated().map { Route(condition: $1.0, outcome: $1.1, source: .test($0 + 1)) },
      fallback: fallback)
    for command in Request.Command.allCases {
      let request = try Request("a.test", command)
      #expect(table.verdict(for: request).outcome == .direct)
      #expect(table.refusal(of: try #require(IPAddress(address)), for: request)?.line == line)
    }
  }

  @Test func `a rewritten port changes nothing about the address, a rewritten host does`() throws {
    func table(_ rewrite: Rewrite, _ condition: Condition) -> RouteTable {
      RouteTable(
        routes: [Route(condition: condition, outcome: .direct, rewrite: rewrite, source: .test(1))],
        fallback: .reject)
    }
    let inside = IPAddress.v4(0x0a00_0001)
    let request = try Request("a.test:80")
    let excluding = Condition.all([.port([80...80]), .not(.ip(["10.0.0.0/8"]))])
    for (rewrite, line) in [
      (Rewrite(host: nil, port: 8080), 0 as Int?), (Rewrite(host: .name("b.test"), port: nil), nil),
    ] {
      let table = table(rewrite, excluding)
      let dialled = request.rewritten(to: table.verdict(for: request).rewritten)
      #expect(table.refusal(of: inside, for: dialled)?.line == line)
      #expect(table.refusal(of: .v4(0x0808_0808), for: dialled) == nil)
    }
  }

  @Test func `an expression that gives up refuses, whatever its route says`() throws {
    let name = String(repeating: "a", count: 60) + ".test"
    let table = RouteTable(
      (.port([80...80]), .direct), (.all([.host(["/(a+)+$/"]), .port([443...444])]), .direct),
      (.any([.host(["/(a+)+$/", "ok.test"]), .ip(["10.0.0.0/8"])]), .direct))
    let verdict = table.verdict(for: try Request("\(name):443"))
    #expect(verdict.outcome == .reject)
    #expect(verdict.gaveUp)
    #expect(verdict.route?.source.line == 2)
    #expect(table.line(for: try Request("\(name):80")) == 1)
    #expect(table.verdict(for: try Request("ok.test:25")).outcome == .direct)
    #expect(!table.verdict(for: try Request("ok.test:25")).gaveUp)
    #expect(table.refusal(of: .v4(0x0808_0808), for: try Request("\(name):25"))?.line == 3)
    #expect(table.refusal(of: .v4(0x0a00_0001), for: try Request("\(name):25")) == nil)
  }
}
