import Addresses
import Settings
import Testing
import Transport
import Wire

@testable import Proxy
@testable import Routing

/// Conversations with a server about datagrams.
@Suite(.timeLimit(.minutes(10)))
struct AssociationTests {
  /// Datagrams to `somewhere` leave through the hop, all others directly: so nothing is opened in advance.
  static func table(_ chain: Outcome) -> RouteTable {
    RouteTable(
      routes: [
        Route(
          condition: .ip([somewhere]), outcome: chain, source: SourceLine(file: "test.yaml", line: 1))
      ], fallback: .direct)
  }

  static let somewhere = Prefix(.v4(0xc633_6400), length: 24)
  static let there = Endpoint(.v4(0xc633_6407), port: 7)

  @Test func `a client that leaves while its chain is opened does not put it out of use for others`()
    async throws
  {
    let (hops, offer) = AsyncStream<TestHop>.makeStream()
    try await withServer { loop in
      let hop = try TestHop(on: loop)
      offer.yield(hop)
      return Self.table(hop.chain)
    } _: { server in
      let hop = try #require(await hops.first { _ in true })
      let first = try await TestAssociation(server)
      try first.send("lost", to: Self.there)
      let unanswered = try await hop.nextRequest(on: server.loop)
      #expect(unanswered.request.command == .associate)
      first.close()
      _ = try await server.record.nextEvent()

      let second = try await TestAssociation(server)
      try second.send("hello", to: Self.there)
      let relay = try Peer(on: server.loop)
      let control = try await hop.nextRequest(on: server.loop)
      try await control.grant(relay.address)
      let header = SOCKS5.DatagramHeader(Self.there).bytes
      let datagram = try await relay.receive()
      #expect(datagram.bytes == header + "hello".utf8)
      #expect(server.record.failureCount == 0)
      control.close()
    }
  }

  @Test func `a hop that ends one client's association is asked for the next client's`() async throws {
    let (hops, offer) = AsyncStream<TestHop>.makeStream()
    try await withServer { loop in
      let hop = try TestHop(on: loop)
      offer.yield(hop)
      return Self.table(hop.chain)
    } _: { server in
      let hop = try #require(await hops.first { _ in true })
      let relay = try Peer(on: server.loop)
      let first = try await TestAssociation(server)
      try first.send("deadly", to: Self.there)
      let fatal = try await hop.nextRequest(on: server.loop)
      try await fatal.grant(relay.address)
      _ = try await relay.receive()
      fatal.close()

      let second = try await TestAssociation(server)
      try second.send("hello", to: Self.there)
      let control = try await hop.nextRequest(on: server.loop)
      try await control.grant(relay.address)
      #expect(try await relay.receive().bytes.suffix(5) == Array("hello".utf8)[...])
      control.close()
    }
  }

  @Test func `a hop is known to carry datagrams while a path through it is open, and not for ever`()
    async throws
  {
    let (hops, offer) = AsyncStream<TestHop>.makeStream()
    try await withServer { loop in
      let hop = try TestHop(on: loop)
      offer.yield(hop)
      return Self.table(hop.chain)
    } _: { server in
      let hop = try #require(await hops.first { _ in true })
      guard case .chain(let chain) = hop.chain else { throw CancellationError() }
      func isCarrier(after duration: Duration) -> Bool {
        server.server.outages.hasCarried(
          at: .hop(0, of: 1, name: "hop0"), of: chain, now: .after(duration))
      }
      let client = try await TestAssociation(server)
      try client.send("hello", to: Self.there)
      let relay = try Peer(on: server.loop)
      let control = try await hop.nextRequest(on: server.loop)
      try await control.grant(relay.address)
      _ = try await relay.receive()
      #expect(isCarrier(after: .seconds(3600)))
      client.close()
      _ = try await server.record.nextEvent()
      #expect(isCarrier(after: .zero))
      #expect(!isCarrier(after: .seconds(3600)))
      control.close()
    }
  }

  @Test(arguments: [.generalFailure, .notAllowed, nil] as [SOCKS5.ReplyCode?])
  func `a hop that refuses one client's association is asked for the next client's`(
    code: SOCKS5.ReplyCode?
  ) async throws {
    let (hops, offer) = AsyncStream<TestHop>.makeStream()
    try await withServer { loop in
      let hop = try TestHop(on: loop)
      offer.yield(hop)
      return Self.table(hop.chain)
    } _: { server in
      let hop = try #require(await hops.first { _ in true })
      let first = try await TestAssociation(server)
      try first.send("too many", to: Self.there)
      let refused = try await hop.nextRequest(on: server.loop)
      if let code { try await refused.refuse(code) }
      refused.close()
      _ = try await server.record.nextFailure()

      let relay = try Peer(on: server.loop)
      let second = try await TestAssociation(server)
      try second.send("hello", to: Self.there)
      let control = try await hop.nextRequest(on: server.loop)
      try await control.grant(relay.address)
      #expect(try await relay.receive().bytes.suffix(5) == Array("hello".utf8)[...])
      withExtendedLifetime(first) { control.close() }
    }
  }

