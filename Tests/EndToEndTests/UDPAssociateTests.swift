import Testing

/// UDP ASSOCIATE and its reply: who gets a relay, where, and who is told what else (RFC 1928 §4, §6).
@Suite(.blocking)
struct UDPAssociateTests {
  private let target: DatagramServer

  init() throws {
    target = try DatagramServer.echo()
  }

  private func code(_ sockeye: Sockeye, as user: (name: String, password: String)? = nil) throws -> UInt8 {
    let control = try Socket(to: sockeye.address)
    let code = try control.requestAssociation(as: user).code
    if code != 0 { #expect(try control.receiveToEnd() == ([], .end)) }
    return code
  }

  // MARK: Where the relay is

  @Test func `the relay is where the client reached us, and nowhere else (G3, T20)`() throws {
    let sockeye = try Sockeye("listen: {address: \"0.0.0.0:0\", clients: 127.0.0.0/8}\ndefault: direct\n")
    let client = try Association(through: "127.0.0.3:\(sockeye.port)")
    #expect(client.relay.hasPrefix("127.0.0.3:"))
    // The kernel's table may lack one while others come and go.
    try eventually("no other socket than \(client.relay): \(try sockeye.process.datagramSockets)") {
      try sockeye.process.datagramSockets == [client.relay]
    }
    try client.expectEcho("hello", from: target.address)
    try eventually("no other relay") {
      try sockeye.process.datagramSockets.filter { !$0.hasPrefix("0.0.0.0:") } == [client.relay]
    }
  }

  @Test func `each association has a relay of its own`() throws {
    let sockeye = try Sockeye("default: direct\n")
    let clients = try (0..<3).map { _ in try Association(through: sockeye.address) }
    #expect(Set(clients.map(\.relay)).count == 3)
    for (number, client) in clients.enumerated() { try client.send("\(number)", to: target.address) }
    for (number, client) in clients.enumerated() {
      #expect(try client.receive().bytes == Array("\(number)".utf8))
    }
  }

  @Test func `without an association no port is open (T19)`() throws {
    let sockeye = try Sockeye(
      "listen: {address: \"127.0.0.1:0\", users: {alice: secret}}\ndefault: direct\n")
    #expect(try sockeye.process.datagramSockets == [])
    try conversation(
      with: sockeye.address, .client(5, 1, 0), .server(5, 0xFF),
      .client(SOCKS.request(command: 3, to: "0.0.0.0:0")), .closed)
    try conversation(
      with: sockeye.address, .client(5, 1, 2), .server(5, 2), .client(SOCKS.credentials("alice", "wrong")),
      .server(1, 1), .client(SOCKS.request(command: 3, to: "0.0.0.0:0")), .closed)
    #expect(try sockeye.process.datagramSockets == [])
    let client = try Association(through: sockeye.address, as: ("alice", "secret"))
    try client.expectEcho("hello", from: target.address)
  }

  @Test func `over IPv6 the relay has an IPv6 address (G22)`() throws {
    let sockeye = try Sockeye("listen: \"[::1]:0\"\ndefault: direct\n")
    let client = try Association(through: sockeye.address)
    #expect(client.relay.hasPrefix("[::1]:"))
    try client.expectEcho("hello", from: target.address)
  }

  @Test func `a client of a Unix-domain socket is served on loopback (G22)`() throws {
    let directory = try TemporaryDirectory()
    let sockeye = try Sockeye("listen: \"unix:\(directory.path)/socks\"\ndefault: direct\n")
    let client = try Association(through: sockeye.address)
    #expect(client.relay.hasPrefix("127.0.0.1:"))
    try client.expectEcho("hello", from: target.address)
  }

  @Test func `behind NAT another address is told (G3)`() throws {
    let sockeye = try Sockeye(
      "listen: {address: \"127.0.0.1:0\", udp: {advertise: 203.0.113.7}}\ndefault: direct\n")
    let control = try Socket(to: sockeye.address)
    let (code, bound) = try control.requestAssociation()
    #expect(code == 0 && bound.hasPrefix("203.0.113.7:"))
    let socket = try DatagramSocket()
    try socket.send(SOCKS.datagram(to: target.address, [1]), to: "127.0.0.1:\(portNumber(of: bound))")
    #expect(try socket.receive().bytes == SOCKS.datagram(to: target.address, [1]))
  }

  /// Two clients, each with a listener, whose relays have these ports.
  private func listeners(_ directory: TemporaryDirectory, _ ports: String) -> String {
    """
    listen:
      - {address: "127.0.0.1:0", udp: {ports: \(ports)}}
      - {address: "unix:\(directory.path)/socks", udp: {ports: \(ports)}}

    """
  }

  @Test func `relays keep to the ports they were given, and no client takes all (T26)`() throws {
    let port = try FreePort.takeDatagramPorts(2)
    let directory = try TemporaryDirectory()
    let sockeye = try Sockeye(listeners(directory, "\(port)-\(port + 1)") + "default: direct\n")
    let client = try Association(through: sockeye.address)
    // A quarter of two ports is one.
    #expect(try code(sockeye) == 1)
    try sockeye.process.line(
      containing: "limit reached: client_udp_ports 1: a connection was refused, the last of 127.")
    let user = try Association(through: sockeye.userAddress)
    #expect(Set([client, user].map { portNumber(of: $0.relay) }) == [port, port + 1])
    client.control.finish()
    try client.waitForEnd()
    let next = try Association(through: sockeye.address)
    #expect(next.relay == client.relay)
    for client in [user, next] { try client.expectEcho("hello", from: target.address) }
  }

  @Test func `where no port of the range is free, that is what is told`() throws {
    let port = try FreePort.takeDatagramPorts(1)
    let taken = try DatagramSocket(on: "127.0.0.1:\(port)")
    let sockeye = try Sockeye(
      "listen: {address: \"127.0.0.1:0\", udp: {ports: \(port)}}\ndefault: direct\n")
    #expect(try code(sockeye) == 1)
    try sockeye.process.line(
      containing: "failed sockeye phase=associate error=(no port of udp.ports \(port) is free)")
    withExtendedLifetime(taken) {}
  }

  // MARK: Hints

  @Test(arguments: [
    "0.0.0.0:0", "0.0.0.0:own", "127.0.0.1:0", "127.0.0.1:own", "[::]:0", "[::]:own",
    "[::ffff:127.0.0.1]:own",
    "127.0.0.9:0", "127.0.0.9:9", "192.0.2.1:53", "[::1]:7", "some.test:7", "0:own", "0:9", ":9", "a b:9",
  ])
  func `a client is served whatever it says of where it will send from (G1, G22)`(hint: String) throws {
    let sockeye = try Sockeye("default: direct\n")
    let socket = try DatagramSocket()
    let client = try Association(
      through: sockeye.address, on: socket, hint: hint.replacing("own", with: "\(socket.port)"))
    try client.expectEcho("hello", from: target.address)
  }

  @Test func `a hint opens the relay to nobody else (G1, T21)`() throws {
    let sockeye = try Sockeye("default: direct\n")
    let stranger = try DatagramSocket(on: "127.0.0.9:0")
    let client = try Association(through: sockeye.address, hint: stranger.address)
    try stranger.send(SOCKS.datagram(to: target.address, [1]), to: client.relay)
    try client.expectEcho("hello", from: target.address)
    #expect(target.payloads == [Array("hello".utf8)])
    #expect(!stranger.hasSomethingToRead())
    #expect(try sockeye.closing(client).contains("stranger:1"))
  }

  @Test func `a port that was told is the only one (G2)`() throws {
    let sockeye = try Sockeye("default: direct\n")
    let socket = try DatagramSocket()
    let other = try DatagramSocket()
    let client = try Association(through: sockeye.address, on: socket, hint: "0.0.0.0:\(socket.port)")
    try other.send(SOCKS.datagram(to: target.address, [1]), to: client.relay)
    try client.expectEcho("hello", from: target.address)
    #expect(target.payloads == [Array("hello".utf8)])
    #expect(try sockeye.closing(client).contains("stranger:1"))
  }

  @Test func `a hint is no destination (G1)`() throws {
    let silent = try DatagramServer.silent(on: "127.0.0.9:0")
    let sockeye = try Sockeye("default: direct\n")
    let client = try Association(through: sockeye.address, hint: silent.address)
    try client.expectEcho("hello", from: target.address)
    #expect(silent.payloads == [])
  }

  // MARK: Refusals

  @Test func `where UDP is off the command is not supported (G23)`() throws {
    let sockeye = try Sockeye("listen: {address: \"127.0.0.1:0\", udp: false}\ndefault: direct\n")
    #expect(try code(sockeye) == 7)
  }

  @Test func `where every route rejects, so does the reply`() throws {
    let sockeye = try Sockeye("routes: [{network: udp, via: reject}]\ndefault: direct\n")
    #expect(try code(sockeye) == 2)
  }

  @Test func `no more associations than allowed, and a place that is left is free again`() throws {
    let directory = try TemporaryDirectory()
    let sockeye = try Sockeye(
      Sockeye.listen(directory) + "limits: {associations: 5}\ndefault: direct\n")
    // A quarter, rounded up.
    let clients = try (0..<2).map { _ in try Association(through: sockeye.address) }
    #expect(try code(sockeye) == 1)
    try sockeye.process.line(containing: "limit reached: client_associations 2: a connection was refused")
    let user = try Association(through: sockeye.userAddress)
    try user.expectEcho("hello", from: target.address)
    clients[0].control.finish()
    try clients[0].waitForEnd()
    try eventually("a place is free") { try code(sockeye) == 0 }
    try clients[1].expectEcho("hello", from: target.address)
  }

  @Test func `when all associations are taken, the log says so`() throws {
    let directory = try TemporaryDirectory()
    let sockeye = try Sockeye(
      Sockeye.listen(directory) + "limits: {associations: 1}\ndefault: direct\n")
    let client = try Association(through: sockeye.address)
    #expect(try Socket(to: sockeye.userAddress).requestAssociation().code == 1)
    try sockeye.process.line(
      containing: "limit reached: associations 1: a connection was refused, the last of unix at unix:")
    withExtendedLifetime(client) {}
  }

  @Test func `associations of a client count among its connections`() throws {
    let directory = try TemporaryDirectory()
    let sockeye = try Sockeye(Sockeye.listen(directory) + "limits: {per_client: 2}\ndefault: direct\n")
    let clients = try (0..<2).map { _ in try Association(through: sockeye.address) }
    #expect(try code(sockeye) == 1)
    let other = try Association(through: sockeye.userAddress)
    for client in clients + [other] { try client.expectEcho("hello", from: target.address) }
  }

  // MARK: The log

  @Test func `the log tells what an association carried`() throws {
    let sockeye = try Sockeye("default: direct\n")
    let client = try Association(through: sockeye.address)
    try client.expectEcho("12345", from: target.address)
    try client.expectEcho("123", from: target.address)
    try client.send(raw: [0, 0, 0])
    try client.expectEcho("", from: target.address)
    let line = try sockeye.closing(client)
    #expect(
      line.contains(#/ info udp client=127\.0\.0\.1:\d+ .*up=8 down=8 datagrams_up=3 datagrams_down=3 /#),
      "\(line)")
    #expect(line.contains(" dropped=malformed:1 "), "\(line)")
  }
}
