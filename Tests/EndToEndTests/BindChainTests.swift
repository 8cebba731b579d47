import Foundation
import Testing

/// BIND through chains (F9): the last hop awaits the peer.
@Suite(.blocking)
struct BindChainTests {
  /// A hop of the tests' own: behind a greeting and a BIND, `serve` has its word.
  private func hop(_ serve: @escaping @Sendable (Socket) throws -> Void) throws -> Server {
    try Server { client in
      try client.acceptRequest()
      try serve(client)
    }
  }

  private func sockeye(_ hops: [String], _ more: String = "") throws -> Sockeye {
    let upstreams = hops.enumerated().map { "  hop\($0): {url: \"\($1)\", timeout: 10s}\n" }.joined()
    let chain = hops.indices.map { "hop\($0)" }.joined(separator: ", ")
    return try Sockeye("upstreams:\n\(upstreams)\(more)default: [\(chain)]\n")
  }

  private func expectTunnel(_ client: Socket, to peer: Socket) throws {
    try client.send("to the peer")
    #expect(try peer.receive(exactly: 11) == Array("to the peer".utf8))
    try peer.send("to the client")
    peer.finish()
    #expect(try client.receiveToEnd() == (Array("to the client".utf8), .end))
    client.finish()
  }

  private static let chains = [
    ["sockeye"], ["sockeye 4a"], ["dante"], ["sockeye", "sockeye"], ["dante", "sockeye 4a"],
    ["sockeye 4a", "dante"], ["sockeye", "dante", "sockeye"],
  ]

  @Test(arguments: chains, [4, 5])
  func `both replies are the last hop's, and then it is a tunnel (F9)`(chain: [String], version: Int) throws {
    var sockeyes: [Sockeye] = []
    var dantes: [Dante] = []
    let hops = try chain.map { kind in
      if kind == "dante" {
        dantes.append(try Dante())
        return "socks5://\(dantes[dantes.count - 1].address)"
      }
      sockeyes.append(try Sockeye("default: direct\n"))
      return (kind == "sockeye" ? "socks5://" : "socks4a://") + sockeyes[sockeyes.count - 1].address
    }
    let sockeye = try sockeye(hops)
    let own = try sockeye.process.listenerCount
    let client = try Socket(to: sockeye.address)
    if version == 5 {
      try client.send(SOCKS.noAuthentication)
      _ = try client.receive(exactly: 2)
    }
    let first =
      version == 5
      ? try client.request(SOCKS.request(command: 2, to: "127.0.0.1:0"))
      : try client.requestSOCKS4(SOCKS4.request(2, to: "127.0.0.1:0"))
    #expect(first.code == (version == 5 ? 0 : SOCKS4.granted) && first.bound.hasPrefix("127.0.0.1:"))
    #expect(try sockeye.process.listenerCount == own)
    let peer = try Socket(to: first.bound)
    let second = version == 5 ? try client.receiveReply() : try client.receiveSOCKS4Reply()
    #expect(second == (first.code, peer.localAddress))
    try expectTunnel(client, to: peer)
    let line = try sockeye.session(to: "127.0.0.1:0")
    #expect(line.contains(" info bind client=") && line.contains(" up=11 down=13 "), "\(line)")
    withExtendedLifetime((sockeyes, dantes)) {}
  }

  @Test func `a hop that does not say its address means its own (F9)`() throws {
    let first = try Sockeye("default: direct\n")
    let last = try hop { client in
      try client.send([5, 0, 0, 1, 0, 0, 0, 0, 1, 2])
      _ = try client.receiveToEnd()
    }
    let written = try sockeye(["socks5://\(first.address)", "socks5://\(last.address)"])
    #expect(try BindTests.bind(written, for: "127.0.0.1:0").bound == "127.0.0.1:258")
    // A name in the table says nothing but of a first hop, to which we are connected.
    let names = "hosts: {hop.test: 127.0.0.1}\n"
    let named = try sockeye(["socks5://hop.test:\(last.port)"], names)
    #expect(try BindTests.bind(named, for: "127.0.0.1:0").bound == "127.0.0.1:258")
    let knowing = try Sockeye(names + "default: direct\n")
    let far = try sockeye(["socks5://\(knowing.address)", "socks5://hop.test:\(last.port)"])
    #expect(try BindTests.bind(far, for: "127.0.0.1:0").bound == "0.0.0.0:258")
  }

  @Test(
    arguments: [
      [3, 0], [3, 3] + Array("a b".utf8), [3, 5] + Array("relay".utf8), [3, 9] + Array("hop.local".utf8),
      [1, 224, 0, 0, 1], [4] + [UInt8](repeating: 0, count: 16),
    ] as [[UInt8]])
  func `a hop that says what is of no use outside means its own address (F9)`(told: [UInt8]) throws {
    let hop = try hop { client in
      try client.send([5, 0, 0] + told + [1, 2])
      _ = try client.receiveToEnd()
    }
    let sockeye = try sockeye(["socks5://\(hop.address)"])
    #expect(try BindTests.bind(sockeye, for: "127.0.0.1:0").bound == "127.0.0.1:258")
  }

