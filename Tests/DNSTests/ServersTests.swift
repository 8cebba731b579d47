import Addresses
import Glibc
import Testing
import Transport

@testable import DNS

private let both = addresses("192.0.2.1", "2001:db8::1")

/// What becomes of a question when a name server fails, is silent, or does not stop to send.
@Suite struct ServersTests {
  @Test func `that this machine could not ask is told before what a server failed of`() {
    let ours = ResolutionFailure.shortage(.tooManyOpenFiles)
    #expect(ours.told(with: .serverFailure) == ours)
    #expect(ResolutionFailure.serverFailure.told(with: ours) == ours)
    #expect(ResolutionFailure.serverFailure.told(with: .unreachable) == .unreachable)
  }

  // It ends no earlier than it should; that it may end later says nothing.
  @Test func `each round has twice the time of the one before`() async throws {
    try await withResolver(["silent.test": .silence], patience: .milliseconds(20)) { resolver, _ in
      let start = Deadline.now
      let found = try await resolver.answers("silent.test")
      #expect(found.failure == .timedOut)
      #expect(Deadline.now >= start + .milliseconds(20 + 40 + 80))
    }
  }

  @Test(arguments: [(.code(2), .seconds(600)), (.silence, resendTime)] as [(NameServer.Behaviour, Duration)])
  func `after a server that fails or stays silent the next is asked, and its answer is told`(
    behaviour: NameServer.Behaviour, patience: Duration
  ) async throws {
    let bad = NameServer(["good.test": behaviour])
    let good = NameServer(["good.test": .addresses(both, ttl: 3600)])
    defer { for server in [bad, good] { server.stop() } }
    try await withResolver(asking: bad.address, good.address, patience: patience) { resolver, _ in
      let lookup = resolver.lookup(try DomainName("good.test"), for: nil)
      while !lookup.isComplete { try await lookup.waitForAnswer(until: .never) }
      #expect(lookup.v4 == .success(addresses("192.0.2.1")))
      #expect(lookup.v6 == .success(addresses("2001:db8::1")))
      #expect(lookup.server == good.address)
      #expect(bad.count(of: "good.test") >= 2)
    }
  }

  @Test func `a server that floods with answers to other questions gets no more time than others`()
    async throws
  {
    let flooder = try Flooder()
    try await withResolver(asking: flooder.address, patience: .milliseconds(50)) { resolver, _ in
      async let name = try? resolver.name(of: .v4(0xc000_0201), for: nil, until: .never)
      var peer: sockaddr_in?
      while peer == nil {
        await Task.yield()
        peer = flooder.asker()
      }
      // The resolver reads on this very thread: whenever it has its turn, there is more to read than it takes.
      var turns = 0
      while flooder.asker() == nil, turns < 100_000 {
        turns += 1
        flooder.flood(try #require(peer))
        await Task.yield()
      }
      #expect(turns < 100_000, "the first try did not end")
      _ = await name
    }
  }

  @Test func `each try leaves from another port, under another ID`() async throws {
    try await withResolver(["silent.test": .silence], patience: .milliseconds(10)) { resolver, server in
      _ = try await resolver.answers("silent.test")
      for await _ in server.questions.prefix(6) {}
      // Two of six may be the same by chance.
      #expect(Set(server.ports).count > 3)
      #expect(Set(server.ids).count > 3)
    }
  }
}

/// A name server that the test plays itself, over UDP.
private final class Flooder: Sendable {
  private let socket: Int32
  let address: SocketAddress

  init() throws {
    socket = Glibc.socket(AF_INET, Int32(SOCK_DGRAM.rawValue | SOCK_NONBLOCK.rawValue), 0)
    address = SocketAddress(.loopback4, port: try #require(bindToLoopback(socket, port: 0)))
  }

  deinit { close(socket) }

  /// Where the next question came from; `nil` when none has come.
  func asker() -> sockaddr_in? {
    var peer = sockaddr_in()
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    var query = [UInt8](repeating: 0, count: 512)
    let count = withUnsafeMutablePointer(to: &peer) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        recvfrom(socket, &query, query.count, 0, $0, &length)
      }
    }
    return count > 0 ? peer : nil
  }

  /// Sends 32 replies to nothing that was asked.
  func flood(_ peer: sockaddr_in) {
    let message: [UInt8] = [0, 0, 0x81, 0x80] + [UInt8](repeating: 0, count: 8)
    var peer = peer
    withUnsafeMutablePointer(to: &peer) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        for _ in 0..<32 {
          sendto(socket, message, message.count, 0, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
      }
    }
  }
}
