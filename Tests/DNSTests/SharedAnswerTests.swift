import Addresses
import Testing
import Transport

@testable import DNS

private let both = addresses("192.0.2.1", "2001:db8::1")

@Suite struct SharedAnswerTests {
  @Test func `a hundred lookups of one name are one question for each family`() async throws {
    try await withResolver(["good.test": .addresses(both, ttl: 0)]) { resolver, server in
      let name = try DomainName("good.test")
      let lookups = (0..<100).map { _ in resolver.lookup(name, for: nil) }
      for lookup in lookups {
        while !lookup.isComplete { try await lookup.waitForAnswer(until: .never) }
        #expect(lookup.v6 == .success(addresses("2001:db8::1")))
      }
      #expect(server.count(of: "good.test") == 2)
    }
  }

  @Test func `a hundred tasks that wait for one answer all get it`() async throws {
    let script = ["good.test": NameServer.Behaviour.answersAfter(1, both)]
    try await withResolver(script, patience: resendTime) { resolver, _ in
      try await withThrowingTaskGroup { group in
        for _ in 0..<100 {
          group.addTask { try await resolver.answers("good.test") }
        }
        for try await found in group { #expect(found.failure == nil) }
      }
    }
  }

  @Test func `an answer is kept as long as its TTL says`() async throws {
    let script: [String: NameServer.Behaviour] = [
      "kept.test": .addresses(both, ttl: 3600), "fleeting.test": .addresses(both, ttl: 0),
    ]
    try await withResolver(script) { resolver, server in
      for _ in 0..<3 {
        _ = try await resolver.answers("kept.test")
        _ = try await resolver.answers("fleeting.test")
      }
      #expect(server.count(of: "kept.test") == 2)
      #expect(server.count(of: "fleeting.test") == 6)
    }
  }

  @Test func `room for one name is room for its addresses of both families`() async throws {
    let server = NameServer(["good.test": .addresses(both, ttl: 3600)])
    defer { server.stop() }
    let names = try SharedNames(
      ResolverConfiguration(servers: [server.address]), cacheCapacity: 1, hostsPath: "/dev/null",
      configurationPath: "/dev/null")
    let loop = try EventLoop()
    defer { loop.stop() }
    try await withResolver(of: names, on: loop) { resolver, _ in
      for _ in 0..<3 { _ = try await resolver.answers("good.test") }
      #expect(server.count(of: "good.test") == 2)
    }
  }

  @Test func `a kept answer is there at once`() async throws {
    try await withResolver(["kept.test": .addresses(both, ttl: 3600)]) { resolver, _ in
      _ = try await resolver.answers("kept.test")
      #expect(resolver.lookup(try DomainName("kept.test"), for: nil).isComplete)
    }
  }

  @Test func `addresses live no longer than the alias that led to them`() async throws {
    let script = ["www.test": NameServer.Behaviour.alias("good.test", ttl: 0, both, addressTTL: 60)]
    try await withResolver(script) { resolver, server in
      for _ in 0..<2 { _ = try await resolver.answers("www.test") }
      #expect(server.count(of: "www.test") == 4)
    }
  }

  // RFC 2308 §5: the lesser of the SOA record's TTL and its MINIMUM; nothing without such a record.
  @Test(
    arguments: [
      (.nothing(code: 3, ttl: 3600, minimum: 3600), .notFound, 2),
      (.nothing(code: 0, ttl: 3600, minimum: 3600), .noData, 2),
      (.nothing(code: 3, ttl: 0, minimum: 3600), .notFound, 6),
      (.nothing(code: 3, ttl: 3600, minimum: 0), .notFound, 6),
      (.code(3), .notFound, 6), (.addresses([], ttl: 3600), .noData, 6),
    ] as [(NameServer.Behaviour, ResolutionFailure, Int)])
  func `that there is nothing is kept as long as the zone's SOA record says`(
    behaviour: NameServer.Behaviour, failure: ResolutionFailure, count: Int
  ) async throws {
    try await withResolver(["missing.test": behaviour]) { resolver, server in
      for _ in 0..<3 {
        let found = try await resolver.answers("missing.test")
        #expect(found.failure == failure)
      }
      #expect(server.count(of: "missing.test") == count)
    }
  }

  @Test func `what one loop was told all loops know`() async throws {
    let server = NameServer(["good.test": .addresses(both, ttl: 3600)])
    defer { server.stop() }
    let names = try SharedNames(
      ResolverConfiguration(servers: [server.address]), cacheCapacity: 100, hostsPath: "/dev/null",
      configurationPath: "/dev/null")
    for _ in 0..<3 {
      let loop = try EventLoop()
      defer { loop.stop() }
      try await withResolver(of: names, on: loop) { resolver, _ in
        let found = try await resolver.answers("good.test")
        #expect(found.v6 == .success(addresses("2001:db8::1")))
      }
    }
    #expect(server.count(of: "good.test") == 2)
  }

  @Test func `one who gives up does not take the answer from the others`() async throws {
    let script = ["late.test": NameServer.Behaviour.answersAfter(1, both)]
    try await withResolver(script, patience: resendTime) { resolver, _ in
      let patient = resolver.lookup(try DomainName("late.test"), for: nil)
      await #expect(throws: ResolutionFailure.timedOut) {
        try await resolver.answers("late.test", within: .milliseconds(1))
      }
      while !patient.isComplete { try await patient.waitForAnswer(until: .never) }
      #expect(patient.failure == nil)
    }
  }

  @Test func `one who is cancelled stops waiting, and the resolver goes on`() async throws {
    let script: [String: NameServer.Behaviour] = [
      "silent.test": .silence, "good.test": .addresses(both, ttl: 3600),
    ]
    try await withResolver(script) { resolver, _ in
      await withTaskGroup { group in
        group.addTask {
          _ = await #expect(throws: ResolutionFailure.cancelled) { try await resolver.answers("silent.test") }
        }
        group.cancelAll()
      }
      let found = try await resolver.answers("good.test")
      #expect(found.failure == nil)
    }
  }

  @Test func `what is open when the resolver ends is cancelled, and so is what comes later`() async throws {
    let server = NameServer(["silent.test": .silence])
    defer { server.stop() }
    try await withResolver(asking: server.address) { resolver, end in
      let lookup = resolver.lookup(try DomainName("silent.test"), for: nil)
      end()
      while !lookup.isComplete { try await lookup.waitForAnswer(until: .never) }
      #expect(lookup.failure == .cancelled)
      #expect(resolver.lookup(try DomainName("other.test"), for: nil).failure == .cancelled)
    }
  }
}
