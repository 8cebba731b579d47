import Addresses
import Testing
import Transport

@testable import DNS

/// For tests of a datagram that is sent again. c-ares gives up after seven times as long, and no machine may be so busy
/// that the server's thread does not run for so long.
let resendTime = Duration.milliseconds(500)

/// Runs `body` on a loop of its own, with a resolver that asks a name server of that script.
func withResolver(
  _ script: [String: NameServer.Behaviour], hosts: HostsFile = HostsFile(path: "/dev/null"),
  patience: Duration = .seconds(10), _ body: @escaping @Sendable (Resolver, NameServer) async throws -> Void
) async throws {
  let server = NameServer(script)
  defer { server.stop() }
  try await withResolver(asking: server.address, hosts: hosts, patience: patience) { resolver, _ in
    try await body(resolver, server)
  }
}

/// Runs `body` on a loop of its own, with a resolver and what ends it.
func withResolver(
  asking server: SocketAddress, hosts: HostsFile = HostsFile(path: "/dev/null"),
  patience: Duration = .seconds(10),
  _ body: @escaping @Sendable (Resolver, _ end: @Sendable () -> Void) async throws -> Void
) async throws {
  let loop = try EventLoop()
  defer { loop.stop() }
  let resolver = try Resolver(
    servers: [server], cacheCapacity: 100, hosts: hosts, patience: patience, on: loop)
  let (ends, end) = AsyncStream<Void>.makeStream()
  try await withThrowingTaskGroup { group in
    group.addTask(executorPreference: loop) {
      await withTaskGroup { driving in
        driving.addTask(executorPreference: loop) { await resolver.run() }
        for await _ in ends { driving.cancelAll() }
        driving.cancelAll()
      }
    }
    group.addTask(executorPreference: loop) {
      defer { end.finish() }
      try await body(resolver) { end.yield() }
    }
    try await group.waitForAll()
  }
}

extension Resolver {
  /// Both answers, once they came.
  func answers(_ name: String, within limit: Duration = .seconds(60)) async throws -> Answers {
    let lookup = lookup(try DomainName(name))
    let deadline = Deadline.after(limit)
    while !lookup.isComplete { try await lookup.waitForAnswer(until: deadline) }
    return Answers(v4: try #require(lookup.v4), v6: try #require(lookup.v6), failure: lookup.failure)
  }
}

extension Resolver {
  /// Expects `address` to be called `name`.
  func expect(
    _ name: String, of address: IPAddress, sourceLocation: SourceLocation = #_sourceLocation
  ) async throws {
    let found = try await self.name(of: address, until: .after(.seconds(60)))
    #expect(found.text == name, sourceLocation: sourceLocation)
  }
}

struct Answers: Sendable {
  var v4: Answer
  var v6: Answer
  var failure: ResolutionFailure?
}

func addresses(_ texts: String...) -> [IPAddress] {
  texts.compactMap { IPAddress($0) }
}
