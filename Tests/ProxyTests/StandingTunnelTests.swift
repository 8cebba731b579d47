import Addresses
import Routing
import Settings
import TLS
import Testing
import Transport

@testable import Proxy

/// What a tunnel keeps of the table by which it was opened.
@Suite(.timeLimit(.minutes(10))) struct StandingTunnelTests {
  @Test func `a tunnel keeps no table that a reload has replaced`() async throws {
    try await withServer { _ in
      RouteTable(.direct)
    } _: { server in
      let target = try TCPListener(on: SocketAddress(.loopback4, port: 0), loop: server.loop)
      let client = try await server.connect(to: try #require(target.localAddress))
      let far = try await target.next(on: server.loop)
      weak let replaced = server.server.policy
      #expect(replaced != nil)
      _ = try server.server.reload(server.configuration)
      // What it carries shows that its opening is over.
      try await client.write([1], until: .after(patience))
      var heard: [UInt8] = []
      _ = try await far.read(into: &heard, until: .after(patience))
      #expect(heard == [1])
      #expect(replaced == nil)
    }
  }

  @Test func `a tunnel through a chain keeps no table that a reload has replaced`() async throws {
    try await withServer { _ in
      RouteTable(.direct)
    } _: { server in
      let hop = try TestHop(on: server.loop)
      var configuration = server.configuration
      configuration.table = RouteTable(hop.chain)
      _ = try server.server.reload(configuration)
      async let opened = SharedStream(server.connect(to: SocketAddress(.v4(0xc000_0201), port: 80)))
      let asked = try await hop.nextRequest(on: server.loop)
      try await asked.grant(SocketAddress(.unspecified4, port: 0))
      let client = try await opened
      weak let replaced = server.server.policy
      #expect(replaced != nil)
      try await client.outgoing.write([1], until: .after(patience))
      #expect(try await asked.receive() == [1])
      _ = try server.server.reload(server.configuration)
      await server.server.passTurns(besides: server.loop)
      #expect(replaced == nil)
      // It goes on.
      try await client.outgoing.write([2], until: .after(patience))
      #expect(try await asked.receive() == [2])
    }
  }

  /// Of a group that is replaced: the hop that is taken, and what another member alone has.
  private final class Members: @unchecked Sendable {
    let hop: TestHop
    weak var other: TLSContext?

    init(on loop: EventLoop) throws { hop = try TestHop(on: loop) }

    func configuration(like old: Configuration) throws -> Configuration {
      let context = try TLSContext(TLSContext.Demands(trust: .anything))
      other = context
      let endpoint = Endpoint(hop.address.address, port: hop.address.port)
      let upstreams = [
        Upstream(name: "taken", endpoint: endpoint),
        Upstream(name: "other", endpoint: endpoint, tls: context),
      ]
      let group = Group(name: "exits", members: upstreams.map { Group.Member(.upstream($0)) })
      var configuration = old
      configuration.table = RouteTable(.plan(Plan(.group(group))))
      configuration.upstreams = upstreams
      return configuration
    }
  }

  @Test func `a tunnel through a group keeps no other member that a reload has removed`() async throws {
    try await withServer { _ in
      RouteTable(.direct)
    } _: { server in
      let members = try Members(on: server.loop)
      _ = try server.server.reload(try members.configuration(like: server.configuration))
      async let opened = SharedStream(server.connect(to: SocketAddress(.v4(0xc000_0201), port: 80)))
      let asked = try await members.hop.nextRequest(on: server.loop)
      try await asked.grant(SocketAddress(.unspecified4, port: 0))
      let client = try await opened
      #expect(members.other != nil)
      let taken = try #require(server.server.policy.upstreams.first { $0.name == "taken" })
      func connections() -> Int { server.server.health.standings[taken].connections }
      // What it carries shows that its opening is over.
      try await client.outgoing.write([1], until: .after(patience))
      #expect(try await asked.receive() == [1])
      #expect(connections() == 1)
      _ = try server.server.reload(server.configuration)
      await server.server.passTurns(besides: server.loop)
      #expect(members.other == nil)
      #expect(connections() == 1)
      asked.close()
      _ = try? client.outgoing.shutdownWriting()
      let event = try await server.record.nextEvent()
      #expect(event.plan == "exits" && event.way?.description == "taken")
      #expect(connections() == 0)
    }
  }
}
