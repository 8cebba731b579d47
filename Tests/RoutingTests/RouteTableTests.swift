import Addresses
import Chance
import Testing

@testable import Routing

@Suite struct RouteTableTests {
  @Test(arguments: seeds(40))
  func `the compiled table says what walking every route says`(seed: UInt64) throws {
    var random = RandomTables(seed: seed)
    for _ in 0..<20 {
      let (table, naive) = try tables(&random)
      for _ in 0..<20 {
        let request = try random.request()
        let verdict = table.verdict(for: request)
        let expected = naive.verdict(for: request)
        #expect(verdict.outcome == expected.outcome, "\(request) \(table.routes)")
        #expect(verdict.route?.source.line == expected.line, "\(request) \(table.routes)")
        // Nobody resolves an address, or a name that is refused.
        guard request.destination.host.name != nil, !verdict.outcome.refuses else { continue }
        let address = random.address().unmapped
        #expect(
          table.refusal(of: address, for: request)?.line == naive.refusal(of: address, for: request),
          "\(address) \(request) \(table.routes) \(table.fallback)")
      }
    }
  }

  /// A table without names says of a name what it says of the address: so much must be refused at the least.
  @Test(arguments: seeds(20))
  func `a name is refused whose address the table refuses, whatever made the routes let it pass`(
    seed: UInt64
  ) throws {
    var random = RandomTables(seed: seed, hasNames: false)
    var refused = 0
    for _ in 0..<150 {
      let (table, _) = try tables(&random)
      for _ in 0..<20 {
        var request = try random.request()
        request.destination.host = .name(try random.name())
        guard table.verdict(for: request).outcome == .direct else { continue }
        let address = random.address().unmapped
        var plain = request
        plain.destination.host = .address(address)
        guard table.verdict(for: plain).outcome.refuses else { continue }
        refused += 1
        #expect(
          table.refusal(of: address, for: request) != nil, "\(address) \(request) \(table.routes)")
      }
    }
    #expect(refused > 0)
  }

  private func tables(_ random: inout RandomTables) throws -> (RouteTable, NaiveTable) {
    let routes = try random.routes()
    let fallback = try random.outcome()
    return (RouteTable(routes: routes, fallback: fallback), NaiveTable(routes: routes, fallback: fallback))
  }
}
