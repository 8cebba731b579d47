import Addresses
import Synchronization
import Testing
import Transport

@testable import DNS

/// The places of open questions. None of these is ever answered.
@Suite struct PlacesTests {
  private static let client = Client(at: .v4(0xc000_0201))
  private static let others = (0..<4).map { Client(at: .v4(0xc633_6400 + $0)) }

  private func withSilence(_ body: @escaping @Sendable (Resolver, NameServer) async throws -> Void)
    async throws
  {
    let script = Dictionary(
      uniqueKeysWithValues: (0..<Resolver.openLimit).map { ("n\($0).test", NameServer.Behaviour.silence) })
    try await withResolver(script, body)
  }

  @Test func `a client can take no more than a quarter of the places, and others find theirs`() async throws {
    try await withSilence { resolver, _ in
      var lookups: [Lookup] = []
      for index in 0..<(Resolver.openLimit / 4 / 2) {
        lookups.append(resolver.lookup(try DomainName("n\(index).test"), for: Self.client))
        #expect(lookups.last?.failure == nil)
      }
      let next = try DomainName("next.test")
      #expect(resolver.lookup(next, for: Self.client).failure == .overloaded(limit: 1024))
      #expect(resolver.lookup(next, for: Self.others[0]).failure == nil)
      #expect(resolver.lookup(next, for: nil).failure == nil)
      #expect(resolver.lookup(next, for: Client(user: 0)).failure == nil)
      // What others ask already takes no place.
      #expect(resolver.lookup(try DomainName("n0.test"), for: Self.client).failure == nil)
      lookups.removeFirst()
      #expect(resolver.lookup(next, for: Self.client).failure == nil)
    }
  }