  @Test(arguments: [true, false])
  func `datagrams take another way only where a hop says that it carries none`(says: Bool) async throws {
    let (hops, offer) = AsyncStream<TestHop>.makeStream()
    let nearby = IPAddress.v4(0x7f00_0005)
    try await withServer { loop in
      let hop = try TestHop(on: loop)
      offer.yield(hop)
      let route = Route(
        condition: .ip([Prefix(nearby, length: 32)]), outcome: hop.chain, udp: .direct,
        source: SourceLine(file: "test.yaml", line: 1))
      return RouteTable(routes: [route], fallback: .direct)
    } _: { server in
      let hop = try #require(await hops.first { _ in true })
      let peer = try Peer(nearby, on: server.loop)
      let association = try await TestAssociation(server)
      try association.send("hello", to: peer.address)
      let asked = try await hop.nextRequest(on: server.loop)
      if says { try await asked.refuse(.commandNotSupported) }
      asked.close()
      if says {
        #expect(try await peer.receive().bytes == Array("hello".utf8))
      } else {
        #expect(try await server.record.nextFailure().cause == .closed)
      }
      association.close()
      let datagrams = try #require(try await server.record.nextEvent().datagrams)
      #expect(datagrams.up == (says ? 1 : 0))
      #expect(datagrams.drops[.noPath] == (says ? 0 : 1))
    }
  }

  /// The hops of a group, and what datagrams to 127.1.0.0/16 come to.
  private typealias Members = [(hop: TestHop, upstream: Upstream)]

  private func table(
    _ offer: AsyncStream<Members>.Continuation, _ count: Int, _ strategy: Group.Strategy,
    udp alternative: Outcome? = nil, on loop: EventLoop
  ) throws -> RouteTable {
    let members: Members = try (0..<count).map { index in
      let hop = try TestHop(on: loop)
      let endpoint = Endpoint(hop.address.address, port: hop.address.port)
      return (hop, Upstream(name: "hop\(index)", endpoint: endpoint))
    }
    offer.yield(members)
    let group = Group(
      name: "exits", members: members.map { Group.Member(.upstream($0.upstream)) }, strategy: strategy)
    let route = Route(
      condition: .ip([Prefix(.v4(0x7f01_0000), length: 16)]), outcome: .plan(Plan(.group(group))),
      udp: alternative, source: SourceLine(file: "test.yaml", line: 1))
    return RouteTable(routes: [route], fallback: .direct)
  }

  /// An address in 127.1.0.0/16.
  private func place(_ number: Int) -> Endpoint { Endpoint(.v4(0x7f01_0000 + UInt32(number)), port: 9) }

  @Test(arguments: [false, true])
  func `a group without a way is searched once a second, however many destinations a client sends to`(
    hasAlternative: Bool
  ) async throws {
    let (groups, offer) = AsyncStream<Members>.makeStream()
    try await withServer { loop in
      try self.table(offer, 2, .roundRobin, udp: hasAlternative ? .direct : nil, on: loop)
    } _: { server in
      let members = try #require(await groups.first { _ in true })
      let association = try await TestAssociation(server)
      let peer = try Peer(on: server.loop)
      try association.send("first", to: self.place(0))
      for (hop, _) in members {
        let asked = try await hop.nextRequest(on: server.loop)
        try await asked.refuse(.commandNotSupported)
        asked.close()
      }
      for _ in 0..<3 { _ = try await server.record.nextFailure() }
      /// Each search takes two turns: one for each member that it comes to.
      func turns() -> Int { server.server.health.standings.turns["exits", default: 0] }
      let before = turns()
      for number in 1...200 { try association.send("lost", to: self.place(number)) }
      try association.send("last", to: peer.address)
      #expect(try await peer.receive().bytes == Array("last".utf8))
      #expect(turns() - before < 200)
      association.close()
      let datagrams = try #require(try await server.record.nextEvent().datagrams)
      #expect(datagrams.drops[.noPath] == (hasAlternative ? 0 : 201))
      #expect(datagrams.up == (hasAlternative ? 202 : 1))
    }
  }

