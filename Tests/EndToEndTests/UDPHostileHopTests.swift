import Foundation
import Testing

/// Hops that lie about UDP; the rows J, T30 and section 2.2 of the protocol's list.
@Suite(.blocking)
struct UDPHostileHopTests {
  typealias Case = HostileHopTests.Case

  /// Answers to UDP ASSOCIATE that are no success.
  private static func answers(
    _ name: String, _ code: UInt8, _ answer: @escaping @Sendable (Socket) throws -> Void
  ) -> Case {
    Case(name, code, "associate") {
      try $0.acceptRequest()
      try answer($0)
    }
  }

  static let answers: [Case] = [
    answers("hangs", 6) { _ = try $0.receiveToEnd() },
    answers("closes, as ssh -D does", 7) { _ in },
    answers("closes within its reply", 7) { try $0.send(5, 0, 0, 1, 127) },
    answers("replies with another version", 1) { try $0.send(4, 0, 0, 1, 127, 0, 0, 1, 0, 9) },
    answers("replies with an unknown address type", 1) { try $0.send(5, 0, 0, 9, 127, 0, 0, 1, 0, 9) },
    answers("replies octet by octet, for longer than it may take", 6) {
      $0.sendWithoutDelay()
      for octet in [5, 0, 0, 3, 255] + [UInt8](repeating: 0x61, count: 257) {
        guard !$0.hasSomethingToRead(within: 100) else { return }
        try $0.send(octet)
      }
    },
    answers("replies with garbage without end", 1) {
      while true { try $0.send([UInt8](repeating: 0xAA, count: 65_536)) }
    },
    answers("says success at port 0", 1) {
      try $0.send(5, 0, 0, 1, 127, 0, 0, 1, 0, 0)
      _ = try $0.receiveToEnd()
    },
    answers("says success at port 0 of an empty name", 1) {
      try $0.send(5, 0, 0, 3, 0, 0, 0)
      _ = try $0.receiveToEnd()
    },
    answers("refuses in two octets", 7) {
      try $0.send(5, 7)
      _ = try $0.receiveToEnd()
    },
    answers("replies with an unknown code", 1) { try $0.send(SOCKS.failure(9)) },
    answers("replies FF", 1) { try $0.send(SOCKS.failure(0xFF)) },
  ]

  /// What a hop says of the association is not what it says of a destination: two codes are passed on.
  static let refusals: [Case] = ([1, 2, 3, 4, 5, 6, 7, 8] as [UInt8]).map { code in
    answers("replies \(code)", [2, 7].contains(code) ? code : 1) { try $0.send(SOCKS.failure(code)) }
  }

  @Test(arguments: HostileHopTests.greeting + answers + refusals, ["bad", "[good, bad]"])
  func `a hop that lies when it is asked`(hostile: Case, chain: String) throws {
    let hop = try Server(serve: hostile.serve)
    let good = try Sockeye("default: direct\n")
    let target = try DatagramServer.echo()
    let sockeye = try Sockeye(
      """
      upstreams:
        good: {url: "socks5://\(good.address)"}
        bad: {url: "socks5://\(hop.address)", timeout: 2s}
      timeouts: {dial: 4s}
      routes: [{port: 1, via: reject}]
      default: \(chain)

      """)
    // The table leaves one chain only, so the client is told the truth before it sends anything.
    let client = try Socket(to: sockeye.address)
    #expect(try client.requestAssociation().code == hostile.code)
    #expect(try client.receiveToEnd().closing == .end)
    let position = chain == "bad" ? "1/1" : "2/2"
    let line = try sockeye.process.line(containing: " udp client=\(client.localAddress) ")
    #expect(line.contains(" failed hop=\(position) bad phase=\(hostile.phase) "), "\(line)")
    #expect(target.payloads == [])
  }

  // MARK: Lies on the way back

  /// Through two scripted hops, of which the first delivers what `forge` makes of each datagram, and then the datagram.
  private func expectForeign(_ reason: String, _ forge: @escaping @Sendable ([UInt8]) -> [UInt8]) throws {
    var script = ScriptedHop.Script()
    script.deliver = { [forge($0), $0] }
    let hops = try [ScriptedHop(script), ScriptedHop()]
    let target = try DatagramServer.echo()
    let sockeye = try UDPChainsTests.serve(through: hops.map(\.address))
    let client = try Association(through: sockeye.address)
    for number in 0..<3 { try client.expectEcho("\(number)", from: target.address) }
    let line = try sockeye.closing(client)
    #expect(line.contains("\(reason):3"), "\(line)")
  }

  @Test(arguments: [0, 1, 4, 9, 10, 13, 14, 19])
  func `a datagram cut within its headers is dropped`(count: Int) throws {
    try expectForeign("foreign") { Array($0.prefix(count)) }
  }

  // FRAG, the address type, the address and the port of the outer header; then FRAG and the address type of the inner
  // one, whose address and port may be anybody's.
  @Test(arguments: [2, 3, 4, 7, 8, 9, 12, 13])
  func `a datagram with other headers than its chain's is dropped`(offset: Int) throws {
    try expectForeign("foreign") { datagram in
      var forged = datagram
      forged[offset] ^= 0x40
      return forged
    }
  }

