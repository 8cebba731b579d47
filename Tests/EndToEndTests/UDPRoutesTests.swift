import Testing

/// Each datagram's destination has a verdict of its own.
@Suite(.blocking)
struct UDPRoutesTests {
  private func association(_ sockeye: Sockeye, _ number: Int = 0) throws -> Association {
    try Association(through: sockeye.addresses[number])
  }

  @Test func `one association leaves by several ways at the same time (G21)`() throws {
    let targets = try (0..<4).map { _ in try DatagramServer.echo() }
    let hops = try [Dante(external: "127.0.0.5"), Dante(external: "127.0.0.6")]
    let sockeye = try Sockeye(
      """
      upstreams:
        five: socks5://\(hops[0].address)
        six: socks5://\(hops[1].address)
      routes:
        - {port: \(targets[0].port), via: five}
        - {port: \(targets[1].port), via: six}
        - {port: \(targets[2].port), via: reject}
      default: direct

      """)
    let client = try association(sockeye)
    for _ in 0..<3 {
      for target in targets { try client.send(Array(target.address.utf8), to: target.address) }
      // Replies merge in any order, each with its true source.
      var sources: Set<String> = []
      for _ in 0..<3 {
        let answer = try client.receive()
        #expect(answer.bytes == Array(answer.source.utf8))
        sources.insert(answer.source)
      }
      #expect(sources == [targets[0].address, targets[1].address, targets[3].address])
    }
    for (target, prefix) in zip(
      [targets[0], targets[1], targets[3]], ["127.0.0.5:", "127.0.0.6:", "127.0.0.1:"])
    {
      #expect(target.received.all.allSatisfy { $0.source.hasPrefix(prefix) })
    }
    #expect(targets[2].payloads == [])
    #expect(try sockeye.closing(client).contains("rejected:3"))
  }

  @Test(arguments: ["network: udp", "command: udp"])
  func `a route may be for UDP alone`(condition: String) throws {
    let target = try DatagramServer.echo()
    let other = try DatagramServer.echo(on: "127.0.0.2:0")
    let tcp = try Server.echo(on: "127.0.0.2:0")
    let sockeye = try Sockeye("routes: [{\(condition), ip: 127.0.0.2, via: reject}]\ndefault: direct\n")
    let client = try association(sockeye)
    try client.send("refused", to: other.address)
    try client.expectEcho("hello", from: target.address)
    #expect(other.payloads == [])
    #expect(try Socket(to: sockeye.address).requestConnect(to: tcp.address).code == 0)
  }

  @Test func `a user's routes hold for UDP as for CONNECT (T33)`() throws {
    let target = try DatagramServer.echo()
    let other = try DatagramServer.echo(on: "127.0.0.2:0")
    let tcp = try Server.echo(on: "127.0.0.2:0")
    let sockeye = try Sockeye(
      """
      listen: {address: "127.0.0.1:0", users: {alice: a, bob: b}}
      routes:
        - {user: alice, ip: 127.0.0.2, via: reject}
        - {user: alice, via: direct}
        - {user: bob, ip: 127.0.0.2, via: direct}
      default: reject

      """)
    let alice = try Association(through: sockeye.address, as: ("alice", "a"))
    try alice.send("refused", to: other.address)
    try alice.expectEcho("from alice", from: target.address)
    let bob = try Association(through: sockeye.address, as: ("bob", "b"))
    try bob.send("refused", to: target.address)
    try bob.expectEcho("from bob", from: other.address)
    #expect(target.payloads == [Array("from alice".utf8)])
    #expect(other.payloads == [Array("from bob".utf8)])
    for (user, code) in [("alice", 2), ("bob", 0)] as [(String, UInt8)] {
      let client = try Socket(to: sockeye.address)
      try client.send([5, 1, 2])
      #expect(try client.receive(exactly: 2) == [5, 2])
      try client.send(SOCKS.credentials(user, String(user.prefix(1))))
      #expect(try client.receive(exactly: 2) == [1, 0])
      #expect(try client.request(SOCKS.connect(to: tcp.address)).code == code)
    }
    #expect(try sockeye.closing(alice).contains(" user=alice "))
  }

  @Test func `routes see the client and the listener`() throws {
    let target = try DatagramServer.echo()
    let sockeye = try Sockeye(
      """
      listen:
        - 127.0.0.1:0
        - {address: "127.0.0.1:0", name: guests}
      routes:
        - {listener: guests, via: reject}
        - {client: 127.0.0.8/29, via: reject}
      default: direct

      """)
    try association(sockeye).expectEcho("hello", from: target.address)
    #expect(try Socket(to: sockeye.addresses[1]).requestAssociation().code == 2)
    #expect(try Socket(to: sockeye.addresses[0], from: "127.0.0.9").requestAssociation().code == 2)
  }

  @Test func `what a chain cannot carry goes where its route says, and nowhere else`() throws {
    let targets = try (0..<3).map { _ in try DatagramServer.echo() }
    let micro = try Microsocks()
    let dante = try Dante(external: "127.0.0.5")
    let sockeye = try Sockeye(
      """
      upstreams:
        micro: {url: "socks5://\(micro.address)", udp: no}
        dante: socks5://\(dante.address)
      routes:
        - {port: \(targets[0].port), via: micro, udp: direct}
        - {port: \(targets[1].port), via: [dante, micro], udp: dante}
      default: micro

      """)
    let client = try association(sockeye)
    try client.send("lost", to: targets[2].address)
    try client.expectEcho("hello", from: targets[0].address)
    try client.expectEcho("hello", from: targets[1].address)
    #expect(targets[0].received.all.allSatisfy { $0.source.hasPrefix("127.0.0.1:") })
    #expect(targets[1].received.all.allSatisfy { $0.source.hasPrefix("127.0.0.5:") })
    #expect(targets[2].payloads == [])
  }

  @Test func `that a chain carries no UDP is learnt from its first refusal`() throws {
    let targets = try (0..<2).map { _ in try DatagramServer.echo() }
    let micro = try Microsocks()
    let sockeye = try Sockeye(
      """
      upstreams:
        micro: socks5://\(micro.address)
      routes:
        - {port: \(targets[0].port), via: micro, udp: direct}
        - {port: \(targets[1].port), via: micro}
      default: reject

      """)
    let client = try association(sockeye)
    try client.send("lost", to: targets[1].address)
    try sockeye.process.line(
      containing: " warning udp via=micro failed hop=1/1 micro phase=associate reply=07 ")
    // Also what waited for the chain.
    try eventually("the alternative is taken") {
      try client.send("hello", to: targets[0].address)
      return client.socket.hasSomethingToRead(within: 100)
    }
    #expect(try client.receive().source == targets[0].address)
    #expect(targets[1].payloads == [])
  }
}
