import Testing

/// SOCKS4 and SOCKS4a clients: rows H of the protocol's list.
@Suite(.blocking)
struct SOCKS4Tests {
  private let echo: Server
  private let sockeye: Sockeye

  init() throws {
    echo = try Server.echo()
    sockeye = try Sockeye("hosts: {site.test: 127.0.0.1, six.test: \"::1\"}\ndefault: direct\n")
  }

  /// The reply's code; after a refusal the connection must be at its end.
  private func code(_ request: [UInt8], from sockeye: Sockeye) throws -> UInt8 {
    let client = try Socket(to: sockeye.address)
    let reply = try client.requestSOCKS4(request)
    if reply.code != SOCKS4.granted {
      #expect(reply.bound == "0.0.0.0:0")
      #expect(try client.receiveToEnd() == ([], .end))
    }
    return reply.code
  }

  @Test func `an address, and a name as 4a has it (H1, H2)`() throws {
    for host in ["127.0.0.1", "site.test", "SITE.test."] {
      let client = try Socket(to: sockeye.address)
      let destination = "\(host):\(echo.port)"
      let reply = try client.requestSOCKS4(SOCKS4.request(to: destination, userID: "alice"))
      #expect(reply.code == SOCKS4.granted)
      try echo.accepted.wait(for: "\(reply.bound)") { $0.contains(reply.bound) ? () : nil }
      try client.send("hello")
      #expect(try client.receive(exactly: 5) == Array("hello".utf8))
    }
  }

  @Test func `an address in the name's place is an address (H3, C7, T12)`() throws {
    let sockeye = try Sockeye("routes:\n  - {ip: 127.0.0.0/8, via: reject}\ndefault: direct\n")
    for name in ["127.0.0.1", "::ffff:127.0.0.1"] {
      let request = [4, 1] + SOCKS.bigEndian(echo.port) + [0, 0, 0, 1, 0] + Array(name.utf8) + [0]
      #expect(try code(request, from: sockeye) == SOCKS4.rejected)
      #expect(try code(request, from: self.sockeye) == SOCKS4.granted)
    }
  }

  @Test(arguments: [
    "", "127.1", "0x7f.1", "a b", "site.test..", "[::1]", "site/test", String(repeating: "a", count: 64),
  ])
  func `what is no name is 5B, and nothing is dialled (H3, C5, C8, C10)`(name: String) throws {
    let request = [4, 1] + SOCKS.bigEndian(echo.port) + [0, 0, 0, 1, 0] + Array(name.utf8) + [0]
    #expect(try code(request, from: sockeye) == SOCKS4.rejected)
    #expect(echo.accepted.all == [])
  }

  @Test(arguments: [[0, 0, 0, 0], [0, 1, 2, 3], [224, 0, 0, 1], [255, 255, 255, 255]] as [[UInt8]])
  func `0.0.0.0 is no name, and neither it nor nobody's address is dialled (H2, C13)`(address: [UInt8]) throws
  {
    #expect(try code([4, 1] + SOCKS.bigEndian(echo.port) + address + [0], from: sockeye) == SOCKS4.rejected)
    #expect(try code([4, 1, 0, 0, 127, 0, 0, 1, 0], from: sockeye) == SOCKS4.rejected)
  }

  @Test func `a failure of any kind is 5B (H1)`() throws {
    let dead = try DeadPort()
    #expect(try code(SOCKS4.request(to: dead.address), from: sockeye) == SOCKS4.rejected)
    #expect(try code(SOCKS4.request(to: "nobody.invalid:80"), from: sockeye) == SOCKS4.rejected)
  }

  @Test func `user id and name have 255 octets, and one more is 5B (H4, T36)`() throws {
    let long = String(repeating: "u", count: 255)
    #expect(try code(SOCKS4.request(to: echo.address, userID: long), from: sockeye) == SOCKS4.granted)
    // It is not waited for an end that never comes.
    let endless = [4, 1, 0, 80, 127, 0, 0, 1] + [UInt8](repeating: 0x75, count: 256)
    #expect(try code(endless, from: sockeye) == SOCKS4.rejected)
    let name = [4, 1, 0, 80, 0, 0, 0, 1, 0] + [UInt8](repeating: 0x61, count: 256)
    #expect(try code(name, from: sockeye) == SOCKS4.rejected)
  }

  @Test(arguments: [0, 3, 0xF0, 0xFF] as [UInt8])
  func `CONNECT and BIND are served, and nothing else (H5)`(command: UInt8) throws {
    #expect(try code(SOCKS4.request(command, to: echo.address), from: sockeye) == SOCKS4.rejected)
    try sockeye.process.line(containing: "SOCKS4 command \(command) not supported")
  }