  @Test(arguments: [0, 1, 10, 11])
  func `the reserved field of a hop's datagram means nothing (G9)`(offset: Int) throws {
    var script = ScriptedHop.Script()
    script.deliver = { datagram in
      var changed = datagram
      changed[offset] = 0x40
      return [changed]
    }
    let hops = try [ScriptedHop(script), ScriptedHop()]
    let target = try DatagramServer.echo()
    let sockeye = try UDPChainsTests.serve(through: hops.map(\.address))
    try Association(through: sockeye.address).expectEcho("hello", from: target.address)
  }

  @Test(arguments: [(0, "foreign"), (10, "unsolicited")])
  func `a name is no relay, and a name that was not asked is no source (G15)`(
    offset: Int, reason: String
  ) throws {
    try expectForeign(reason) {
      let port = SOCKS.bigEndian(9)
      return Array($0[..<offset]) + [0, 0, 0, 3, 9] + Array("some.test".utf8) + port
        + Array($0[(offset + 10)...])
    }
  }

  @Test func `an answer of somebody else's is dropped (G16, T27)`() throws {
    try expectForeign("unsolicited") { datagram in
      var forged = datagram
      forged[14] = 192
      return forged
    }
  }

  @Test func `only the hop's relay is heard (T27)`() throws {
    let hop = try ScriptedHop()
    let target = try DatagramServer.echo()
    let sockeye = try UDPChainsTests.serve(through: [hop.address])
    let client = try Association(through: sockeye.address)
    try client.expectEcho("before", from: target.address)
    let stranger = try DatagramSocket()
    let outlet = try #require(hop.clients.all.first)
    try stranger.send(SOCKS.datagram(to: target.address, Array("forged".utf8)), to: outlet)
    try client.expectEcho("behind", from: target.address)
  }

  // MARK: Lies about the relay

  @Test func `a relay that refuses ends the path, and the log says where`() throws {
    let target = try DatagramServer.echo()
    let dead = try DeadDatagramPort()
    var script = ScriptedHop.Script()
    script.answer = { client, _ in try client.send([5, 0, 0] + SOCKS.encoded(dead.address)) }
    let hop = try ScriptedHop(script)
    let sockeye = try UDPChainsTests.serve(through: [hop.address])
    let client = try Association(through: sockeye.address)
    try eventually("the log tells") {
      try client.send("lost", to: target.address)
      return sockeye.log.contains { $0.contains(" warning udp via=hop1 failed hop=1/1 hop1 phase=relay ") }
    }
    #expect(target.payloads == [])
  }

  @Test func `a hop that relays nothing costs only what is sent to it`() throws {
    let near = try DatagramServer.echo()
    let far = try DatagramServer.echo()
    let sink = try DatagramServer.silent()
    var script = ScriptedHop.Script()
    script.answer = { client, _ in try client.send([5, 0, 0] + SOCKS.encoded(sink.address)) }
    let hop = try ScriptedHop(script)
    let sockeye = try UDPChainsTests.serve(
      through: [hop.address], "routes: [{port: \(near.port), via: direct}]\n")
    let client = try Association(through: sockeye.address)
    for number in 0..<5 {
      try client.send("lost", to: far.address)
      try client.expectEcho("\(number)", from: near.address)
    }
    try sink.received.wait(forCount: 5)
    #expect(sink.payloads == Array(repeating: SOCKS.datagram(to: far.address, Array("lost".utf8)), count: 5))
    #expect(far.payloads == [])
  }

  @Test func `a hop that talks without end on its control connection is not listened to`() throws {
    let target = try DatagramServer.echo()
    var script = ScriptedHop.Script()
    script.answer = { client, relay in
      try client.send([5, 0, 0] + SOCKS.encoded(relay))
      for _ in 0..<32 { try client.send([UInt8](repeating: 5, count: 1 << 20)) }
    }
    let hop = try ScriptedHop(script)
    let sockeye = try UDPChainsTests.serve(through: [hop.address])
    let client = try Association(through: sockeye.address)
    let before = try sockeye.process.residentBytes
    for number in 0..<100 { try client.expectEcho("\(number)", from: target.address) }
    #expect(try sockeye.process.residentBytes - before < 8 << 20)
  }

  @Test func `a hop that floods the client's association with answers floods nobody else`() throws {
    let target = try DatagramServer.echo()
    var script = ScriptedHop.Script()
    script.deliver = { Array(repeating: $0, count: 200) }
    let hop = try ScriptedHop(script)
    let sockeye = try UDPChainsTests.serve(
      through: [hop.address], "routes: [{client: 127.0.0.2, via: direct}]\n")
    let client = try Association(through: sockeye.address)
    let other = try Association(through: sockeye.address, from: "127.0.0.2")
    for number in 0..<20 {
      try client.send("\(number)", to: target.address)
      try other.expectEcho("\(number)", from: target.address)
    }
    #expect(try client.receive().source == target.address)
  }

  @Test func `a reply of any form, octet by octet, with data behind it (J3, J4, T9)`() throws {
    let target = try DatagramServer.echo()
    for name in ["127.0.0.1", "relay.test", String(repeating: "a.", count: 120) + "test"] {
      var script = ScriptedHop.Script()
      script.answer = { client, relay in
        client.sendWithoutDelay()
        for octet in [5, 0, 0xFF] + SOCKS.encoded("\(name):\(portNumber(of: relay))") + [1, 2, 3] {
          try client.send(octet)
        }
      }
      let hop = try ScriptedHop(script)
      let sockeye = try UDPChainsTests.serve(
        through: [hop.address], "hosts: {relay.test: 127.0.0.1, \"*.test\": 127.0.0.1}\n")
      try Association(through: sockeye.address).expectEcho("hello", from: target.address)
    }
  }
}