  /// Such as four networks of 64 bits, which belong to one line.
  @Test func `when four clients have all places, others take the oldest of these, and keep them`()
    async throws
  {
    try await withSilence { resolver, _ in
      var floods: [Lookup] = []
      for index in 0..<(Resolver.openLimit / 2) {
        floods.append(resolver.lookup(try DomainName("n\(index).test"), for: Self.others[index % 4]))
      }
      #expect(floods.allSatisfy { $0.failure == nil })
      var lookups: [Lookup] = []
      for index in 0..<20 {
        lookups.append(resolver.lookup(try DomainName("own\(index).test"), for: nil))
        lookups.append(resolver.lookup(try DomainName("client\(index).test"), for: Self.client))
      }
      // These take 80 places, and each of the four loses 20.
      let lost = Answer.failure(.overloaded(limit: 4096))
      #expect(floods.prefix(40).allSatisfy { $0.v4 == lost && $0.v6 == lost })
      #expect(floods.dropFirst(40).allSatisfy { $0.v4 == nil && $0.v6 == nil })
      // They get none back while they have most.
      for (index, client) in Self.others.enumerated() {
        let more = resolver.lookup(try DomainName("more\(index).test"), for: client)
        #expect(more.failure == .overloaded(limit: 4096))
      }
      #expect(lookups.allSatisfy { $0.v4 == nil && $0.v6 == nil })
      await #expect(throws: Unresolved(reason: .overloaded(limit: 4096), server: nil)) {
        try await resolver.name(of: .v4(1), for: Self.others[0], until: .never)
      }
      #expect(resolver.openCount == Resolver.openLimit)
      floods = []
      lookups = []
      #expect(resolver.holdsNothing)
    }
  }

  @Test func `a client with no question has room for a lookup when each of the others has one`() async throws
  {
    try await withSilence { resolver, _ in
      resolver.limit(to: 8, ofOne: 2)
      let lookups = try (0..<4).map { index in
        resolver.lookup(try DomainName("n\(index).test"), for: Self.others[index])
      }
      let next = resolver.lookup(try DomainName("next.test"), for: Self.client)
      #expect(next.v4 == nil && next.v6 == nil)
      #expect(lookups.map { $0.v4 == nil } == [false, false, true, true])
      #expect(lookups.allSatisfy { $0.v6 == nil })
      #expect(resolver.openCount == 8)
    }
  }

  @Test func `a question that a client loses goes on for another that awaits it`() async throws {
    try await withSilence { resolver, _ in
      resolver.limit(to: 16, ofOne: 4)
      var lookups = try (0..<8).map { index in
        resolver.lookup(try DomainName("n\(index).test"), for: Self.others[index % 4])
      }
      lookups.append(resolver.lookup(try DomainName("n0.test"), for: Self.client))
      lookups.append(resolver.lookup(try DomainName("next.test"), for: nil))
      // The first of the four passes its oldest on. So the second and the third lose theirs.
      #expect(lookups.map { $0.v4 == nil }.enumerated().filter { !$0.element }.map(\.offset) == [1, 2])
      #expect(lookups.allSatisfy { $0.v6 == nil })
      #expect(resolver.openCount == 16)
      lookups = []
      #expect(resolver.holdsNothing)
    }
  }

  @Test func `a question belongs to another client when the first has dropped it`() async throws {
    try await withSilence { resolver, _ in
      resolver.limit(to: 8, ofOne: 2)
      let name = try DomainName("n0.test")
      var lookups = [resolver.lookup(name, for: Self.others[0]), resolver.lookup(name, for: Self.client)]
      let next = try DomainName("next.test")
      // Only the first of them has a quarter.
      #expect(resolver.lookup(next, for: Self.others[0]).failure == .overloaded(limit: 2))
      #expect(resolver.lookup(next, for: Self.client).failure == nil)
      lookups.removeFirst()
      #expect(resolver.lookup(try DomainName("n1.test"), for: Self.client).failure == .overloaded(limit: 2))
      #expect(resolver.lookup(next, for: Self.others[0]).failure == nil)
      lookups.removeFirst()
      #expect(resolver.holdsNothing)
    }
  }

  @Test func `with a lower limit, a new question ends those that are too many`() async throws {
    try await withSilence { resolver, _ in
      let lookups = try (0..<20).map { resolver.lookup(try DomainName("n\($0).test"), for: Self.others[0]) }
      resolver.limit(to: 16, ofOne: 4)
      #expect(resolver.openCount == 40)
      let next = resolver.lookup(try DomainName("next.test"), for: Self.client)
      #expect(next.v4 == nil && next.v6 == nil)
      #expect(resolver.openCount == 16)
      withExtendedLifetime(lookups) {}
    }
  }

  @Test func `questions that nobody awaits any more hold no place`() async throws {
    try await withSilence { resolver, _ in
      // Ten times as many as there are places, by one client, as long as it sees the answer to none.
      for index in 0..<(Resolver.openLimit * 5) {
        let lookup = resolver.lookup(try DomainName("n\(index).test"), for: Self.client)
        #expect(lookup.failure == nil)
      }
    }
  }

  @Test func `of the questions that nobody awaits any more, the 64 newest go on`() async throws {
    try await withSilence { resolver, _ in
      // A lookup is two questions.
      for index in 0..<100 { _ = resolver.lookup(try DomainName("n\(index).test"), for: Self.client) }
      #expect(resolver.openCount == Resolver.unawaitedLimit)
      let kept = resolver.lookup(try DomainName("n68.test"), for: Self.client)
      #expect(resolver.openCount == Resolver.unawaitedLimit)
      let ended = resolver.lookup(try DomainName("n67.test"), for: Self.client)
      #expect(resolver.openCount == Resolver.unawaitedLimit + 2)
      withExtendedLifetime((kept, ended)) {}
    }
  }

  @Test func `a question that is awaited again is not given up`() async throws {
    try await withSilence { resolver, _ in
      let name = try DomainName("n0.test")
      _ = resolver.lookup(name, for: Self.client)
      let again = resolver.lookup(name, for: Self.client)
      for index in 1..<100 { _ = resolver.lookup(try DomainName("n\(index).test"), for: Self.client) }
      #expect(again.failure == nil)
      #expect(resolver.openCount == Resolver.unawaitedLimit + 2)
    }
  }

  @Test func `a question that was answered when nobody awaited it makes no room once more`() async throws {
    let found = NameServer.Behaviour.addresses(addresses("192.0.2.1", "2001:db8::1"), ttl: 3600)
    let script = ["good.test": found, "n0.test": .silence, "n1.test": .silence]
    try await withResolver(script) { resolver, _ in
      let refusals = Mutex<[Resolver.Refusal]>([])
      resolver.limit(to: 4, ofOne: 2) { refusal in refusals.withLock { $0.append(refusal) } }
      _ = resolver.lookup(try DomainName("good.test"), for: Self.client)
      while resolver.openCount > 0 { try await resolver.loop.sleep(until: .after(.milliseconds(1))) }
      let lookups = try (0..<2).map { index in
        resolver.lookup(try DomainName("n\(index).test"), for: Self.others[index])
      }
      #expect(lookups.allSatisfy { $0.failure == nil })
      let next = resolver.lookup(try DomainName("next.test"), for: Self.others[2])
      #expect(next.failure == nil)
      #expect(lookups.map { $0.v4 == nil } == [false, false])
      #expect(resolver.openCount == 4)
      let another = resolver.lookup(try DomainName("another.test"), for: Self.others[2])
      #expect(another.failure == .overloaded(limit: 2))
      // Each name is two questions.
      let told = refusals.withLock { $0 }
      #expect(told.map(\.client) == [0, 1, 2, 2].map { Self.others[$0] })
      #expect(told.map(\.isOfShare) == [false, false, true, true])
      #expect(told.map(\.limit) == [4, 4, 2, 2])
    }
  }

  @Test func `a question that nobody awaits any more is still answered, for the cache`() async throws {
    let both = addresses("192.0.2.1", "2001:db8::1")
    let script = ["good.test": NameServer.Behaviour.addresses(both, ttl: 3600)]
    try await withResolver(script) { resolver, server in
      let name = try DomainName("good.test")
      _ = resolver.lookup(name, for: Self.client)
      for await _ in server.questions.prefix(2) {}
      let found = try await resolver.answers("good.test")
      #expect(found.v4 == .success(addresses("192.0.2.1")))
      #expect(server.count(of: "good.test") == 2)
    }
  }

  @Test func `a question that nobody awaits any more is not sent again`() async throws {
    try await withResolver(["silent.test": .silence], patience: .milliseconds(10)) { resolver, server in
      _ = resolver.lookup(try DomainName("silent.test"), for: Self.client)
      for await _ in server.questions.prefix(2) {}
      // Both end at their first timeout: then they are asked anew.
      while resolver.openCount > 0 { try await resolver.loop.sleep(until: .after(.milliseconds(1))) }
      #expect(server.count(of: "silent.test") == 2)
    }
  }
}
