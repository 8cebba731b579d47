import Testing

/// Names in the headers of datagrams that leave directly: they are looked up here, and nobody waits for another's.
@Suite(.blocking)
struct UDPNamesTests {
  private let target: DatagramServer

  init() throws {
    target = try DatagramServer.echo()
  }

  private func send(_ text: String, to name: String, by client: Association) throws {
    try client.send(text, to: "\(name):\(target.port)")
  }

  @Test func `a name is looked up once, and the answer has an address (G14, G15)`() throws {
    let names = try NameServer(["site.test": .addresses(["127.0.0.1"])])
    let sockeye = try Sockeye("\(names.table)default: direct\n")
    let client = try Association(through: sockeye.address)
    for name in ["site.test", "SITE.test", "site.test."] {
      try send("hello", to: name, by: client)
      #expect(try client.receive() == Datagram(source: target.address, bytes: Array("hello".utf8)))
    }
    #expect(names.questions.all.filter { $0.type == 1 }.count == 1)
  }

  @Test func `names of the table are known without a name server`() throws {
    let names = try NameServer()
    let sockeye = try Sockeye("\(names.table)hosts: {site.test: 127.0.0.1}\ndefault: direct\n")
    let client = try Association(through: sockeye.address)
    try send("hello", to: "site.test", by: client)
    #expect(try client.receive().source == target.address)
    #expect(names.questions.all == [])
  }

  @Test(arguments: [NameServer.Answer.noSuchName, .failure, .addresses([])])
  func `a name without an address is dropped and the association lives (G14, T23)`(
    answer: NameServer.Answer
  ) throws {
    let names = try NameServer(["gone.test": answer, "site.test": .addresses(["127.0.0.1"])])
    let sockeye = try Sockeye("\(names.table)default: direct\n", arguments: ["--workers", "1"])
    let client = try Association(through: sockeye.address)
    try send("lost", to: "gone.test", by: client)
    try client.expectEcho("hello", from: target.address)
    try send("found", to: "site.test", by: client)
    #expect(try client.receive().bytes == Array("found".utf8))
    #expect(target.payloads == ["hello", "found"].map { Array($0.utf8) })
    // A failure may take several questions. Whoever asks for the same name learns of it at the same time.
    #expect(try Socket(to: sockeye.address).requestConnect(to: "gone.test:\(target.port)").code == 4)
    #expect(try sockeye.closing(client).contains("unresolved:1"))
  }

  @Test func `a name that is never answered keeps nobody waiting (G14, T23)`() throws {
    let names = try NameServer(["slow.test": .never, "site.test": .addresses(["127.0.0.1"])])
    let echo = try Server.echo()
    let sockeye = try Sockeye(
      "\(names.table)timeouts: {dns: 600s}\ndefault: direct\n", arguments: ["--workers", "1"])
    let client = try Association(through: sockeye.address)
    let other = try Association(through: sockeye.address)
    try send("lost", to: "slow.test", by: client)
    try names.questions.wait(for: "the question") { $0.contains { $0.name == "slow.test" } ? () : nil }
    for client in [client, other] {
      try client.expectEcho("hello", from: target.address)
      try send("hello", to: "site.test", by: client)
      #expect(try client.receive().bytes == Array("hello".utf8))
    }
    let tunnel = try Socket(to: sockeye.address)
    #expect(try tunnel.requestConnect(to: echo.address).code == 0)
    let named = try Socket(to: sockeye.address)
    #expect(try named.requestConnect(to: "site.test:\(echo.port)").code == 0)
  }

