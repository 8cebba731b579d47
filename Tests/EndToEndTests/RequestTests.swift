import Testing

/// RFC 1928 §4–5, octet by octet; the rows C of the protocol's list. What is refused is neither looked up nor dialled.
@Suite(.blocking)
struct RequestTests {
  private let sockeye: Sockeye
  private let echo: Server
  private let names: NameServer

  init() throws {
    echo = try Server.echo(on: "0.0.0.0:0")
    names = try NameServer([
      "good.test": .addresses(["127.0.0.1"]), "_under-score.test": .addresses(["127.0.0.1"]),
    ])
    sockeye = try Sockeye(
      """
      \(names.table)routes:
        - {domain: evil.test, via: reject}
        - {ip: [127.0.0.66, "::66", 10.0.0.0/8, 169.254.0.0/16], via: reject}
      default: direct

      """)
  }

  private func expect(
    _ code: UInt8, for request: [UInt8], sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    try conversation(
      with: sockeye.address,
      .client(SOCKS.noAuthentication), .server(5, 0), .client(request), .server(SOCKS.failure(code)), .closed,
      sourceLocation: sourceLocation)
  }

  private func expectNothingHappened() throws {
    #expect(names.questions.all == [])
    let client = try Socket(to: sockeye.address)
    #expect(try client.requestConnect(to: "127.0.0.1:\(echo.port)").code == 0)
    try client.send(1)
    #expect(try client.receive(exactly: 1) == [1])
    // It was accepted last, so whatever came before is counted too.
    #expect(echo.accepted.all.count == 1)
  }

  @Test func `the version is 5 (C1)`() throws {
    for version: UInt8 in [0, 1, 4, 6] {
      try expect(1, for: [version] + SOCKS.connect(to: echo.address).dropFirst())
    }
    try expectNothingHappened()
  }

  @Test func `the reserved octet means nothing (C2)`() throws {
    let client = try Socket(to: sockeye.address)
    try client.send(SOCKS.noAuthentication)
    _ = try client.receive(exactly: 2)
    let connect = SOCKS.connect(to: "127.0.0.1:\(echo.port)")
    #expect(try client.request([5, 1, 0xFF] + connect.dropFirst(3)).code == 0)
  }

  @Test(arguments: [0, 4, 5, 9, 0xEF, 0xF2, 0xFF] as [UInt8])
  func `an unknown command is 07, after its whole address was read (C3)`(command: UInt8) throws {
    try expect(7, for: SOCKS.request(command: command, to: echo.address))
    try expect(7, for: SOCKS.request(command: command, to: "a-long-name-of-some-host.test:80"))
  }

  @Test(arguments: [0, 2, 5, 0xFF] as [UInt8])
  func `an unknown address type is 08 (C4)`(type: UInt8) throws {
    try expect(8, for: [5, 1, 0, type, 1, 2, 3, 4, 5, 6, 7, 8])
  }

  @Test func `an empty name is 01 (C5, T15)`() throws {
    try expect(1, for: SOCKS.connect(toName: [], port: echo.port))
    try expectNothingHappened()
  }

  @Test func `a name too long for DNS is 04 and is not asked for (C6, T36)`() throws {
    let long = String(repeating: "a2345678.", count: 28) + "abc"
    #expect(long.utf8.count == 255)
    try expect(4, for: SOCKS.connect(toName: long.utf8, port: 80))
    try expect(
      4, for: SOCKS.connect(toName: [UInt8](repeating: 0x61, count: 64) + Array(".test".utf8), port: 80))
    try expectNothingHappened()
  }

  @Test(arguments: [
    "127.0.0.66", "::66", "0:0::0066", "::ffff:127.0.0.66", "::FFFF:7f00:42", "10.77.0.1", "169.254.169.254",
    "::127.0.0.66", "64:ff9b::127.0.0.66", "2002:7f00:42::1", "[::66]", "[::ffff:127.0.0.66]",
  ])
  func `an address in the name field is an address to the rules (C7, T12, T14)`(text: String) throws {
    try expect(2, for: SOCKS.connect(toName: text.utf8, port: echo.port))
    if !text.hasPrefix("[") { try expect(2, for: SOCKS.connect(to: "[\(text)]:\(echo.port)")) }
    try expectNothingHappened()
  }

  @Test func `an address in the name field is dialled as one (C7)`() throws {
    let client = try Socket(to: sockeye.address)
    try client.send(SOCKS.noAuthentication)
    _ = try client.receive(exactly: 2)
    #expect(try client.request(SOCKS.connect(toName: "127.0.0.1".utf8, port: echo.port)).code == 0)
    let six = try Server.echo(on: "[::1]:0")
    for text in ["::1", "[::1]"] {
      let client = try Socket(to: sockeye.address)
      try client.send(SOCKS.noAuthentication)
      _ = try client.receive(exactly: 2)
      #expect(try client.request(SOCKS.connect(toName: text.utf8, port: six.port)).code == 0)
    }
    #expect(names.questions.all == [])
  }

