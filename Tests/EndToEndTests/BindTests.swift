import Foundation
import Testing

/// BIND without a chain: rows F of the protocol's list, and T29 and T33.
@Suite(.blocking)
struct BindTests {
  /// Asks to be connected to by `peer`: the client, and where it is awaited.
  static func bind(
    _ sockeye: Sockeye, for peer: String, behind early: String = ""
  ) throws -> (client: Socket, bound: String) {
    let client = try Socket(to: sockeye.address)
    try client.send(SOCKS.noAuthentication)
    guard try client.receive(exactly: 2) == [5, 0] else { throw NeverHappened(description: "method 00") }
    let reply = try client.request(SOCKS.request(command: 2, to: peer) + Array(early.utf8))
    guard reply.code == 0 else { throw NeverHappened(description: "a port; the reply is \(reply)") }
    return (client, reply.bound)
  }

  /// What becomes of a BIND that is refused at once.
  private func refusal(_ sockeye: Sockeye, for peer: String) throws -> UInt8 {
    let client = try Socket(to: sockeye.address)
    try client.send(SOCKS.noAuthentication)
    _ = try client.receive(exactly: 2)
    let code = try client.request(SOCKS.request(command: 2, to: peer)).code
    #expect(try client.receiveToEnd() == ([], .end))
    return code
  }

  @Test func `a peer is told of twice, and then it is a tunnel (F1, F2, F5)`() throws {
    let sockeye = try Sockeye("default: direct\n")
    let (client, bound) = try Self.bind(sockeye, for: "127.0.0.1:4711")
    #expect(bound.hasPrefix("127.0.0.1:") && portNumber(of: bound) != 0)
    let peer = try Socket(to: bound)
    let second = try client.receiveReply()
    #expect(second == (0, peer.localAddress))
    try client.send("to the peer")
    #expect(try peer.receive(exactly: 11) == Array("to the peer".utf8))
    try peer.send("to the client")
    #expect(try client.receive(exactly: 13) == Array("to the client".utf8))
    client.finish()
    #expect(try peer.receiveToEnd() == ([], .end))
    try peer.send("after the end")
    peer.finish()
    #expect(try client.receiveToEnd() == (Array("after the end".utf8), .end))
    let line = try sockeye.session(to: "127.0.0.1:4711")
    #expect(line.contains(" info bind client=\(client.localAddress) "), "\(line)")
    #expect(line.contains(" via=direct up=11 down=26 "), "\(line)")
  }

  @Test func `an IPv6 peer connects to an IPv6 address (F2)`() throws {
    let sockeye = try Sockeye("default: direct\n")
    let (client, bound) = try Self.bind(sockeye, for: "[::1]:0")
    #expect(bound.hasPrefix("[::1]:"))
    let peer = try Socket(to: bound)
    #expect(try client.receiveReply() == (0, peer.localAddress))
  }

