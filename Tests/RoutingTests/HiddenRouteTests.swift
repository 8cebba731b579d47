import Addresses
import Chance
import Testing

@testable import Routing

@Suite struct HiddenRouteTests {
  @Test(arguments: seeds(20))
  func `a table without its hidden routes decides the same`(seed: UInt64) throws {
    var random = RandomTables(seed: seed)
    var found = 0
    for _ in 0..<30 {
      let routes = try random.routes()
      let fallback = try random.outcome()
      let table = RouteTable(routes: routes, fallback: fallback)
      let hidden = table.hiddenRoutes()
      found += hidden.count
      #expect(hidden.allSatisfy { $0.by < $0.index })
      let indexes = Set(hidden.map(\.index))
      let rest = RouteTable(
        routes: routes.enumerated().filter { !indexes.contains($0.offset) }.map(\.element), fallback: fallback
      )
      for _ in 0..<40 {
        let request = try random.request()
        // What an address embeds is beyond "plainly": a refusal behind a permission still holds for it.
        if request.destination.host.address?.embedded4 != nil { continue }
        #expect(
          table.verdict(for: request).route?.source == rest.verdict(for: request).route?.source,
          "\(hidden) \(routes)")
        let address = random.address().unmapped
        if address.embedded4 != nil || request.destination.host.name == nil { continue }
        #expect(
          table.refusal(of: address, for: request)?.line == rest.refusal(of: address, for: request)?.line,
          "\(hidden) \(routes)")
      }
    }
    #expect(found > 15)
  }

  @Test(
    arguments: [
      ([.domain(["example"]), .domain(["b.example", "c.b.example"])], [1]),
      ([.domain(["b.example"]), .domain(["b.example", "example"])], []),
      ([.domain(["b.example"]), .domain(["xb.example"])], []),
      ([.domain(["a.example"]), .domain(["b.example"]), .host(["c.a.example", "b.example"])], [2]),
      (
        [
          .host(["*.example"]), .host(["a.example", "*.b.example"]), .host(["example"]),
          .domain(["a.example"]),
        ], [1]
      ),
      ([.ip(["10.0.0.0/8"]), .ip(["10.1.0.0/16"]), .host(["10.0.0.1"]), .ip(["0.0.0.0/0"])], [1, 2]),
      ([.all([.ip(["10.0.0.0/8"]), .port([80...80])]), .ip(["10.1.0.0/16"])], []),
      ([.ip(["10.0.0.0/8"]), .all([.ip(["10.1.0.0/16"]), .port([80...80])])], [1]),
      ([.port([1...80]), .port([81...100]), .port([70...90]), .port([100...101])], [2]),
      (
        [.network([.tcp]), .command([.bind]), .domain(["a.example"]), .command([.udp]), .user(["bob"])],
        [1, 4]
      ),
      ([.all([]), .domain(["a.example"]), .ip(["10.0.0.0/8"])], [1]),
      ([.user(["alice", "bob"]), .user(["bob"]), .user(["carol"])], [1]),
      ([.client(["10.0.0.0/8"]), .client(["10.0.0.1"]), .client(["10.0.0.0/7"])], [1]),
      ([.any([.domain(["example"]), .port([80...80])]), .port([80...80]), .host(["a.example"])], [1, 2]),
      ([.not(.domain(["example"])), .domain(["org"])], []), ([.host(["/./"]), .host(["/./"])], []),
    ] as [([Condition], [Int])])
  func `a route is hidden when earlier ones take all it describes`(conditions: [Condition], hidden: [Int]) {
    let table = RouteTable(
      routes: conditions.enumerated().map { Route(condition: $1, outcome: .direct, source: .test($0)) },
      fallback: .direct)
    #expect(table.hiddenRoutes().map(\.index) == hidden)
  }

  @Test func `the route that hides is named`() {
    let table = RouteTable(
      (.domain(["a.example"]), .direct), (.domain(["b.example"]), .direct),
      (.domain(["a.example", "b.example"]), .reject))
    #expect(table.hiddenRoutes() == [RouteTable.HiddenRoute(index: 2, by: 1)])
  }
}