  @Test(arguments: ["[::1%lo]", "::1%lo", "fe80::1%eth0", "[127.0.0.1]", "1:2:3", "::1::"])
  func `what only looks like an IPv6 address is 01 (C7)`(text: String) throws {
    try expect(1, for: SOCKS.connect(toName: text.utf8, port: echo.port))
    try expectNothingHappened()
  }

  @Test(arguments: [
    "127.1", "127.0.1", "0x7f.1", "0x7f000001", "2130706433", "017700000001", "0177.0.0.1", "127.0.0.01",
    "1.2.3",
    "4294967295", "127.0.0.1.", "0x7f.0.0.1", "localhost.1", "127.0.0.256", "1.2.3.4.5",
  ])
  func `what inet_aton would take for an address is 01 (C8, T13)`(text: String) throws {
    try expect(1, for: SOCKS.connect(toName: text.utf8, port: echo.port))
    try expectNothingHappened()
  }

  @Test(arguments: ["evil.test", "EVIL.Test", "evil.test.", "a.EVIL.test.", "www.evil.test"])
  func `case and a last dot do not get around a rule (C9, T17)`(name: String) throws {
    try expect(2, for: SOCKS.connect(toName: name.utf8, port: echo.port))
    try expectNothingHappened()
  }

  @Test(arguments: ["GOOD.test", "good.test.", "_under-score.test"])
  func `case, a last dot and underscores are legal (C9, C10)`(name: String) throws {
    let client = try Socket(to: sockeye.address)
    try client.send(SOCKS.noAuthentication)
    _ = try client.receive(exactly: 2)
    #expect(try client.request(SOCKS.connect(toName: name.utf8, port: echo.port)).code == 0)
  }

  @Test(arguments: [
    "good.test\0.evil.test", "good.test\0", " good.test", "good.test ", "good.test\n", "good.test\r\nX: y",
    "good.test..",
    "good..test", ".good.test", ".", "good.test:80", "good.test/", "good\\test", "user@good.test",
    "good%2etest",
    "*.test", "g\u{F6}\u{F6}d.test", "good\u{3002}test", "\u{1B}[31mgood.test", "good.test\u{7F}",
  ])
  func `what no name may contain is 01 (C9, C10, T11, T17)`(name: String) throws {
    try expect(1, for: SOCKS.connect(toName: name.utf8, port: echo.port))
    try expectNothingHappened()
  }

  @Test func `octets that are no UTF-8 are 01 and one printable log line (C10, T34)`() throws {
    try expect(
      1, for: SOCKS.connect(toName: [0xFF, 0x0A, 0x1B, 0x5B, 0x32, 0x4A, 0x0D, 0x00], port: echo.port))
    try expectNothingHappened()
    sockeye.signal(2)
    let exit = try sockeye.process.wait()
    #expect(
      exit.description.unicodeScalars.allSatisfy { $0.value == 0x0A || (0x20...0x7E).contains($0.value) })
  }

  @Test func `an IPv4-mapped address is the IPv4 address it maps (C11, T14)`() throws {
    try expect(2, for: SOCKS.connect(to: "[::ffff:127.0.0.66]:\(echo.port)"))
    let client = try Socket(to: sockeye.address)
    let reply = try client.requestConnect(to: "[::ffff:127.0.0.1]:\(echo.port)")
    #expect(reply.code == 0 && reply.bound.hasPrefix("127.0.0.1:"), "\(reply)")
    #expect(try sockeye.closing(client, to: "127.0.0.1:\(echo.port)").contains(" info connect "))
  }

  @Test(arguments: [
    "0.0.0.0", "[::]", "255.255.255.255", "224.0.0.1", "239.1.2.3", "[ff02::1]", "[::ffff:0.0.0.0]",
  ])
  func `nobody, everybody and many are no destination (C13, T15)`(host: String) throws {
    try expect(2, for: SOCKS.connect(to: "\(host):\(echo.port)"))
    try expectNothingHappened()
  }

  @Test func `port 0 is 01 (C14)`() throws {
    try expect(1, for: SOCKS.connect(to: "127.0.0.1:0"))
    try expect(1, for: SOCKS.connect(to: "good.test:0"))
    #expect(names.questions.all == [])
  }
}

extension Sockeye {
  /// Ends the client's tunnel, and answers the line that closes it.
  func closing(_ client: Socket, to destination: String) throws -> String {
    client.finish()
    _ = try client.receiveToEnd()
    return try session(to: destination)
  }
}