  @Test func `both replies may come together, with data behind them (J3)`() throws {
    let hop = try hop { client in
      try client.send([5, 0, 0, 1, 127, 0, 0, 1, 1, 2, 5, 0, 0, 1, 127, 0, 0, 9, 3, 4] + Array("hello".utf8))
      _ = try client.receiveToEnd()
    }
    let sockeye = try sockeye(["socks5://\(hop.address)"])
    let (client, bound) = try BindTests.bind(sockeye, for: "127.0.0.9:0")
    #expect(bound == "127.0.0.1:258")
    #expect(try client.receiveReply() == (0, "127.0.0.9:772"))
    #expect(try client.receive(exactly: 5) == Array("hello".utf8))
  }

  @Test func `the second reply may come octet by octet (J4)`() throws {
    let hop = try hop { client in
      client.sendWithoutDelay()
      try client.send([5, 0, 0, 1, 127, 0, 0, 1, 1, 2])
      for octet in [5, 0, 0, 1, 127, 0, 0, 9, 3, 4] + Array("hello".utf8) { try client.send(octet) }
      _ = try client.receiveToEnd()
    }
    let sockeye = try sockeye(["socks5://\(hop.address)"])
    let (client, _) = try BindTests.bind(sockeye, for: "127.0.0.9:0")
    #expect(try client.receiveReply() == (0, "127.0.0.9:772"))
    #expect(try client.receive(exactly: 5) == Array("hello".utf8))
  }

  @Test(arguments: [(2, 2), (4, 4), (6, 6), (7, 7), (9, 1)] as [(UInt8, UInt8)])
  func `what the last hop refuses with is passed on, at first or in the end (F9)`(
    said: UInt8, told: UInt8
  ) throws {
    for isSecond in [false, true] {
      let hop = try hop { client in
        if isSecond { try client.send([5, 0, 0, 1, 127, 0, 0, 1, 1, 2]) }
        try client.send(SOCKS.failure(said))
        _ = try client.receiveToEnd()
      }
      let sockeye = try sockeye(["socks5://\(hop.address)"])
      let client = try Socket(to: sockeye.address)
      try client.send(SOCKS.noAuthentication + SOCKS.request(command: 2, to: "127.0.0.9:0"))
      _ = try client.receive(exactly: isSecond ? 12 : 2)
      #expect(try client.receiveToEnd() == (SOCKS.failure(told), .end))
    }
  }

  @Test func `a hop that closes, babbles or is silent when the peer is due (J4, T30)`() throws {
    let ends: [(UInt8, @Sendable (Socket) throws -> Void)] = [
      (1, { _ in }),
      (1, { try $0.send("HTTP/1.0 400 Bad Request\r\n\r\n") }),
      (1, { client in while true { try client.send([UInt8](repeating: 0xAA, count: 65_536)) } }),
      (6, { _ = try $0.receiveToEnd() }),
      (
        6,
        { client in
          try client.send([5, 0, 0])
          _ = try client.receiveToEnd()
        }
      ),
    ]
    for (code, end) in ends {
      let hop = try hop { client in
        try client.send([5, 0, 0, 1, 127, 0, 0, 1, 1, 2])
        try end(client)
      }
      let sockeye = try sockeye(["socks5://\(hop.address)"], "timeouts: {bind: 1s}\n")
      let (client, _) = try BindTests.bind(sockeye, for: "127.0.0.9:0")
      #expect(try client.receiveToEnd() == (SOCKS.failure(code), .end))
      #expect(try sockeye.session(to: "127.0.0.9:0").contains("failed hop=1/1 hop0 phase=request "))
    }
  }

  @Test func `a hop without BIND is 07, one that is not there 01, and nothing is awaited here (F9, T32)`()
    throws
  {
    let micro = try Microsocks()
    let dead = try DeadPort()
    for (hop, code) in [(micro.address, 7), (dead.address, 1)] as [(String, UInt8)] {
      let sockeye = try sockeye(["socks5://\(hop)"])
      let own = try sockeye.process.listenerCount
      try conversation(
        with: sockeye.address,
        .client(SOCKS.noAuthentication), .server(5, 0),
        .client(SOCKS.request(command: 2, to: "127.0.0.1:0")), .server(SOCKS.failure(code)), .closed)
      #expect(try sockeye.process.listenerCount == own)
    }
  }

  @Test func `a client that leaves takes the hop's port with it (F7)`() throws {
    let exit = try Sockeye("default: direct\n")
    let sockeye = try sockeye(["socks5://\(exit.address)"])
    let own = try exit.process.listenerCount
    let (client, _) = try BindTests.bind(sockeye, for: "127.0.0.1:0")
    try exit.process.waitForListeners(own + 1)
    client.finish()
    try exit.process.waitForListeners(own)
    #expect(try sockeye.session(to: "127.0.0.1:0").contains("end=\"client left\""))
  }

  @Test func `a name travels to the last hop as it is (F9, T31)`() throws {
    let names = try NameServer(["peer.test": .addresses(["127.0.0.1"])])
    let exit = try Sockeye("hosts: {peer.test: 127.0.0.3}\ndefault: direct\n")
    let sockeye = try sockeye(["socks5://\(exit.address)"], names.table)
    let (client, bound) = try BindTests.bind(sockeye, for: "peer.test:0")
    let peer = try Socket(to: bound, from: "127.0.0.3")
    #expect(try client.receiveReply() == (0, peer.localAddress))
    #expect(names.questions.all == [])
  }
}
