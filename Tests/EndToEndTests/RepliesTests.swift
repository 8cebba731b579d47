import Testing

/// RFC 1928 §6: what a client is told; the rows D, and the table of failures and codes.
@Suite(.blocking)
struct RepliesTests {
  @Test func `success names the address the target sees (D2)`() throws {
    let target = try Server.silent()
    let sockeye = try Sockeye("default: direct\n")
    let reply = try Socket(to: sockeye.address).requestConnect(to: target.address)
    try target.accepted.wait(forCount: 1)
    #expect(reply.code == 0)
    #expect(target.accepted.all == [reply.bound])
  }

  @Test func `over IPv6 too (D1, D2)`() throws {
    let target = try Server.silent(on: "[::1]:0")
    let sockeye = try Sockeye("default: direct\n")
    let reply = try Socket(to: sockeye.address).requestConnect(to: target.address)
    try target.accepted.wait(forCount: 1)
    #expect(target.accepted.all == [reply.bound])
  }

  @Test func `the last hop's address is passed on (D2)`() throws {
    let target = try Server.silent()
    let exit = try Sockeye("default: direct\n")
    let sockeye = try Sockeye("upstreams: {exit: \"socks5://\(exit.address)\"}\ndefault: exit\n")
    let reply = try Socket(to: sockeye.address).requestConnect(to: target.address)
    try target.accepted.wait(forCount: 1)
    #expect(target.accepted.all == [reply.bound])
  }

  @Test func `success is not told before the last hop has told it (D3)`() throws {
    let gate = Gate()
    let asked = Gate()
    let hop = try Server { client in
      try client.acceptRequest()
      asked.open()
      try gate.wait()
      try client.send(5, 0, 0, 1, 127, 0, 0, 9, 0x12, 0x34)
      _ = try client.receiveToEnd()
    }
    let sockeye = try Sockeye("upstreams: {hop: \"socks5://\(hop.address)\"}\ndefault: hop\n")
    let client = try Socket(to: sockeye.address)
    try client.send(SOCKS.noAuthentication + SOCKS.connect(to: "some.test:80"))
    #expect(try client.receive(exactly: 2) == [5, 0])
    try asked.wait()
    #expect(!client.hasSomethingToRead())
    gate.open()
    let reply = try client.receiveReply()
    #expect(reply == (0, "127.0.0.9:4660"))
  }

  @Test func `a refused connection is 05`() throws {
    let dead = try DeadPort()
    let sockeye = try Sockeye("default: direct\n")
    let client = try Socket(to: sockeye.address)
    #expect(try client.requestConnect(to: dead.address).code == 5)
    #expect(try sockeye.session(to: dead.address).contains(" via=direct failed "))
  }

  @Test func `a denied destination is 02`() throws {
    let sockeye = try Sockeye("routes:\n  - {port: 25, via: reject}\ndefault: direct\n")
    #expect(try Socket(to: sockeye.address).requestConnect(to: "127.0.0.1:25").code == 2)
  }

  @Test func `a target that never answers is 06`() throws {
    let full = try FullListener()
    let sockeye = try Sockeye("timeouts: {dial: 1s}\ndefault: direct\n")
    #expect(try Socket(to: sockeye.address).requestConnect(to: full.address).code == 6)
  }

  @Test func `a route has a time of its own to reach its destination`() throws {
    let full = try FullListener()
    let sockeye = try Sockeye(
      "timeouts: {dial: 600s}\nroutes:\n  - {ip: 127.0.0.1, via: direct, timeout: 1s}\ndefault: reject\n")
    #expect(try Socket(to: sockeye.address).requestConnect(to: full.address).code == 6)
  }

  @Test(arguments: ["nx.test", "fail.test", "empty.test", "never.test", "garbage.test", "other.test"])
  func `a name that does not resolve is 04`(name: String) throws {
    let names = try NameServer([
      "fail.test": .failure, "empty.test": .addresses([]), "never.test": .never, "garbage.test": .garbage,
      "other.test": .aboutAnotherName,
    ])
    let sockeye = try Sockeye("\(names.table)timeouts: {dns: 2s}\ndefault: direct\n")
    #expect(try Socket(to: sockeye.address).requestConnect(to: "\(name):80").code == 4)
    #expect(names.questions.all.contains { $0.name == name })
    _ = try sockeye.session(to: "\(name):80")
  }

  @Test func `a reply is read even if the client sent more than was wanted (D4, T38)`() throws {
    let sockeye = try Sockeye("default: reject\n")
    for round in 0..<1000 {
      // What one read takes along with the request, and what it leaves in the socket.
      let trailing = [UInt8](repeating: 0x78, count: round % 2 == 0 ? 300 : 40_000)
      let client = try Socket(to: sockeye.address)
      try client.send(SOCKS.noAuthentication + SOCKS.connect(to: "127.0.0.1:80") + trailing)
      let (answer, closing) = try client.receiveToEnd()
      guard answer == [5, 0] + SOCKS.failure(2), closing == .end else {
        Issue.record("\(answer), then \(closing)")
        break
      }
    }
  }

  @Test func `a dropped client that floods is not read for ever, and holds up nobody`() throws {
    let target = try Server.silent()
    let sockeye = try Sockeye(
      """
      timeouts: {handshake: 600s}
      routes:
        - {port: 9, via: drop}
      default: direct

      """, arguments: ["--workers", "1"])
    let flood = try Socket(to: sockeye.address)
    try flood.send(SOCKS.noAuthentication + SOCKS.connect(to: "192.0.2.1:9"))
    #expect(try flood.receive(exactly: 2) == [5, 0])
    let chunk = [UInt8](repeating: 0, count: 1 << 20)
    // Whoever reads on takes all of it; the kernel's buffers alone hold less.
    flood.setTimeouts(1)
    #expect(throws: SocketError.self) { for _ in 0..<1024 { try flood.send(chunk) } }
    #expect(try Socket(to: sockeye.address).requestConnect(to: target.address).code == 0)
  }

  @Test func `a dropped client hears nothing and is closed at its handshake deadline`() throws {
    let sockeye = try Sockeye("timeouts: {handshake: 1s}\ndefault: drop\n")
    let client = try Socket(to: sockeye.address)
    try client.send(SOCKS.noAuthentication)
    #expect(try client.receive(exactly: 2) == [5, 0])
    try client.send(SOCKS.connect(to: "127.0.0.1:80"))
    #expect(try client.receiveToEnd().bytes == [])
  }
}
