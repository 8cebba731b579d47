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
    #expect(table.refusal(of: .v4(0x0a00_0001), for: request)?.source.line == 1)
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
    #expect(table.refusal(of: .v4(0x0a02_0001), for: try Request("a.test"))?.source.line == 2)
  }

  @Test func `the other conditions of a refusing route are asked about the name`() throws {
    let table = RouteTable(
      (.all([.ip(["10.0.0.0/8"]), .port([22...22])]), .reject),
      (.all([.domain(["corp.example"]), .ip(["10.0.0.0/8"])]), .direct),
      (.any([.domain(["evil.test"]), .not(.not(.ip(["10.0.0.0/8"])))]), .drop))
    let inside = IPAddress.v4(0x0a00_0001)
    #expect(table.refusal(of: inside, for: try Request("a.test:22"))?.source.line == 1)
    #expect(table.refusal(of: inside, for: try Request("wiki.corp.example")) == nil)
    #expect(table.refusal(of: inside, for: try Request("a.test"))?.source.line == 3)
    #expect(table.refusal(of: .v4(0x0808_0808), for: try Request("a.test")) == nil)
  }

  @Test func `routes that do not speak of addresses are not asked again`() throws {
    let table = RouteTable(
      (.port([443...443]), .direct), (.domain(["a.test"]), .reject), (Self.inside, .reject))
    #expect(table.refusal(of: .loopback4, for: try Request("a.test:443"))?.source.line == 3)
    #expect(table.refusal(of: .v4(0x0808_0808), for: try Request("a.test:80")) == nil)
  }

  @Test func `an address under host refuses a name that resolves to it`() throws {
    let table = RouteTable((.host(["b.test", "10.0.0.1"]), .reject))
    #expect(table.refusal(of: .v4(0x0a00_0001), for: try Request("a.test")) != nil)
    #expect(table.refusal(of: .v4(0x0a00_0002), for: try Request("a.test")) == nil)
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
    #expect(table.refusal(of: .v4(0x0808_0808), for: try Request("\(name):25"))?.source.line == 3)
    #expect(table.refusal(of: .v4(0x0a00_0001), for: try Request("\(name):25")) == nil)
  }
}
