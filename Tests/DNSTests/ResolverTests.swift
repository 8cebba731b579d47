import Addresses
import Testing
import Transport

@testable import DNS

private let both = addresses("192.0.2.1", "192.0.2.2", "2001:db8::1")

@Suite struct ResolverTests {
  @Test func `both families are asked for, each once`() async throws {
    try await withResolver(["good.test": .addresses(both, ttl: 3600)]) { resolver, server in
      let found = try await resolver.answers("good.test")
      #expect(found.v4 == .success(addresses("192.0.2.1", "192.0.2.2")))
      #expect(found.v6 == .success(addresses("2001:db8::1")))
      #expect(found.failure == nil)
      #expect(server.count(of: "good.test") == 2)
      #expect(Set(server.asked) == [.init(name: "good.test", type: 1), .init(name: "good.test", type: 28)])
    }
  }

  @Test func `an IPv4-mapped AAAA record is an IPv4 address`() async throws {
    let script = ["mapped.test": NameServer.Behaviour.addresses(addresses("::ffff:10.0.0.1"), ttl: 3600)]
    try await withResolver(script) { resolver, _ in
      let found = try await resolver.answers("mapped.test")
      #expect(found.v6 == .success(addresses("10.0.0.1")))
    }
  }

  @Test func `an alias leads to the addresses of its target`() async throws {
    try await withResolver(["www.test": .alias("good.test", ttl: 3600, both, addressTTL: 60)]) {
      resolver, _ in
      let found = try await resolver.answers("www.test")
      #expect(found.v4 == .success(addresses("192.0.2.1", "192.0.2.2")))
      #expect(found.v6 == .success(addresses("2001:db8::1")))
    }
  }

  @Test(
    arguments: [
      (.code(3), .notFound),
      (.code(2), .serverFailure),
      (.code(4), .serverFailure),
      (.code(5), .serverFailure),
      (.addresses([], ttl: 3600), .noData),
      (.alias("good.test", ttl: 3600, [], addressTTL: 60), .noData),
    ] as [(NameServer.Behaviour, ResolutionFailure)])
  func `a failure says what the server said`(
    behaviour: NameServer.Behaviour, failure: ResolutionFailure
  ) async throws {
    try await withResolver(["bad.test": behaviour]) { resolver, _ in
      let found = try await resolver.answers("bad.test")
      #expect(found.v4 == .failure(failure))
      #expect(found.v6 == .failure(failure))
      #expect(found.failure == failure)
    }
  }

  @Test func `a name with addresses of one family only has them, and no failure`() async throws {
    try await withResolver(["six.test": .addresses(addresses("2001:db8::1"), ttl: 3600)]) { resolver, _ in
      let found = try await resolver.answers("six.test")
      #expect(found.v4 == .failure(.noData))
      #expect(found.v6 == .success(addresses("2001:db8::1")))
      #expect(found.failure == nil)
    }
  }

