import Addresses
import Glibc
import Testing
import Transport

@testable import DNS

/// For tests of a datagram that is sent again. The resolver gives up after seven times as long, and no machine may be so
/// busy that the server's thread does not run for so long.
let resendTime = Duration.milliseconds(500)

/// Runs `body` on a loop of its own, with a resolver that asks a name server of that script.
func withResolver(
  _ script: [String: NameServer.Behaviour], hosts: String = "/dev/null",
  patience: Duration = .seconds(600), _ body: @escaping @Sendable (Resolver, NameServer) async throws -> Void
) async throws {
  let server = NameServer(script)
  defer { server.stop() }
  try await withResolver(asking: server.address, hosts: hosts, patience: patience) { resolver, _ in
    try await body(resolver, server)
  }
}

/// Runs `body` on a loop of its own, with a resolver and what ends it.
func withResolver(
  asking servers: SocketAddress..., search: [String] = [], ndots: Int = 1, extends: Bool = false,
  hosts: String = "/dev/null",
  patience: Duration = .seconds(600),
  _ body: @escaping @Sendable (Resolver, _ end: @Sendable () -> Void) async throws -> Void
) async throws {
  let loop = try EventLoop()
  defer { loop.stop() }
  var configuration = ResolverConfiguration(servers: servers)
  configuration.search = try search.map { try DomainName($0) }
  configuration.ndots = ndots
  configuration.extends = extends
  let names = try SharedNames(
    configuration, cacheCapacity: 100, hostsPath: hosts, configurationPath: "/dev/null",
    checkInterval: .seconds(3600))
  try await withResolver(of: names, on: loop, patience: patience, body)
}

/// What is known of `name` once the files were read.
func known(_ name: String, to names: SharedNames) async throws -> SharedNames.Knowledge {
  let question = Question.addresses(of: try DomainName(name), .v4)
  while true {
    let knowledge = names.knowledge(of: question, at: .now)
    guard case .outdated(let check) = knowledge else { return knowledge }
    await check.task.value
  }
}

/// A file of the system, as a test has it.
final class TestFile: Sendable {
  let path: String

  /// - Parameter text: `nil` for a file that does not exist.
  init(_ text: String?) throws {
    var template = Array("/tmp/sockeye-names-XXXXXX".utf8CString)
    let descriptor = mkstemp(&template)
    try #require(descriptor >= 0)
    close(descriptor)
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    if let text { try write(text) } else { remove() }
  }

  deinit { remove() }

  func remove() {
    unlink(path)
  }

  func write(_ text: String, to other: String? = nil) throws {
    let descriptor = open(other ?? path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    try #require(descriptor >= 0)
    defer { close(descriptor) }
    try #require(Glibc.write(descriptor, text, text.utf8.count) == text.utf8.count)
  }

  /// Puts another file in its place.
  func replace(with text: String) throws {
    try write(text, to: path + ".new")
    try #require(rename(path + ".new", path) == 0)
  }
}

/// Runs `body` on `loop`, with a resolver and what ends it.
func withResolver(
  of names: SharedNames, on loop: EventLoop, patience: Duration = .seconds(600),
  _ body: @escaping @Sendable (Resolver, _ end: @Sendable () -> Void) async throws -> Void
) async throws {
  let resolver = Resolver(names, patience: patience, on: loop)
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
  func answers(_ name: String, within limit: Duration = .seconds(600)) async throws -> Answers {
    let lookup = lookup(try DomainName(name), for: nil)
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
    let found = try await self.name(of: address, for: nil, until: .after(.seconds(600)))
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
