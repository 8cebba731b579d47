import Addresses
import Testing
import Transport

@testable import DNS

/// What two answers come to, and how long they are kept.
@Suite struct LookupTests {
  private static let servers = (1...2).map { SocketAddress(.v4($0), port: 53) }

  @Test(
    arguments: [
      (.notFound, .overloaded(limit: 4096), .overloaded(limit: 4096)), (.notFound, .serverFailure, .notFound),
      (.serverFailure, .noData, .serverFailure), (.timedOut, .unreachable, .timedOut),
      (.noData, .noData, .noData),
    ] as [(ResolutionFailure, ResolutionFailure, ResolutionFailure)])
  func `of two failures the one that says more is told, with its server`(
    one: ResolutionFailure, other: ResolutionFailure, told: ResolutionFailure
  ) throws {
    let name = try DomainName("a.test")
    let loop = try EventLoop()
    defer { loop.stop() }
    for failures in [(one, other), (other, one)] where told != .timedOut || failures == (one, other) {
      let lookup = Lookup(
        v4: Query(.addresses(of: name, .v4), answer: .failure(failures.0), server: Self.servers[0]),
        v6: Query(.addresses(of: name, .v6), answer: .failure(failures.1), server: Self.servers[1]),
        on: loop)
      #expect(lookup.failure == told)
      if one != other { #expect(lookup.server == Self.servers[failures.0 == told ? 0 : 1]) }
    }
  }

  @Test func `the server of the family that is awaited is told`() throws {
    let name = try DomainName("a.test")
    let loop = try EventLoop()
    defer { loop.stop() }
    let lookup = Lookup(
      v4: Query(.addresses(of: name, .v4), answer: .failure(.noData), server: Self.servers[0]),
      v6: Query(.addresses(of: name, .v6), server: Self.servers[1]), on: loop)
    #expect(lookup.failure == nil)
    #expect(lookup.server == Self.servers[1])
  }

  @Test(
    arguments: [
      (.success(.addresses([.loopback4])), .seconds(36_000), 3600),
      (.failure(.notFound), .seconds(36_000), 3600),
      (.failure(.serverFailure), nil, 1), (.failure(.timedOut), .seconds(60), 1),
      (.failure(.unreachable), nil, 1), (.failure(.malformed), nil, 1),
      (.failure(.overloaded(limit: 4096)), nil, 0), (.failure(.shortage(.tooManyOpenFiles)), nil, 0),
      (.failure(.cancelled), nil, 0), (.failure(.noData), nil, 0),
    ] as [(Question.Answer, Duration?, Int64)])
  func `an answer is kept for an hour at most, and a failure of a server for a second`(
    answer: Question.Answer, lifetime: Duration?, seconds: Int64
  ) throws {
    let names = try SharedNames(
      ResolverConfiguration(servers: []), cacheCapacity: 10, hostsPath: "/dev/null",
      configurationPath: "/dev/null")
    let question = Question.addresses(of: try DomainName("a.test"), .v4)
    func isKnown(at now: Deadline) -> Bool {
      if case .answered = names.knowledge(of: question, at: now) { true } else { false }
    }
    let start = Deadline.now
    names.keep((answer, lifetime), to: question, from: nil, generation: 0)
    #expect(isKnown(at: start) == (seconds > 0))
    #expect(!isKnown(at: .after(.seconds(seconds))))
  }

  @Test func `a server that has failed is not asked again for this name`() async throws {
    try await withResolver(["bad.test": .code(2)]) { resolver, server in
      let found = try await resolver.answers("bad.test")
      #expect(found.failure == .serverFailure)
      #expect(server.count(of: "bad.test") == 2)
    }
  }
}