  @Test func `a path that has ended counts no longer among the connections of its hops`() async throws {
    let (groups, offer) = AsyncStream<Members>.makeStream()
    try await withServer { loop in
      try self.table(offer, 1, .leastConnections, on: loop)
    } _: { server in
      let (hop, upstream) = try #require(await groups.first { _ in true })[0]
      func connections() -> Int { server.server.health.standings[upstream].connections }
      let association = try await TestAssociation(server)
      let relay = try Peer(on: server.loop)
      try association.send("hello", to: self.place(0))
      let control = try await hop.nextRequest(on: server.loop)
      try await control.grant(relay.address)
      _ = try await relay.receive()
      #expect(connections() == 1)
      control.close()
      #expect(try await server.record.nextFailure().phase == .relay)
      #expect(connections() == 0)
      association.close()
      _ = try await server.record.nextEvent()
      #expect(connections() == 0)
    }
  }

  @Test func `T19: strangers keep no association from being idle`() async throws {
    var timeouts = Timeouts()
    timeouts.udpIdle = .seconds(2)
    try await withServer(timeouts: timeouts) { _ in
      RouteTable(.direct)
    } _: { server in
      let association = try await TestAssociation(server)
      let stranger = try Peer(.v4(0x7f00_0009), on: server.loop)
      let header = SOCKS5.DatagramHeader(Self.there).bytes
      await withTaskGroup { group in
        group.addTask(executorPreference: server.loop) {
          while !Task.isCancelled {
            // Nobody may be there any more. It is not waited for anything: strangers keep on sending, at this pace.
            try? stranger.send(header, to: association.relay)
            try? await server.loop.sleep(until: .after(.milliseconds(10)))
          }
        }
        await #expect(throws: Never.self) { try await association.waitForEnd() }
        group.cancelAll()
      }
      let event = try await server.record.nextEvent()
      guard case .idle = event.ending else {
        Issue.record("it ended otherwise: \(event.ending)")
        return
      }
      #expect(try #require(event.datagrams).drops[.stranger] > 0)
    }
  }

  @Test func `a datagram is wrapped once per hop, and an answer counts only in the same headers`()
    async throws
  {
    let (hops, offer) = AsyncStream<[TestHop]>.makeStream()
    try await withServer { loop in
      let chain = [try TestHop(on: loop), try TestHop(on: loop)]
      offer.yield(chain)
      return Self.table(TestHop.chain(chain))
    } _: { server in
      let hops = try #require(await hops.first { _ in true })
      let association = try await TestAssociation(server)
      try association.send("hello", to: Self.there)

      let relay = try Peer(on: server.loop)
      let innerRelay = SocketAddress(.v4(0x7f00_0002), port: 2000)
      // Each hop has a control connection, the second's through the first.
      var controls: [Requested] = []
      for _ in 0..<2 {
        let asked = try await hops[0].nextRequest(on: server.loop)
        if asked.request.command == .associate {
          #expect(asked.request.destination == Endpoint(.unspecified4, port: 0))
          try await asked.grant(relay.address)
        } else {
          #expect(asked.request.destination.socketAddress == hops[1].address)
          try await asked.grant(SocketAddress(.unspecified4, port: 0))
          let request = try await asked.hearAgain()
          #expect(request == SOCKS5.Request(.associate, to: Endpoint(.unspecified4, port: 0)))
          try await asked.grant(innerRelay)
        }
        controls.append(asked)
      }
      let outer = SOCKS5.DatagramHeader(Endpoint(innerRelay.address, port: innerRelay.port)).bytes
      let inner = SOCKS5.DatagramHeader(Self.there).bytes
      let datagram = try await relay.receive()
      #expect(datagram.bytes == outer + inner + "hello".utf8)

      func answer(_ outer: [UInt8], _ inner: [UInt8], _ text: String) throws {
        try relay.send(outer + inner + text.utf8, to: datagram.source)
      }
      func header(_ host: String, _ port: UInt16) throws -> [UInt8] {
        SOCKS5.DatagramHeader(Endpoint(try Host(nameField: Array(host.utf8)), port: port)).bytes
      }
      // None of these is from the second hop's relay: another port, another address, a name, a fragment, too short.
      try answer(header("127.0.0.2", 2001), inner, "1")
      try answer(header("127.0.0.3", 2000), inner, "2")
      try answer(header("relay.test", 2000), inner, "3")
      try answer([0, 0, 1] + outer.dropFirst(3), inner, "4")
      try answer(Array(outer.dropLast()), [], "")
      // Nor were these destinations sent to.
      try answer(outer, header("there.test", 7), "5")
      try answer(outer, header("198.51.100.8", 7), "6")
      try answer(outer, inner, "world")
      let received = try await association.receive()
      #expect(received.text == "world")
      #expect(received.source == Self.there)

      withExtendedLifetime(controls) { association.close() }
      let drops = try #require(try await server.record.nextEvent().datagrams).drops
      #expect(drops[.foreign] == 5)
      #expect(drops[.unsolicited] == 2)
    }
  }
}
