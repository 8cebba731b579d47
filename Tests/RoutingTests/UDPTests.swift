import Addresses
import Testing

@testable import Routing

@Suite struct UDPTests {
  private func table(_ outcome: Outcome, udp: Outcome? = nil, fallback: Outcome = .direct) -> RouteTable {
    let route = Route(condition: .domain(["test"]), outcome: outcome, udp: udp, source: .test(1))
    return RouteTable(routes: [route], fallback: fallback)
  }

  @Test func `what a chain cannot carry takes the alternative of its route`() throws {
    let table = table(try .through(.auto, .no), udp: .direct, fallback: .reject)
    let verdict = table.verdict(for: try Request("a.test", .udp))
    #expect(verdict.outcome == .direct)
    #expect(verdict.isAlternative)
    #expect(verdict.carriesUDP)
    #expect(verdict.alternative == nil)
    #expect(verdict.route?.source.line == 1)
  }

  @Test func `what a chain cannot carry goes nowhere without an alternative`() throws {
    for table in [table(try .through(.no)), RouteTable(routes: [], fallback: try .through(.no))] {
      let verdict = table.verdict(for: try Request("a.test", .udp))
      #expect(try verdict.outcome == .through(.no))
      #expect(!verdict.carriesUDP)
      #expect(!verdict.isAlternative)
      #expect(verdict.alternative == nil)
    }
  }

  @Test func `a chain that may carry UDP is the outcome, and its alternative is told`() throws {
    for support in [Upstream.UDPSupport.auto, .yes] {
      let verdict = table(try .through(support), udp: .reject).verdict(for: try Request("a.test", .udp))
      #expect(try verdict.outcome == .through(support))
      #expect(verdict.carriesUDP)
      #expect(!verdict.isAlternative)
      #expect(verdict.alternative == .reject)
    }
  }

  @Test(arguments: [Request.Command.connect, .bind])
  func `a connection does not take the alternative`(command: Request.Command) throws {
    let verdict = table(try .through(.no), udp: .direct).verdict(for: try Request("a.test", command))
    #expect(try verdict.outcome == .through(.no))
    #expect(!verdict.isAlternative)
  }

  @Test func `what is not known to be allowed has no alternative`() throws {
    let expression = Condition.host(["/(a+)+$/"])
    for outcome in [try Outcome.through(.no), try .through(.auto)] {
      let route = Route(condition: expression, outcome: outcome, udp: .direct, source: .test(1))
      let request = try Request("\(String(repeating: "a", count: 60)).test", .udp)
      let verdict = RouteTable(routes: [route], fallback: .direct).verdict(for: request)
      #expect(verdict.gaveUp)
      #expect(verdict.outcome == .reject)
      #expect(!verdict.isAlternative)
      #expect(verdict.alternative == nil)
    }
  }

  @Test func `a name cannot get around a range from which datagrams are rejected`() throws {
    let route = Route(
      condition: .ip(["10.0.0.0/8"]), outcome: try .through(.no), udp: .reject, source: .test(1))
    let table = RouteTable(routes: [route], fallback: .direct)
    let inside = IPAddress.v4(0x0a00_0001)
    #expect(table.refusal(of: inside, for: try Request("a.test", .udp))?.line == 1)
    #expect(table.refusal(of: inside, for: try Request("a.test", .connect)) == nil)
    #expect(table.line(for: try Request("64:ff9b::10.0.0.1", .udp)) == 1)
    #expect(table.line(for: try Request("64:ff9b::10.0.0.1", .connect)) == nil)
  }
}
