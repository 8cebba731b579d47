import Addresses
import Testing

@testable import Routing

@Suite struct RouteTableTests {
  @Test(arguments: 0..<40 as Range<UInt64>)
  func `the compiled table says what walking every route says`(seed: UInt64) throws {
    var random = RandomTables(seed: seed)
    for _ in 0..<20 {
      let routes = try random.routes()
      let table = RouteTable(routes: routes, fallback: .direct)
      let naive = NaiveTable(routes: routes, fallback: .direct)
      for _ in 0..<20 {
        let request = try random.request()
        let verdict = table.verdict(for: request)
        let expected = naive.verdict(for: request)
        #expect(verdict.outcome == expected.outcome, "\(request) \(routes)")
        #expect(verdict.route?.source.line == expected.line, "\(request) \(routes)")
        let address = random.address().unmapped
        #expect(
          table.refusal(of: address, for: request)?.source.line == naive.refusal(of: address, for: request),
          "\(address) \(request) \(routes)")
      }
    }
  }
}
