import Addresses
import Testing

@testable import Routing

@Suite struct RewriteTests {
  private static func route(
    _ line: Int, _ condition: Condition, _ outcome: Outcome = .direct, _ host: String? = nil,
    _ port: UInt16? = nil
  ) throws -> Route {
    let rewrite =
      host == nil && port == nil
      ? nil : Rewrite(host: try host.map { try Host(nameField: Array($0.utf8)) }, port: port)
    return Route(
      condition: .all([condition, .command([.connect])]), outcome: outcome, rewrite: rewrite,
      source: .test(line))
  }

  @Test(
    arguments: [
      (nil, nil, "a.test:80"), ("b.test", nil, "b.test:80"), (nil, 443, "a.test:443"),
      ("b.test", 443, "b.test:443"), ("192.0.2.1", 443, "192.0.2.1:443"),
      ("2001:db8::1", nil, "[2001:db8::1]:80"),
    ] as [(String?, UInt16?, String)])
  func `a host, a port or both take their places`(host: String?, port: UInt16?, dialled: String) throws {
    let table = RouteTable(
      routes: [try Self.route(1, .domain(["test"]), .direct, host, port)], fallback: .reject)
    let verdict = table.verdict(for: try Request("a.test:80"))
    #expect(verdict.rewritten?.description == (host == nil && port == nil ? nil : dialled))
    #expect(try Request("a.test:80").rewritten(to: verdict.rewritten).destination.description == dialled)
    #expect(verdict.outcome == .direct)
  }

  @Test func `the routes are not asked where a rewritten destination goes`() throws {
    let table = RouteTable(
      routes: [
        try Self.route(1, .domain(["a.test"]), .direct, "b.test", 2),
        try Self.route(2, .domain(["b.test"]), .direct, "c.test", 3),
        try Self.route(3, .port([2...2]), .reject),
      ], fallback: .drop)
    let verdict = table.verdict(for: try Request("a.test:80"))
    #expect(verdict.route?.source.line == 1)
    #expect(verdict.outcome == .direct)
    #expect(verdict.rewritten?.description == "b.test:2")
    #expect(verdict.refusal == nil)
  }

  @Test func `no request of another command, or of another route, is rewritten`() throws {
    let table = RouteTable(
      routes: [
        try Self.route(1, .domain(["a.test"]), .direct, "b.test"), try Self.route(2, .domain(["test"])),
      ], fallback: .direct)
    #expect(table.verdict(for: try Request("a.test", .udp)).rewritten == nil)
    #expect(table.verdict(for: try Request("a.test", .bind)).rewritten == nil)
    #expect(table.verdict(for: try Request("c.test")).rewritten == nil)
    #expect(table.verdict(for: try Request("192.0.2.1")).rewritten == nil)
  }

  @Test func `an address that a route refuses is refused, however it came there`() throws {
    let hop = Upstream(name: "office", endpoint: try #require(Endpoint("127.0.0.1:9")))
    let refusing = try Self.route(2, .all([.ip(["10.0.0.0/8"]), .port([22...22])]), .reject)
    for outcome: Outcome in [.direct, .chain(Chain([hop]))] {
      for address in ["10.0.0.1", "::ffff:10.0.0.1", "64:ff9b::10.0.0.1"] {
        let table = RouteTable(
          routes: [try Self.route(1, .domain(["a.test"]), outcome, address), refusing], fallback: .direct)
        let verdict = table.verdict(for: try Request("a.test:22"))
        #expect(verdict.outcome == .reject)
        #expect(verdict.route?.source.line == 1)
        #expect(verdict.refusal?.source.line == 2)
        #expect(verdict.isAlternative == false)
        // It is asked about what is dialled, its port included.
        #expect(table.verdict(for: try Request("a.test:23")).outcome == outcome)
      }
    }
    let port = RouteTable(
      routes: [try Self.route(1, .port([80...80]), .direct, nil, 22), refusing], fallback: .direct)
    #expect(port.verdict(for: try Request("10.0.0.1:80")).outcome == .reject)
  }

  @Test func `an exception before the refusal lets a rewritten address pass`() throws {
    let table = RouteTable(
      routes: [
        try Self.route(1, .domain(["a.test"]), .direct, "10.0.0.1"),
        try Self.route(2, .ip(["10.0.0.1/32"])), try Self.route(3, .ip(["10.0.0.0/8"]), .reject),
      ], fallback: .direct)
    #expect(table.verdict(for: try Request("a.test")).outcome == .direct)
  }

  @Test(
    arguments: [
      (.command([.connect]), false, false), (.command([.connect, .bind]), true, false),
      (.network([.tcp]), true, false), (.network([.udp]), false, true), (.domain(["a.test"]), true, true),
      (.all([.network([.tcp]), .not(.command([.bind]))]), false, false),
      (.not(.command([.connect])), true, true), (.any([.command([.connect]), .port([1...1])]), true, true),
      (.all([.command([.connect]), .port([1...1])]), false, false), (.all([]), true, true),
    ] as [(Condition, Bool, Bool)])
  func `which commands a condition may hold for`(condition: Condition, bind: Bool, udp: Bool) {
    #expect(condition.mayHold(for: .bind) == bind)
    #expect(condition.mayHold(for: .udp) == udp)
  }
}
