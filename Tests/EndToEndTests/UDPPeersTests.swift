import Testing

/// The tests' own UDP servers and clients and the real peers, without Sockeye: when one of these fails, look here first.
@Suite(.blocking)
struct UDPPeersTests {
  @Test func `Dante relays a datagram and its answer`() throws {
    let target = try DatagramServer.echo()
    let hop = try Dante()
    let client = try Association(through: hop.address)
    try client.expectEcho("there and back", from: target.address)
    try client.expectEcho([], from: target.address)
    try client.expectEcho([UInt8](repeating: 7, count: 60_000), from: target.address)
  }

  @Test func `Dante leaves from the address it was given`() throws {
    let target = try DatagramServer.echo()
    let hop = try Dante(external: "127.0.0.5")
    try Association(through: hop.address).expectEcho("hello", from: target.address)
    #expect(target.received.all.allSatisfy { $0.source.hasPrefix("127.0.0.5:") })
  }

  @Test func `Dante ends an association with its control connection`() throws {
    let hop = try Dante()
    let client = try Association(through: hop.address)
    client.control.finish()
    try client.waitForEnd()
  }

  @Test func `datagrams nest through two hops, the inner behind the outer`() throws {
    let target = try DatagramServer.echo()
    let outer = try ScriptedHop()
    let inner = try Dante(external: "127.0.0.5")
    let first = try Association(through: outer.address)
    let control = try Socket(to: outer.address)
    #expect(try control.requestConnect(to: inner.address).code == 0)
    let relay = try control.requestAssociation().bound
    try first.send(SOCKS.datagram(to: target.address, [1, 2, 3]), to: relay)
    let answer = try first.receive()
    #expect(answer.source == relay)
    #expect(try #require(SOCKS.unwrap(answer.bytes)) == (target.address, [1, 2, 3]))
    #expect(target.received.all.map(\.source).allSatisfy { $0.hasPrefix("127.0.0.5:") })
    #expect(outer.destinations.all == [relay] && outer.connections.all == [inner.address])
  }

  @Test func `a scripted hop lies as it is told`() throws {
    var script = ScriptedHop.Script()
    script.names = ["target.test": "127.0.0.1"]
    script.answer = { client, relay in
      try client.send([5, 0, 0] + SOCKS.encoded("0.0.0.0:\(portNumber(of: relay))"))
    }
    script.deliver = { [$0, Array($0.reversed())] }
    let hop = try ScriptedHop(script)
    let target = try DatagramServer.echo()
    let control = try Socket(to: hop.address)
    let bound = try control.requestAssociation(hint: "127.0.0.9:7").bound
    #expect(bound.hasPrefix("0.0.0.0:"))
    let client = try DatagramSocket()
    try client.connect(to: "127.0.0.1:\(portNumber(of: bound))")
    try client.send(SOCKS.datagram(to: "target.test:\(target.port)", [1, 2]))
    let answer = SOCKS.datagram(to: target.address, [1, 2])
    #expect(try client.receive().bytes == answer)
    #expect(try client.receive().bytes == answer.reversed())
    #expect(hop.hints.all == ["127.0.0.9:7"] && hop.destinations.all == ["“target.test”:\(target.port)"])
    hop.endAssociations()
    #expect(try control.receiveToEnd().bytes == [])
  }

  @Test func `dig asks through Dante, and through nobody else`() throws {
    let names = try NameServer(["some.test": .addresses(["127.0.0.7"])])
    let hop = try Dante(external: "127.0.0.5")
    let exit = try Client.dig("some.test", at: names.address, through: hop.address)
    #expect(exit.output == ["127.0.0.7"], "\(exit)")
    try hop.process.line(containing: "udp/udpassociate")
    let dead = try DeadPort()
    #expect(try Client.dig("some.test", at: names.address, through: dead.address).output != ["127.0.0.7"])
    #expect(names.questions.all.count == 1)
  }

  @Test func `PySocks and Perl send through Dante`() throws {
    let target = try DatagramServer.echo()
    let hop = try Dante(external: "127.0.0.5")
    for connected in [false, true] {
      let exit = try Client.pySocks(
        through: hop.address, send: "hello", to: "127.0.0.1", target.port, connected: connected)
      #expect(exit.output == ["hello \(target.address)"], "\(exit)")
    }
    let exit = try Client.perl(through: hop.address, send: "hello", to: "127.0.0.1", target.port)
    #expect(exit.output == ["hello \(target.address)"], "\(exit)")
    #expect(target.received.all.allSatisfy { $0.source.hasPrefix("127.0.0.5:") })
  }

  @Test func `OpenVPN completes its initialization through Dante`() throws {
    let (near, far) = (try Network(), try Network())
    try near.connect(as: "10.77.0.1/24", to: far, as: "10.77.0.2/24")
    let hop = try Dante(external: "10.77.0.1", in: near)
    let tunnel = try OpenVPN(client: near, server: far, at: "10.77.0.2", through: hop.address)
    try tunnel.waitForInitialization()
    #expect(try tunnel.pass("through the tunnel") == ["through the tunnel"])
    try hop.process.line(containing: "udp/udpassociate")
  }
}