  @Test func `sixteen datagrams wait for a name, in their order (G14)`() throws {
    let gate = Gate()
    let names = try NameServer(["slow.test": .held(gate, then: ["127.0.0.1"])])
    let sockeye = try Sockeye("\(names.table)timeouts: {dns: 600s}\ndefault: direct\n")
    let client = try Association(through: sockeye.address)
    for number in 0..<20 { try send("\(number)", to: "slow.test", by: client) }
    try client.expectEcho("not by name", from: target.address)
    gate.open()
    for number in 0..<16 { #expect(try client.receive().bytes == Array("\(number)".utf8)) }
    try client.expectEcho("behind", from: target.address)
    #expect(try sockeye.closing(client).contains("queue:4"))
  }

  // One that a route refuses, and one to which the kernel sends nothing: a broadcast address.
  @Test(arguments: ["127.0.0.9", "127.255.255.255"])
  func `IPv6 is waited for where no IPv4 address is of use (G14, G18)`(useless: String) throws {
    let target = try DatagramServer.echo(on: "[::1]:0")
    let gate = Gate()
    let names = try NameServer(["both.test": .held(gate, type: 28, then: [useless, "::1"])])
    let sockeye = try Sockeye("\(names.table)routes: [{ip: 127.0.0.9, via: reject}]\ndefault: direct\n")
    let client = try Association(through: sockeye.address)
    try client.send("hello", to: "both.test:\(target.port)")
    try names.questions.wait(forCount: 2)
    // The first answer is there.
    try client.expectEcho("not by name", from: self.target.address)
    gate.open()
    #expect(try client.receive() == Datagram(source: target.address, bytes: Array("hello".utf8)))
  }

  @Test func `an association that ends does not wait for its names`() throws {
    let names = try NameServer(["slow.test": .never])
    let sockeye = try Sockeye("\(names.table)timeouts: {dns: 600s}\ndefault: direct\n")
    let client = try Association(through: sockeye.address)
    try send("lost", to: "slow.test", by: client)
    try names.questions.wait(forCount: 1)
    _ = try sockeye.closing(client)
    try client.waitForEnd()
  }

  // MARK: What names cannot do

  @Test(arguments: [
    "inside.test", "127.0.0.9", "::ffff:127.0.0.9", "[127.0.0.9]", "0x7f.0.0.9", "127.9", "2130706441",
    "0177.0.0.9", "127.0.0.9.", "inside.test..", "in side.test", "127.0.0.9%lo", "::1%lo",
  ])
  func `a name does not get around a range (C7, C8, T12, T13)`(name: String) throws {
    let inside = try DatagramServer.echo(on: "127.0.0.9:0")
    let names = try NameServer(["inside.test": .addresses(["127.0.0.9"])])
    let sockeye = try Sockeye(
      "\(names.table)routes: [{ip: [127.0.0.9, \"::1\"], via: reject}]\ndefault: direct\n",
      arguments: ["--workers", "1"])
    let client = try Association(through: sockeye.address)
    try client.send(raw: SOCKS.datagram(toName: name.utf8, port: inside.port, [1]))
    try client.expectEcho("behind", from: target.address)
    if name == "inside.test" {
      // Whoever asks for the same name learns of it at the same time.
      #expect(try Socket(to: sockeye.address).requestConnect(to: "inside.test:80").code == 2)
    }
    let line = try sockeye.closing(client)
    #expect(line.contains(#/(malformed|rejected):1 /#), "\(line)")
    #expect(inside.payloads == [])
    #expect(name == "inside.test" || names.questions.all == [])
  }

  @Test(arguments: [
    "127.0.0.9", "[::ffff:127.0.0.9]", "[::127.0.0.9]", "[64:ff9b::127.0.0.9]", "[2002:7f00:9::]",
  ])
  func `nor does an address that embeds another (C12, T14)`(host: String) throws {
    let inside = try DatagramServer.echo(on: "127.0.0.9:0")
    let sockeye = try Sockeye("routes: [{ip: 127.0.0.9, via: reject}]\ndefault: direct\n")
    let client = try Association(through: sockeye.address)
    try client.send("in", to: "\(host):\(inside.port)")
    try client.expectEcho("behind", from: target.address)
    #expect(try sockeye.closing(client).contains("rejected:1"))
    #expect(inside.payloads == [])
  }

  @Test func `of a name's addresses the refused ones are left out (T16)`() throws {
    let inside = try DatagramServer.echo(on: "127.0.0.9:\(target.port)")
    let names = try NameServer(["both.test": .addresses(["127.0.0.9", "127.0.0.1"])])
    let sockeye = try Sockeye("\(names.table)routes: [{ip: 127.0.0.9, via: reject}]\ndefault: direct\n")
    let client = try Association(through: sockeye.address)
    try send("hello", to: "both.test", by: client)
    #expect(try client.receive().source == target.address)
    #expect(inside.payloads == [])
  }

  @Test(
    arguments: [
      Array("good.test\0.evil.test".utf8), Array("good.test\0".utf8), Array("good test".utf8), [0xFF, 0xFE],
      Array("good.test\n".utf8), Array(repeating: 0x61, count: 255), Array("*.good.test".utf8),
      Array("..".utf8),
    ] as [[UInt8]])
  func `what is no name is neither looked up nor passed on (C6, C10, T11)`(name: [UInt8]) throws {
    let names = try NameServer(["good.test": .addresses(["127.0.0.1"])])
    let sockeye = try Sockeye("\(names.table)log: {level: debug}\ndefault: direct\n")
    let client = try Association(through: sockeye.address)
    try client.send(raw: SOCKS.datagram(toName: name, port: target.port, [1]))
    try client.expectEcho("behind", from: target.address)
    #expect(target.payloads.count == 1)
    #expect(names.questions.all == [])
    #expect(try sockeye.closing(client).contains(" dropped="))
  }
}