  @Test func `a silent server is given up at the deadline`() async throws {
    try await withResolver(["silent.test": .silence]) { resolver, _ in
      await #expect(throws: ResolutionFailure.timedOut) {
        try await resolver.answers("silent.test", within: .milliseconds(20))
      }
    }
  }

  @Test(
    arguments: [.silence, .garbage([]), .garbage([0x81, 0x80, 0, 1])] as [NameServer.Behaviour])
  func `a server that says nothing is asked three times, and that is a timeout`(
    behaviour: NameServer.Behaviour
  ) async throws {
    try await withResolver(["silent.test": behaviour], patience: .milliseconds(10)) { resolver, server in
      let found = try await resolver.answers("silent.test")
      #expect(found.failure == .timedOut)
      // The server may still have to read what was sent last.
      for await _ in server.questions.prefix(6) {}
      #expect(server.count(of: "silent.test") == 6)
    }
  }

  @Test func `a lost datagram is sent again`() async throws {
    let script = ["lossy.test": NameServer.Behaviour.answersAfter(1, both)]
    try await withResolver(script, patience: resendTime) { resolver, _ in
      let found = try await resolver.answers("lossy.test")
      #expect(found.v6 == .success(addresses("2001:db8::1")))
    }
  }

  @Test func `T23: a name that is never answered holds up no other`() async throws {
    let script: [String: NameServer.Behaviour] = [
      "silent.test": .silence, "good.test": .addresses(both, ttl: 0),
    ]
    try await withResolver(script) { resolver, _ in
      let silent = resolver.lookup(try DomainName("silent.test"), for: nil)
      for _ in 0..<10 {
        let found = try await resolver.answers("good.test")
        #expect(found.failure == nil)
      }
      #expect(silent.v4 == nil)
      #expect(silent.v6 == nil)
    }
  }

  @Test func `where no server listens, that is a failure`() async throws {
    let nobody = SocketAddress(.loopback4, port: unusedPort())
    try await withResolver(asking: nobody, patience: .seconds(600)) { resolver, _ in
      let found = try await resolver.answers("good.test")
      #expect(found.failure == .unreachable)
    }
  }

  @Test func `questions that are open at the same time leave from ports of their own`() async throws {
    let script = Dictionary(
      uniqueKeysWithValues: (0..<20).map { ("n\($0).test", NameServer.Behaviour.silence) })
    try await withResolver(script) { resolver, server in
      let lookups = try script.keys.map { resolver.lookup(try DomainName($0), for: nil) }
      for await _ in server.questions.prefix(40) {}
      #expect(Set(server.ports).count == 40)
      withExtendedLifetime(lookups) {}
    }
  }

  @Test func `a failure names the server that told it, or is awaited`() async throws {
    let script: [String: NameServer.Behaviour] = ["bad.test": .code(2), "silent.test": .silence]
    try await withResolver(script) { resolver, server in
      for name in ["bad.test", "missing.test"] {
        let lookup = resolver.lookup(try DomainName(name), for: nil)
        while !lookup.isComplete { try await lookup.waitForAnswer(until: .never) }
        #expect(lookup.server == server.address)
      }
      let silent = resolver.lookup(try DomainName("silent.test"), for: nil)
      try? await silent.waitForAnswer(until: .after(.milliseconds(20)))
      #expect(silent.server == server.address)
    }
  }

  @Test func `forged answers, of another ID or to another question, are ignored`() async throws {
    let script = ["good.test": NameServer.Behaviour.forgedFirst(addresses("203.0.113.66"), truth: both)]
    try await withResolver(script) { resolver, _ in
      let found = try await resolver.answers("good.test")
      #expect(found.v4 == .success(addresses("192.0.2.1", "192.0.2.2")))
    }
  }

  @Test func `what does not fit into a datagram is asked for over TCP`() async throws {
    try await withResolver(["big.test": .truncated(both)]) { resolver, server in
      let found = try await resolver.answers("big.test")
      #expect(found.v4 == .success(addresses("192.0.2.1", "192.0.2.2")))
      #expect(found.v6 == .success(addresses("2001:db8::1")))
      #expect(server.asked.contains(.init(name: "big.test", type: 28, overTCP: true)))
    }
  }

  @Test func `a reply that is cut short over TCP too cannot be read`() async throws {
    try await withResolver(["big.test": .alwaysTruncated]) { resolver, server in
      let found = try await resolver.answers("big.test")
      #expect(found.v4 == .failure(.malformed))
      #expect(found.v6 == .failure(.malformed))
      #expect(server.asked.count { $0.overTCP } == 2)
    }
  }

  @Test func `of a thousand addresses a bounded number is kept`() async throws {
    let many = (0..<1000).map { IPAddress.v4(0x0a00_0000 + $0) }
    try await withResolver(["many.test": .truncated(many)]) { resolver, _ in
      let found = try await resolver.answers("many.test")
      #expect(found.v4 == .success(Array(many.prefix(Reply.addressLimit))))
    }
  }

  @Test(arguments: ["localhost", "a.b.localhost"])
  func `localhost is loopback, whatever a server says`(name: String) async throws {
    try await withResolver([name: .addresses(both, ttl: 3600)]) { resolver, server in
      let lookup = resolver.lookup(try DomainName(name), for: nil)
      #expect(lookup.v4 == .success([.loopback4]))
      #expect(lookup.v6 == .success([.loopback6]))
      #expect(server.asked.isEmpty)
    }
  }
}