  @Test func `somebody else than the peer is 02, and the end (F3, F4)`() throws {
    let sockeye = try Sockeye("default: direct\n")
    let (client, bound) = try Self.bind(sockeye, for: "127.0.0.9:0")
    let stranger = try Socket(to: bound)
    #expect(try client.receiveToEnd() == (SOCKS.failure(2), .end))
    #expect(try stranger.receiveToEnd().bytes == [])
    #expect(throws: SocketError.self) { try Socket(to: bound, from: "127.0.0.9") }
    let line = try sockeye.session(to: "127.0.0.9:0")
    #expect(
      line.contains("failed destination phase=accept error=(somebody else came: \(stranger.localAddress))"),
      "\(line)")
  }

  @Test func `a name stands for any of its addresses (F3)`() throws {
    let sockeye = try Sockeye("hosts: {peer.test: [127.0.0.2, 127.0.0.3]}\ndefault: direct\n")
    for source in ["127.0.0.2", "127.0.0.3"] {
      let (client, bound) = try Self.bind(sockeye, for: "peer.test:0")
      let peer = try Socket(to: bound, from: source)
      #expect(try client.receiveReply() == (0, peer.localAddress))
    }
    let (client, bound) = try Self.bind(sockeye, for: "peer.test:0")
    let stranger = try Socket(to: bound, from: "127.0.0.4")
    #expect(try client.receiveToEnd() == (SOCKS.failure(2), .end))
    _ = stranger
    #expect(try refusal(sockeye, for: "nobody.invalid:0") == 4)
  }

  @Test(arguments: ["0.0.0.0:0", "[::]:0"])
  func `nobody in particular is anybody whom the routes let through (F3)`(peer: String) throws {
    let sockeye = try Sockeye(
      """
      listen: 127.0.0.5:0
      routes:
        - {name: stranger, ip: 127.0.0.7, via: reject}
      default: direct

      """)
    let (client, bound) = try Self.bind(sockeye, for: peer)
    #expect(bound.hasPrefix("127.0.0.5:"))
    let welcome = try Socket(to: bound, from: "127.0.0.6")
    #expect(try client.receiveReply() == (0, welcome.localAddress))

    let (other, there) = try Self.bind(sockeye, for: peer)
    let stranger = try Socket(to: there, from: "127.0.0.7")
    #expect(try other.receiveToEnd() == (SOCKS.failure(2), .end))
    #expect(try stranger.receiveToEnd().bytes == [])
    try sockeye.process.line(containing: "phase=accept error=(rejected by route 'stranger')")
  }

  @Test func `a peer that is let through by its name needs no route for its address (F3)`() throws {
    let sockeye = try Sockeye(
      """
      hosts: {peer.test: 127.0.0.2, inside.test: 127.0.0.3}
      routes:
        - {domain: test, via: direct}
        - {ip: 127.0.0.3, via: reject}
      default: reject

      """)
    let (client, bound) = try Self.bind(sockeye, for: "peer.test:0")
    let peer = try Socket(to: bound, from: "127.0.0.2")
    #expect(try client.receiveReply() == (0, peer.localAddress))
    #expect(try refusal(sockeye, for: "inside.test:0") == 2)
  }

  @Test func `one peer comes, and nobody after it (F6)`() throws {
    let sockeye = try Sockeye("default: direct\n")
    let (client, bound) = try Self.bind(sockeye, for: "127.0.0.1:0")
    let peer = try Socket(to: bound)
    #expect(try client.receiveReply().code == 0)
    #expect(throws: SocketError.self) { try Socket(to: bound) }
    _ = peer
  }

  @Test(arguments: [false, true], [0, 100_000])
  func `a client that leaves takes its port with it (F7)`(resetting: Bool, early: Int) throws {
    let sockeye = try Sockeye("default: direct\n")
    let own = try sockeye.process.listenerCount
    var client: Socket? = try Self.bind(sockeye, for: "127.0.0.1:0").client
    try sockeye.process.waitForListeners(own + 1)
    try client?.send([UInt8](repeating: 1, count: early))
    if resetting {
      client?.resetWhenClosed()
      client = nil
    } else {
      client?.finish()
    }
    try sockeye.process.waitForListeners(own)
    #expect(try sockeye.session(to: "127.0.0.1:0").contains("end=\"client left\""))
  }

  @Test func `after its time the port is given up with 06 (F8)`() throws {
    let sockeye = try Sockeye("timeouts: {bind: 300ms}\ndefault: direct\n")
    let (client, bound) = try Self.bind(sockeye, for: "127.0.0.1:0")
    #expect(try client.receiveToEnd() == (SOCKS.failure(6), .end))
    #expect(throws: SocketError.self) { try Socket(to: bound) }
    #expect(try sockeye.session(to: "127.0.0.1:0").contains("phase=accept error=(timed out)"))
  }

  @Test func `what the client sends before is the first the peer gets (F10)`() throws {
    let sockeye = try Sockeye("default: direct\n")
    let (client, bound) = try Self.bind(sockeye, for: "127.0.0.1:0", behind: "with the request, ")
    try client.send("after the first reply, ")
    let peer = try Socket(to: bound)
    #expect(try client.receiveReply().code == 0)
    try client.send("after the second")
    client.finish()
    let all = "with the request, after the first reply, after the second"
    #expect(try peer.receiveToEnd() == (Array(all.utf8), .end))
  }

  // MARK: What the table says

  @Test func `a listener without BIND is 07`() throws {
    let sockeye = try Sockeye("listen: {address: \"127.0.0.1:0\", bind: false}\ndefault: direct\n")
    let own = try sockeye.process.listenerCount
    #expect(try refusal(sockeye, for: "127.0.0.1:0") == 7)
    #expect(try sockeye.process.listenerCount == own)
  }

  @Test func `another address can be told, and the ports can be chosen`() throws {
    let port = FreePort.take()
    let sockeye = try Sockeye(
      """
      listen: {address: "127.0.0.1:0", bind: {advertise: 203.0.113.7, ports: \(port)-\(port)}}
      default: direct

      """)
    let (client, bound) = try Self.bind(sockeye, for: "127.0.0.1:0")
    #expect(bound == "203.0.113.7:\(port)")
    // The only port is taken, by the same client.
    #expect(try refusal(sockeye, for: "127.0.0.1:0") == 1)
    try sockeye.process.line(containing: "limit reached: client_bind_ports 1: a connection was refused")
    let peer = try Socket(to: "127.0.0.1:\(port)")
    #expect(try client.receiveReply() == (0, peer.localAddress))
  }

  @Test func `where no port of the range is free, that is what is told, and not the peer`() throws {
    let taken = try Server.silent()
    let port = taken.port
    let sockeye = try Sockeye(
      "listen: {address: \"127.0.0.1:0\", bind: {ports: \(port)}}\ndefault: direct\n")
    #expect(try refusal(sockeye, for: "127.0.0.1:0") == 1)
    try sockeye.process.line(
      containing: "failed sockeye phase=accept error=(no port of bind.ports \(port) is free)")
  }

  @Test func `a client of a Unix-domain socket has to name its peer`() throws {
    let directory = try TemporaryDirectory()
    let sockeye = try Sockeye("listen: unix:\(directory.path)/socks\ndefault: direct\n")
    let (client, bound) = try Self.bind(sockeye, for: "127.0.0.1:0")
    let peer = try Socket(to: bound)
    #expect(try client.receiveReply() == (0, peer.localAddress))
    // There is no address at which it reached us.
    #expect(try refusal(sockeye, for: "0.0.0.0:0") == 8)
  }

  @Test func `nobody, everybody and many are no peer`() throws {
    let sockeye = try Sockeye("default: direct\n")
    for peer in ["255.255.255.255:0", "224.0.0.1:0", "[ff02::1]:0"] {
      #expect(try refusal(sockeye, for: peer) == 2)
    }
  }

  @Test func `routes hold for BIND, and for what a name resolves to`() throws {
    let sockeye = try Sockeye(
      """
      hosts: {inside.test: 127.0.0.3}
      routes:
        - {ip: 127.0.0.3, via: reject}
        - {command: bind, domain: forbidden.test, via: reject}
      default: direct

      """)
    let own = try sockeye.process.listenerCount
    for peer in ["127.0.0.3:0", "inside.test:0", "forbidden.test:0"] {
      #expect(try refusal(sockeye, for: peer) == 2, "\(peer)")
    }
    #expect(try sockeye.process.listenerCount == own)
  }

  @Test func `a user's routes are the same for BIND as for CONNECT (T33)`() throws {
    let target = try Server.echo()
    let sockeye = try Sockeye(
      """
      listen: {address: "127.0.0.1:0", auth: optional}
      routes:
        - {user: mallory, via: reject}
      default: direct

      """)
    for (user, expected) in [("alice", 0), ("mallory", 2)] as [(String, UInt8)] {
      for command in [1, 2] as [UInt8] {
        let client = try Socket(to: sockeye.address)
        try client.send(5, 1, 2)
        _ = try client.receive(exactly: 2)
        try client.send(SOCKS.credentials(user, "x"))
        _ = try client.receive(exactly: 2)
        let request = SOCKS.request(command: command, to: target.address)
        #expect(try client.request(request).code == expected, "\(user) \(command)")
        let second = try Socket(to: sockeye.address)
        let code = try second.requestSOCKS4(SOCKS4.request(command, to: target.address, userID: user)).code
        #expect(code == (expected == 0 ? SOCKS4.granted : SOCKS4.rejected), "\(user) \(command)")
      }
    }
  }

  // MARK: Many, and the end

  @Test func `a thousand clients that leave leave no port behind (T29)`() throws {
    let sockeye = try Sockeye("default: direct\n")
    let own = try sockeye.process.listenerCount
    for _ in 0..<10 {
      let clients = try (0..<100).map { _ in try Self.bind(sockeye, for: "127.0.0.1:0").client }
      try sockeye.process.waitForListeners(own + 100)
      for client in clients[..<50] { client.resetWhenClosed() }
    }
    try sockeye.process.waitForListeners(own)
  }

  @Test func `a program that is to stop at once waits for no peer`() throws {
    let sockeye = try Sockeye("default: direct\n")
    let (client, _) = try Self.bind(sockeye, for: "127.0.0.1:0")
    sockeye.signal(SIGTERM)
    // Signals of one kind do not queue: the second goes out when the first has been heard.
    try eventually("new connections are refused") { (try? Socket(to: sockeye.address)) == nil }
    sockeye.signal(SIGTERM)
    #expect(try client.receiveToEnd() == (SOCKS.failure(1), .end))
    #expect(try sockeye.process.wait().status == 0)
  }
}
