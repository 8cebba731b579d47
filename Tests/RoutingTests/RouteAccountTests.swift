import Addresses
import Chance
import Testing

@testable import Routing

@Suite struct RouteAccountTests {
  @Test(arguments: seeds(10))
  func `the first route whose account holds is the verdict's`(seed: UInt64) throws {
    var random = RandomTables(seed: seed)
    for _ in 0..<40 {
      let table = RouteTable(routes: try random.routes(), fallback: .direct)
      for _ in 0..<5 {
        let request = try random.request()
        let account = table.account(of: request)
        #expect(
          account.first { $0.finding == .holds }?.index == table.verdict(for: request).routeIndex,
          "\(request) \(table.routes)")
      }
    }
  }

  @Test(
    arguments: [
      ("wiki.corp.example:443", .domain(["example.org", "corp.example"]), "domain corp.example"),
      (
        "10.1.2.3:22", .all([.ip(["192.168.0.0/16", "10.0.0.0/8"]), .port([22...23])]),
        "ip 10.0.0.0/8, port 22-23"
      ),
      ("0.0.0.0:22", .ip(["127.0.0.0/8"]), "ip 127.0.0.0/8 (counts as 127.0.0.1)"),
      ("[64:ff9b::a00:1]:22", .ip(["10.0.0.0/8"]), "ip 10.0.0.0/8 (embeds 10.0.0.1)"),
      ("a.test:25", .host(["b.test", "*.test", "/^a/"]), "host *.test"),
      ("a.test:25", .any([.port([80...80]), .user(["alice"])]), "user alice"),
      ("a.test:25", .not(.domain(["onion", "exit"])), "not (domain onion or exit)"),
      (
        "a.test:25", .all([.client(["127.0.0.0/8"]), .listener(["inside"])]),
        "client 127.0.0.0/8, listener inside"
      ),
    ] as [(String, Condition, String)])
  func `a condition that holds says by which value`(to: String, condition: Condition, reasons: String) throws
  {
    let account = try account(of: to, condition)
    #expect(account.finding == .holds)
    #expect(account.reasons.joined(separator: ", ") == reasons)
  }

  @Test(
    arguments: [
      ("xcorp.example:443", .domain(["corp.example"]), "not domain corp.example"),
      ("a.test:22", .ip(["10.0.0.0/8"]), "not ip 10.0.0.0/8: the destination is a name"),
      ("a.test:22", .all([.port([22...22, 80...90]), .network([.udp])]), "not network udp"),
      ("a.test:22", .port([1...1, 2...2, 3...3, 4...4]), "not port 1, 2, 3 or 1 more"),
      ("a.test:22", .any([.port([80...80]), .user(["bob"])]), "not any of (port 80; user bob)"),
      (
        "a.test:22", .not(.all([.domain(["test"]), .port([22...22])])),
        "domain test is excluded, port 22 is excluded"
      ),
    ] as [(String, Condition, String)])
  func `a condition that fails says which part did`(to: String, condition: Condition, reasons: String) throws
  {
    let account = try account(of: to, condition)
    #expect(account.finding == .fails)
    #expect(account.reasons.joined(separator: ", ") == reasons)
  }

  @Test func `an expression that gives up is named`() throws {
    let account = try account(of: "\(String(repeating: "a", count: 60)).test:22", .host(["/(a+)+$/"]))
    #expect(account.finding == .gaveUp)
    #expect(account.reasons == ["host /(a+)+$/ reached its limits"])
  }

  private func account(of destination: String, _ condition: Condition) throws -> RouteAccount {
    let request = Request(
      to: try #require(Endpoint(destination)), client: .loopback4, user: "alice",
      listener: ListenerID(address: "127.0.0.1:1080", name: "inside"))
    let table = RouteTable(
      routes: [Route(condition: condition, outcome: .reject, source: .test(1))], fallback: .direct)
    return try #require(table.account(of: request).first)
  }
}
