import Addresses
import Routing
import Settings
import Testing
import Transport

@testable import Proxy

/// What may still happen when a server has begun to drain.
struct DrainTests {
  private func isOpen(_ address: SocketAddress, on loop: EventLoop) async -> Bool {
    do {
      _ = try await TCPStream.connect(to: address, on: loop, until: .after(patience))
      return true
    } catch {
      return false
    }
  }

  @Test func `a reload that is under way when the server begins to drain serves no new listener`()
    async throws
  {
    try await withServer({ _ in RouteTable(.direct) }) { test in
      let target = try TCPListener(on: SocketAddress(.loopback4, port: 0), loop: test.loop)
      let tunnel = try await test.connect(to: try #require(target.localAddress))
      test.server.drain()
      while await isOpen(test.address, on: test.loop) {}
      var next = test.configuration
      next.listeners.append(
        Listener(address: .tcp(SocketAddress(.loopback4, port: 0)), id: ListenerID(address: "new")))
      let opened = try test.server.change(to: next, on: test.server.running.workers).opened
      guard case .tcp(let address)? = opened.first else { throw CancellationError() }
      #expect(await !isOpen(address, on: test.loop))
      #expect(tunnel.loop === test.loop)
    }
  }

  @Test func `a reload during which the server begins to drain says so, and no listener that it opened`()
    async throws
  {
    try await withServer({ _ in RouteTable(.direct) }) { test in
      let target = try TCPListener(on: SocketAddress(.loopback4, port: 0), loop: test.loop)
      // Without a tunnel the server would end at once.
      let tunnel = try await test.connect(to: try #require(target.localAddress))
      var next = test.configuration
      next.listeners.append(
        Listener(address: .tcp(SocketAddress(.loopback4, port: 0)), id: ListenerID(address: "new")))
      // More than any process may open.
      next.limits.connections = 1 << 40
      test.record.react { test.server.drain() }
      #expect(throws: Server.NotServing.self) { try test.server.reload(next) }
      #expect(throws: Server.NotServing.self) { try test.server.reload(test.configuration) }
      #expect(tunnel.loop === test.loop)
    }
  }
}
