import Addresses
import Testing
import Transport

@testable import DNS

private let found = NameServer.Behaviour.addresses(addresses("192.0.2.1"), ttl: 3600)

/// Names that are no absolute ones.
@Suite struct SearchTests {
  /// Expects `name` to be asked for by these names in turn, each in both families, and what comes of it.
  private func expect(
    _ name: String, as role: Resolver.Role = .destination, _ script: [String: NameServer.Behaviour],
    ndots: Int = 1, times: Int = 2, asks names: [String], _ answer: Answer
  ) async throws {
    let server = NameServer(script)
    defer { server.stop() }
    try await withResolver(asking: server.address, search: ["a.example", "b.example"], ndots: ndots) {
      resolver, _ in
      // The second time all is known.
      for _ in 0..<times {
        let lookup = resolver.lookup(try DomainName(name), for: nil, as: role)
        while !lookup.isComplete { try await lookup.waitForAnswer(until: .after(.seconds(600))) }
        #expect(lookup.v4 == answer)
      }
      #expect(server.asked.filter { $0.type == 1 }.map(\.name) == names)
    }
  }

  @Test func `a name without a dot is found in a domain of the search list`() async throws {
    try await expect(
      "wiki", ["wiki.b.example": found, "wiki.a.example": .nothing(code: 3, ttl: 3600, minimum: 3600)],
      asks: ["wiki.a.example", "wiki.b.example"], .success(addresses("192.0.2.1")))
  }

  @Test func `a domain in which the name has no address is passed by`() async throws {
    try await expect(
      "wiki", ["wiki.b.example": found, "wiki.a.example": .nothing(code: 0, ttl: 3600, minimum: 3600)],
      asks: ["wiki.a.example", "wiki.b.example"], .success(addresses("192.0.2.1")))
  }

  @Test func `an address of one family is told while the other is still awaited`() async throws {
    let server = NameServer(["wiki.a.example": .silentFor(type: 28, addresses("192.0.2.1"))])
    defer { server.stop() }
    try await withResolver(asking: server.address, search: ["a.example"]) { resolver, _ in
      let lookup = resolver.lookup(try DomainName("wiki"), for: nil)
      try await lookup.waitForAnswer(until: .after(.seconds(600)))
      #expect(lookup.v4 == .success(addresses("192.0.2.1")))
      #expect(lookup.v6 == nil)
    }
  }

  @Test func `a name that is in no domain is asked for as it is`() async throws {
    let nothing = NameServer.Behaviour.nothing(code: 3, ttl: 3600, minimum: 3600)
    try await expect(
      "wiki", ["wiki.a.example": nothing, "wiki.b.example": nothing, "wiki": found],
      asks: ["wiki.a.example", "wiki.b.example", "wiki"], .success(addresses("192.0.2.1")))
  }

  @Test func `a destination's name with a dot is absolute, whatever ndots says`() async throws {
    try await expect(
      "wiki.test", ["wiki.test": .nothing(code: 3, ttl: 3600, minimum: 3600)], ndots: 5, asks: ["wiki.test"],
      .failure(.notFound))
  }

  @Test func `a hop's name with fewer dots than ndots is first meant in the domains`() async throws {
    try await expect(
      "proxy.team", as: .hop, ["proxy.team.a.example": found], ndots: 5, asks: ["proxy.team.a.example"],
      .success(addresses("192.0.2.1")))
    try await expect(
      "proxy.team", as: .hop, ["proxy.team": found], asks: ["proxy.team"], .success(addresses("192.0.2.1")))
  }

  @Test(arguments: [Resolver.Role.destination, .hop])
  func `localhost and what the hosts file has are asked of no server in any domain`(role: Resolver.Role)
    async throws
  {
    let hosts = try TestFile("10.0.0.1 box box.team\n2001:db8::1 six\n10.0.0.2 localhost\n")
    defer { hosts.remove() }
    let own: [(String, Answer)] = [
      ("localhost", .success([.loopback4])), ("app.localhost", .success([.loopback4])),
      ("box", .success(addresses("10.0.0.1"))), ("box.team", .success(addresses("10.0.0.1"))),
      ("six", .failure(.noData)),
    ]
    let server = NameServer(Dictionary(uniqueKeysWithValues: own.map { ("\($0.0).a.example", found) }))
    defer { server.stop() }
    try await withResolver(asking: server.address, search: ["a.example"], ndots: 5, hosts: hosts.path) {
      resolver, _ in
      for (name, answer) in own {
        let lookup = resolver.lookup(try DomainName(name), for: nil, as: role)
        #expect(lookup.v4 == answer, "\(name)")
      }
      #expect(server.asked.isEmpty)
    }
  }

  @Test func `a domain whose server fails ends the search`() async throws {
    try await expect(
      "wiki", ["wiki.a.example": .code(2), "wiki.b.example": found], times: 1, asks: ["wiki.a.example"],
      .failure(.serverFailure))
  }

  @Test func `a search that nobody awaits asks no more`() async throws {
    let server = NameServer(["wiki.a.example": .silence])
    defer { server.stop() }
    try await withResolver(asking: server.address, search: ["a.example"], patience: resendTime) {
      resolver, _ in
      do {
        let lookup = resolver.lookup(try DomainName("wiki"), for: nil)
        for await _ in server.questions.prefix(2) {}
        withExtendedLifetime(lookup) {}
      }
      // Both questions end at their first timeout.
      while resolver.openCount > 0 { try await resolver.loop.sleep(until: .after(.milliseconds(1))) }
      #expect(server.asked.map(\.name) == ["wiki.a.example", "wiki.a.example"])
    }
  }
}
