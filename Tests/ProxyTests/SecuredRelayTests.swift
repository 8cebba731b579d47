import Addresses
import Glibc
import TLS
import TLSPeer
import Testing

@testable import Proxy
@testable import Transport

/// A tunnel whose upstream is reached over TLS, as it is relayed.
@Suite(.timeLimit(.minutes(10))) struct SecuredRelayTests {
  /// A client, the relay, and the peer behind the TLS.
  private final class Tunnel: @unchecked Sendable {
    private(set) var client: SharedStream?
    private(set) var peer: SecuredPeer?
    private var relay: TCPRelay?
    /// Bytes that went up and down, when it is over.
    private(set) var counts: [UInt64] = []

    init(client: SharedStream, relay: TCPRelay, peer: SecuredPeer) {
      self.client = client
      self.relay = relay
      self.peer = peer
    }

    /// Relays until it is over; both of the relay's ends are closed then.
    func run() async -> TCPRelay.Ending? {
      guard let relay = relay.take() else { return nil }
      await relay.run()
      counts = [relay.up.byteCount, relay.down.byteCount]
      return relay.ending
    }

    /// Lets go of the connection, which closes.
    func hangUp() { peer = nil }
    func leave() { client = nil }

    static func make(
      on loop: EventLoop, isSmall: Bool = false, version: TLSServer.Version = .tls13, early: [UInt8] = []
    ) async throws -> Tunnel {
      let certificate = Certificate(for: "DNS:proxy.test")
      let context = try TLSContext(TLSContext.Demands(trust: .authorities(certificate.pem)))
      let (upstream, peer) = try await withConnection(on: loop, isSmall: isSmall) { upstream, far in
        let peer = SecuredPeer(try SharedStream(far), TLSServer(certificate, version: version))
        let box = StreamBox(upstream)
        async let established: Void = peer.establish()
        try await box.secure(with: context, to: "proxy.test")
        try await established
        return (box, peer)
      }
      return try await withConnection(on: loop, isSmall: isSmall) { client, inlet in
        let relay = TCPRelay(
          client: inlet, upstream: upstream.take(), fromClient: early, fromUpstream: [], idle: patience,
          halfClosed: patience)
        return Tunnel(client: try SharedStream(client), relay: relay, peer: peer)
      }
    }
  }

  @Test(arguments: [
    (1, false, TLSServer.Version.tls13), (100_000, true, .tls13), (100_000, true, .tls12),
    (8 << 20, false, .tls13), (8 << 20, false, .tls12),
  ])
  func `both directions carry everything at once, and then each its end`(
    count: Int, isSmall: Bool, version: TLSServer.Version
  ) async throws {
    try await onLoop { loop in
      let tunnel = try await Tunnel.make(on: loop, isSmall: isSmall, version: version, early: [1, 2, 3])
      let (client, peer) = (try #require(tunnel.client), try #require(tunnel.peer))
      let sent = pattern(count)
      async let ending = tunnel.run()
      async let up = peer.takeAll()
      async let down = client.readAll()
      async let answered: Void = peer.write(sent)
      try await client.writeAndEnd(sent)
      try await answered
      let whole = try await up == [1, 2, 3] + sent
      #expect(whole)
      #expect(peer.server.hasEnded)
      // The other direction goes on behind that end.
      try await peer.write([4, 5, 6])
      try await peer.end()
      let answer = try await down == sent + [4, 5, 6]
      #expect(answer)
      #expect(await ending == .finished)
      #expect(tunnel.counts == [UInt64(count + 3), UInt64(count + 3)])
    }
  }

  // The peer keeps its connection open: its word alone is the end.
  @Test func `the peer's end reaches the client, and the client may go on`() async throws {
    try await onLoop { loop in
      let tunnel = try await Tunnel.make(on: loop)
      let (client, peer) = (try #require(tunnel.client), try #require(tunnel.peer))
      async let ending = tunnel.run()
      // In one flight with the last bytes.
      peer.server.write([1, 2, 3])
      try await peer.end()
      #expect(try await client.readAll() == [1, 2, 3])
      try await client.writeAndEnd(pattern(100_000))
      let whole = try await peer.takeAll() == pattern(100_000)
      #expect(whole)
      #expect(peer.server.hasEnded)
      #expect(await ending == .finished)
    }
  }

  @Test func `what arrives octet by octet is relayed`() async throws {
    try await onLoop { loop in
      let tunnel = try await Tunnel.make(on: loop)
      let (client, peer) = (try #require(tunnel.client), try #require(tunnel.peer))
      async let ending = tunnel.run()
      async let down = client.readAll()
      peer.server.write(pattern(3000))
      peer.server.write(pattern(10))
      peer.server.end()
      try await peer.flushSlowly()
      #expect(try await down == pattern(3000) + pattern(10))
      try await client.writeAndEnd([])
      #expect(try await peer.takeAll() == [])
      #expect(await ending == .finished)
    }
  }

  @Test func `a transfer that is cut does not look whole`() async throws {
    try await onLoop { loop in
      let tunnel = try await Tunnel.make(on: loop)
      let client = try #require(tunnel.client)
      async let ending = tunnel.run()
      try await tunnel.peer?.write(pattern(1000))
      tunnel.hangUp()
      #expect(await ending == .reset)
      await #expect(throws: Errno.connectionReset) { try await client.readAll() }
    }
  }

  // The relay's socket towards the client holds most of it when the end comes.
  @Test func `what came before a transfer was cut is delivered before the reset`() async throws {
    try await onLoop { loop in
      let tunnel = try await Tunnel.make(on: loop)
      let client = try #require(tunnel.client)
      let sent = pattern(300_000)
      client.outgoing.holdLittle()
      async let ending = tunnel.run()
      try await tunnel.peer?.write(sent)
      tunnel.hangUp()
      let rest = try await client.rest()
      #expect(rest.bytes == sent && rest.isReset, "\(rest.bytes.count)")
      #expect(await ending == .reset)
      #expect(tunnel.counts == [0, UInt64(sent.count)])
    }
  }

  @Test func `a peer that floods with new keys ends its own tunnel`() async throws {
    try await onLoop { loop in
      let tunnel = try await Tunnel.make(on: loop)
      let (client, peer) = (try #require(tunnel.client), try #require(tunnel.peer))
      async let ending = tunnel.run()
      try await peer.write([1, 2, 3])
      for _ in 0..<100 { peer.server.updateKeys() }
      try await peer.flush()
      #expect(await ending == .reset)
      let rest = try await client.rest()
      #expect(rest.bytes == [1, 2, 3] && rest.isReset)
    }
  }

  @Test func `a client that is cut off does not look finished`() async throws {
    try await onLoop { loop in
      let tunnel = try await Tunnel.make(on: loop)
      async let ending = tunnel.run()
      try await tunnel.client?.write(pattern(1000))
      tunnel.client?.outgoing.resetOnClose()
      tunnel.leave()
      #expect(await ending == .reset)
      let peer = try #require(tunnel.peer)
      _ = try? await peer.takeAll()
      #expect(!peer.server.hasEnded)
    }
  }

  @Test(arguments: [true, false])
  func `new keys in the middle hold nothing up`(isSmall: Bool) async throws {
    try await onLoop { loop in
      let tunnel = try await Tunnel.make(on: loop, isSmall: isSmall)
      let (client, peer) = (try #require(tunnel.client), try #require(tunnel.peer))
      let sent = pattern(100_000)
      async let ending = tunnel.run()
      async let down = client.readAll()
      async let written: Void = client.writeAndEnd(sent)
      // While the relay has everything full towards a peer that reads nothing, it is asked for new keys.
      for _ in 0..<5 {
        try await peer.write(pattern(1000))
        try await peer.updateKeys()
      }
      try await peer.write([1])
      let whole = try await peer.takeAll() == sent
      #expect(whole)
      try await peer.end()
      try await written
      let answer = try await down == (0..<5).flatMap { _ in pattern(1000) } + [1]
      #expect(answer)
      #expect(await ending == .finished)
      #expect(!peer.server.hasFailed)
    }
  }

  @Test func `garbage in the middle is a reset`() async throws {
    try await onLoop { loop in
      let tunnel = try await Tunnel.make(on: loop)
      let (client, peer) = (try #require(tunnel.client), try #require(tunnel.peer))
      async let ending = tunnel.run()
      try await peer.send([UInt8](repeating: 7, count: 100))
      #expect(await ending == .reset)
      await #expect(throws: Errno.connectionReset) { try await client.readAll() }
    }
  }
}
