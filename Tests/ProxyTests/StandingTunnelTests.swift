import Addresses
import Routing
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
}
