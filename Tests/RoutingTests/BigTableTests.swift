import Addresses
import Testing

@testable import Routing

@Suite struct BigTableTests {
  private static let domains: [DomainName] = (0..<20_000).compactMap {
    try? DomainName("d\($0).zone\($0 % 7).test")
  }
  /// 16.0.0.0/24, 16.0.1.0/24, … each with one address of it on its own.
  private static let prefixes: [Prefix] = (0..<5_000).flatMap { index -> [Prefix] in
    let bits = 0x1000_0000 + UInt32(index) << 8
    return [Prefix(.v4(bits), length: 24), Prefix(.v4(bits + 5))]
  }

  @Test(arguments: [1, 10, 5_000])
  func `every value decides for its route, and no other`(routeCount: Int) throws {
    let routes = (0..<routeCount).map { index in
      Route(
        condition: .any([
          .domain(stride(from: index, to: Self.domains.count, by: routeCount).map { Self.domains[$0] }),
          .ip(stride(from: index, to: Self.prefixes.count, by: routeCount).map { Self.prefixes[$0] }),
        ]), outcome: .reject, source: .test(index))
    }
    let table = RouteTable(routes: routes, fallback: .direct)
    var wrong: [String] = []
    func expect(_ destination: String, at line: Int?) throws {
      if table.line(for: try Request(destination)) != line { wrong.append(destination) }
    }
    for (index, domain) in Self.domains.enumerated() {
      try expect("www.\(domain)", at: index % routeCount)
      try expect("x\(domain)", at: nil)
    }
    for (index, prefix) in Self.prefixes.enumerated() {
      guard case .v4(let bits) = prefix.address else { continue }
      // A single address is in the range around it too, of which the route comes first except in the last round.
      let line = prefix.length == 32 ? min((index - 1) % routeCount, index % routeCount) : index % routeCount
      try expect("\(prefix.address)", at: line)
      if prefix.length == 24 { try expect("\(IPAddress.v4(bits + 255))", at: line) }
    }
    #expect(wrong.isEmpty)
    #expect(table.line(for: try Request("test")) == nil)
    #expect(table.line(for: try Request("zone1.test")) == nil)
    #expect(table.line(for: try Request("15.255.255.255")) == nil)
    #expect(table.line(for: try Request("\(IPAddress.v4(0x1000_0000 + 5_000 << 8))")) == nil)
  }

  @Test func `many routes of one value are told apart by their other conditions`() throws {
    let routes = (0..<3_000).map { index in
      Route(
        condition: .all([
          index % 2 == 0 ? .domain(["a.test"]) : .ip(["0.0.0.0/0"]),
          .port([UInt16(index)...UInt16(index)]),
        ]), outcome: .reject, source: .test(index))
    }
    let table = RouteTable(routes: routes, fallback: .direct)
    #expect(table.line(for: try Request("www.a.test:2998")) == 2998)
    #expect(table.line(for: try Request("www.a.test:2999")) == nil)
    #expect(table.line(for: try Request("1.2.3.4:2999")) == 2999)
    #expect(table.line(for: try Request("1.2.3.4:2998")) == nil)
  }

  @Test func `a name of as many labels as fit meets a domain of nearly as many`() throws {
    let text = Array(repeating: "a", count: 127).joined(separator: ".")
    let table = RouteTable((.domain([try DomainName(String(text.dropFirst(2)))]), .reject))
    #expect(table.line(for: try Request(text)) == 1)
    #expect(table.line(for: try Request(String(text.dropFirst(4)))) == nil)
  }
}
