import Addresses
import Chance
import Testing

@testable import Routing

@Suite struct ProspectsTests {
  @Test(arguments: seeds(40))
  func `no datagram gets an outcome that is no prospect`(seed: UInt64) throws {
    var random = RandomTables(seed: seed)
    for _ in 0..<20 {
      let routes = try random.routes()
      let table = RouteTable(routes: routes, fallback: try random.outcome())
      let client = try random.request()
      let prospects = table.prospects(for: client)
      for _ in 0..<20 {
        var request = client
        request.command = .udp
        request.destination = try random.request().destination
        let verdict = table.verdict(for: request)
        for outcome in [verdict.outcome, verdict.alternative].compactMap(\.self) {
          #expect(prospects.all.contains { $0.outcome == outcome }, "\(request) \(routes)")
        }
      }
    }
  }

  @Test(arguments: seeds(40))
  func `the prospects are those that asking every route finds`(seed: UInt64) throws {
    var random = RandomTables(seed: seed)
    for _ in 0..<20 {
      let routes = try random.routes()
      let table = RouteTable(routes: routes, fallback: try random.outcome())
      let client = try random.request()
      #expect(
        table.prospects(for: client).all.map(\.outcome) == expected(of: table, for: client),
        "\(client) \(routes)")
    }
  }

  /// Without leaving out any route beforehand.
  private func expected(of table: RouteTable, for client: Request) -> [Outcome] {
    let isReached: (Route) -> PartialTruth = { route in
      route.condition.truth { leaf in
        switch leaf {
        case .domain, .host, .ip, .port: return .maybe
        default:
          var request = client
          request.command = .udp
          let alone = NaiveTable(
            routes: [Route(condition: leaf, outcome: .direct, source: .test(1))], fallback: .reject)
          return PartialTruth(alone.verdict(for: request).outcome == .direct)
        }
      }
    }
    var outcomes: [Outcome] = []
    func add(_ outcome: Outcome) { if !outcomes.contains(outcome) { outcomes.append(outcome) } }
    for route in table.routes {
      let truth = isReached(route)
      if truth != .fails {
        add(route.outcome(over: .udp))
        if let udp = route.udp { add(udp) }
      }
      let mayGiveUp = route.condition.contains { condition in
        guard case .host(let patterns) = condition else { return false }
        return patterns.contains { if case .expression = $0 { true } else { false } }
      }
      if mayGiveUp { add(.reject) }
      if truth == .holds { return outcomes }
    }
    add(table.fallback)
    return outcomes
  }

  private func outcomes(_ table: RouteTable, client: IPAddress? = nil, user: String? = nil) throws
    -> [Outcome]
  {
    table.prospects(for: try Request("any.test", .udp, client: client, user: user)).all.map(\.outcome)
  }

  @Test func `conditions on the destination may hold, and the default is left`() throws {
    let table = RouteTable(
      (.domain(["corp.example"]), try .through(.auto)), (.ip(["10.0.0.0/8"]), .reject),
      (.not(.port([53...53])), try .through(.auto)))
    #expect(try outcomes(table) == [.through(.auto), .reject, .direct])
  }

  @Test func `a route that certainly holds ends the prospects`() throws {
    let table = RouteTable(
      (.domain(["corp.example"]), .drop), (.any([.network([.udp]), .port([1...1])]), .reject),
      (.all([]), .direct))
    #expect(try outcomes(table) == [.drop, .reject])
  }

  @Test func `a route that certainly fails is none`() throws {
    let table = RouteTable(
      (.network([.tcp]), .reject), (.all([.domain(["test"]), .command([.connect, .bind])]), .drop))
    #expect(try outcomes(table) == [.direct])
  }

  @Test func `who asks is known`() throws {
    let table = RouteTable(
      (.all([.user(["alice"]), .client(["10.0.0.0/8"])]), .reject),
      (.not(.listener(["127.0.0.1:1080"])), .drop))
    #expect(try outcomes(table) == [.direct])
    #expect(try outcomes(table, client: .v4(0x0a00_0001), user: "alice") == [.reject])
    #expect(try outcomes(table, client: .v4(0x0b00_0001), user: "alice") == [.direct])
    #expect(try outcomes(table, user: "alice") == [.direct])
  }

  @Test func `a table that refuses everything says so`() throws {
    let table = RouteTable(routes: [], fallback: .reject)
    let prospects = table.prospects(for: try Request("any.test", .udp))
    #expect(prospects.isRefused)
    #expect(prospects.carrying.isEmpty)
    #expect(prospects.onlyChain == nil)
  }

  @Test func `a table of chains that carry nothing refuses by no rule`() throws {
    let table = RouteTable(routes: [], fallback: try .through(.no))
    let prospects = table.prospects(for: try Request("any.test", .udp))
    #expect(!prospects.isRefused)
    #expect(prospects.carrying.isEmpty)
  }

  @Test func `the only chain is told with its route, when nothing else carries`() throws {
    let route = Route(
      name: "all", condition: .not(.domain(["onion"])), outcome: try .through(.auto), udp: .reject,
      source: .test(1))
    let table = RouteTable(routes: [route], fallback: try .through(.no))
    let prospects = table.prospects(for: try Request("any.test", .udp))
    #expect(try prospects.all.map(\.outcome) == [.through(.auto), .reject, .through(.no)])
    #expect(try prospects.onlyChain?.outcome == .through(.auto))
    #expect(prospects.onlyChain?.route?.name == "all")
  }

  @Test func `a chain with another way beside it is not the only one`() throws {
    let prospects = RouteTable((.domain(["test"]), try .through(.auto)))
      .prospects(for: try Request("any.test", .udp))
    #expect(prospects.carrying.count == 2)
    #expect(prospects.onlyChain == nil)
  }

  @Test func `routes by destination are not asked for each client`() throws {
    let routes = try (1...10_000).map { line in
      Route(
        condition: .domain([try DomainName("d\(line).test")]), outcome: line % 2 == 0 ? .reject : .direct,
        source: .test(line))
    }
    #expect(RouteTable(routes: routes, fallback: .drop).datagramRoutes.count == 2)
  }
}
