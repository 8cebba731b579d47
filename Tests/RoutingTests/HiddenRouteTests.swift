import Addresses
import Testing

@testable import Routing

@Suite struct HiddenRouteTests {
  @Test(arguments: 0..<20 as Range<UInt64>)
  func `a table without its hidden routes decides the same`(seed: UInt64) throws {
    var random = RandomTables(seed: seed)
    var found = 0
    for _ in 0..<30 {
      let routes = try random.routes()
      let table = RouteTable(routes: routes, fallback: .direct)
      let hidden = table.hiddenRoutes()
      found += hidden.count
      #expect(hidden.allSatisfy { $0.by < $0.index })
      let indexes = Set(hidden.map(\.index))
      let rest = RouteTable(
        routes: routes.enumerated().filter { !indexes.contains($0.offset) }.map(\.element), fallback: .direct)
      for _ in 0..<40 {
        let request = try random.request()
        // What an address embeds is beyond "plainly": a refusal behind a permission still holds for it.
        if request.destination.host.address?.embedded4 != nil { continue }
        #expect(
          table.verdict(for: request).route?.source == rest.verdict(for: request).route?.source,
          "\(hidden) \(routes)")
        let address = random.address().unmapped
        if address.embedded4 != nil { continue }
        #expect(
          table.refusal(of: address, for: request)?.source == rest.refusal(of: address, for: request)?.source,
          "\(hidden) \(routes)")
      }
    }
    #expect(found > 15)
  }
}