  @Test func `BIND has two replies, and then it is a tunnel (H5, F1)`() throws {
    let client = try Socket(to: sockeye.address)
    let first = try client.requestSOCKS4(SOCKS4.request(2, to: "127.0.0.1:0"))
    #expect(first.code == SOCKS4.granted && first.bound.hasPrefix("127.0.0.1:"))
    let peer = try Socket(to: first.bound)
    #expect(try client.receiveSOCKS4Reply() == (SOCKS4.granted, peer.localAddress))
    try peer.send("hello")
    #expect(try client.receive(exactly: 5) == Array("hello".utf8))
  }

  @Test func `somebody else than the peer is 5B, and the end (F4)`() throws {
    let client = try Socket(to: sockeye.address)
    let first = try client.requestSOCKS4(SOCKS4.request(2, to: "127.0.0.9:0"))
    let stranger = try Socket(to: first.bound)
    #expect(try client.receiveToEnd() == (SOCKS4.rejection, .end))
    #expect(try stranger.receiveToEnd().bytes == [])
  }

  @Test func `octets may come one at a time, or all together with data (H7, A9, A10)`() throws {
    let request = SOCKS4.request(to: "site.test:\(echo.port)", userID: "alice")
    let client = try Socket(to: sockeye.address)
    client.sendWithoutDelay()
    for octet in request { try client.send(octet) }
    #expect(try client.receiveSOCKS4Reply().code == SOCKS4.granted)

    let hasty = try Socket(to: sockeye.address)
    #expect(try hasty.requestSOCKS4(request + Array("early".utf8)).code == SOCKS4.granted)
    #expect(try hasty.receive(exactly: 5) == Array("early".utf8))
  }

  @Test func `one deadline holds for the whole request (H7, A12)`() throws {
    let sockeye = try Sockeye("timeouts: {handshake: 300ms}\ndefault: direct\n")
    let client = try Socket(to: sockeye.address)
    try client.send([4, 1, 0, 80, 127, 0, 0, 1])
    #expect(try client.receiveToEnd() == ([], .end))
  }

  @Test func `an IPv6 destination is reached by its name, and not told (H8)`() throws {
    let six = try Server.echo(on: "[::1]:0")
    let client = try Socket(to: sockeye.address)
    let reply = try client.requestSOCKS4(SOCKS4.request(to: "six.test:\(six.port)"))
    #expect(reply.code == SOCKS4.granted && reply.bound.hasPrefix("0.0.0.0:"))
  }

  @Test func `the user id is a label for routes where any name is (B8)`() throws {
    let table = """
      routes:
        - {user: mallory, via: reject}
      default: direct

      """
    let labelled = try Sockeye("listen: {address: \"127.0.0.1:0\", auth: optional}\n" + table)
    #expect(try code(SOCKS4.request(to: echo.address, userID: "mallory"), from: labelled) == SOCKS4.rejected)
    #expect(try code(SOCKS4.request(to: echo.address, userID: "alice"), from: labelled) == SOCKS4.granted)
    #expect(try code(SOCKS4.request(to: echo.address), from: labelled) == SOCKS4.granted)
    // Elsewhere it means nothing.
    let other = try Sockeye(table)
    #expect(try code(SOCKS4.request(to: echo.address, userID: "mallory"), from: other) == SOCKS4.granted)
  }

  @Test func `a user id of control characters is one printable log line (H4, T34)`() throws {
    let labelled = try Sockeye(
      "listen: {address: \"127.0.0.1:0\", auth: optional}\nroutes:\n  - {port: 1, via: reject}\ndefault: direct\n"
    )
    let userID = "\u{1B}[2J\nforged\r"
    #expect(try code(SOCKS4.request(to: "127.0.0.1:1", userID: userID), from: labelled) == SOCKS4.rejected)
    let line = try labelled.session(to: "127.0.0.1:1")
    #expect(line.contains("forged") && line.allSatisfy { !$0.isNewline && $0 != "\u{1B}" }, "\(line)")
  }

  @Test func `a listener speaks what it is told to`() throws {
    let five = try Sockeye("listen: {address: \"127.0.0.1:0\", protocols: socks5}\ndefault: direct\n")
    #expect(try code(SOCKS4.request(to: echo.address), from: five) == SOCKS4.rejected)
    let four = try Sockeye("listen: {address: \"127.0.0.1:0\", protocols: socks4}\ndefault: direct\n")
    #expect(try code(SOCKS4.request(to: echo.address), from: four) == SOCKS4.granted)
    try conversation(with: four.address, .client(SOCKS.noAuthentication), .server(5, 0xFF), .closed)
    try echo.accepted.wait(forCount: 1)
    #expect(echo.accepted.all.count == 1)
  }
}
