import Testing

/// Tor's RESOLVE and RESOLVE_PTR (C3): names without a connection, as torsocks asks for them.
@Suite(.blocking)
struct ResolveTests {
  private let names: NameServer

  init() throws {
    names = try NameServer([
      "both.test": .addresses(["192.0.2.7", "2001:db8::7"]), "six.test": .addresses(["2001:db8::6"]),
      "inside.test": .addresses(["10.0.0.1"]), "mixed.test": .addresses(["10.0.0.1", "2001:db8::8"]),
      "7.2.0.192.in-addr.arpa": .name("both.test"),
    ])
  }

  private func table(_ routes: String = "") -> String {
    "\(names.table)timeouts: {dns: 5s}\nhosts: {written.test: 192.0.2.9}\n\(routes)default: direct\n"
  }

  /// The whole reply, behind which the connection must be at its end.
  private func ask(_ sockeye: Sockeye, _ command: UInt8, _ destination: String) throws -> [UInt8] {
    let client = try Socket(to: sockeye.address)
    try client.send(SOCKS.noAuthentication + SOCKS.request(command: command, to: destination))
    #expect(try client.receive(exactly: 2) == [5, 0])
    let (reply, closing) = try client.receiveToEnd()
    #expect(closing == .end)
    return reply
  }

  private func expect(_ sockeye: Sockeye) throws {
    #expect(try ask(sockeye, 0xF0, "both.test:0") == [5, 0, 0, 1, 192, 0, 2, 7, 0, 0])
    #expect(try ask(sockeye, 0xF0, "192.0.2.1:0") == [5, 0, 0, 1, 192, 0, 2, 1, 0, 0])
    let six: [UInt8] = [0x20, 1, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 6]
    #expect(try ask(sockeye, 0xF0, "six.test:0") == [5, 0, 0, 4] + six + [0, 0])
    #expect(try ask(sockeye, 0xF0, "nobody.test:0") == SOCKS.failure(4))
    #expect(try ask(sockeye, 0xF1, "192.0.2.7:0") == [5, 0, 0, 3, 9] + Array("both.test".utf8) + [0, 0])
    #expect(try ask(sockeye, 0xF1, "192.0.2.8:0") == SOCKS.failure(4))
    #expect(try ask(sockeye, 0xF1, "both.test:0") == SOCKS.failure(8))
  }

  @Test func `names and addresses are answered by the resolver (C3)`() throws {
    let sockeye = try Sockeye(table())
    try expect(sockeye)
    #expect(try ask(sockeye, 0xF0, "written.test:0") == [5, 0, 0, 1, 192, 0, 2, 9, 0, 0])
    #expect(try sockeye.session(to: "both.test:0").contains(" info resolve client="))
    #expect(try sockeye.session(to: "192.0.2.7:0").contains(" info resolve_ptr client="))
  }

  @Test(arguments: [1, 2])
  func `through a chain the last hop answers (C3, T31)`(count: Int) throws {
    let exit = try Sockeye(table())
    let hop = try Sockeye("default: direct\n")
    let unasked = try NameServer()
    let sockeye = try Sockeye(
      """
      \(unasked.table)upstreams:
        hop: socks5://\(hop.address)
        exit: socks5://\(exit.address)
      default: \(count == 1 ? "exit" : "[hop, exit]")

      """)
    try expect(sockeye)
    #expect(unasked.questions.all == [])
  }

  @Test func `a hop that cannot is told of as what it is`() throws {
    let micro = try Microsocks()
    let sockeye = try Sockeye(
      """
      upstreams:
        micro: socks5://\(micro.address)
        old: socks4a://\(micro.address)
      routes:
        - {domain: old.test, via: old}
      default: micro

      """)
    #expect(try ask(sockeye, 0xF0, "any.test:0") == SOCKS.failure(7))
    #expect(try ask(sockeye, 0xF0, "old.test:0") == SOCKS.failure(7))
    #expect(try sockeye.session(to: "old.test:0").contains("error=(SOCKS4 has no such command)"))
  }

  @Test func `routes hold for the name, and for what it resolves to`() throws {
    let sockeye = try Sockeye(
      table(
        """
        routes:
          - {domain: forbidden.test, via: reject}
          - {ip: 10.0.0.0/8, via: reject}

        """))
    #expect(try ask(sockeye, 0xF0, "forbidden.test:0") == SOCKS.failure(2))
    #expect(try ask(sockeye, 0xF0, "inside.test:0") == SOCKS.failure(2))
    #expect(try ask(sockeye, 0xF1, "10.0.0.1:0") == SOCKS.failure(2))
    // What is not refused is told.
    #expect(try ask(sockeye, 0xF0, "mixed.test:0").prefix(4) == [5, 0, 0, 4])
  }

  @Test(arguments: [0, 1])
  func `torsocks leads curl by name`(hops: Int) throws {
    // It leads nothing to loopback through a proxy, not even when it is told to.
    let network = try Network()
    try network.ip("address add 192.0.2.80/32 dev lo")
    let target = try PythonTarget(on: "192.0.2.80", in: network)
    let exit = try Sockeye("hosts: {site.test: 192.0.2.80}\ndefault: direct\n", in: network)
    let first = try Sockeye(
      "upstreams: {exit: \"socks5://\(exit.address)\"}\ndefault: exit\n", in: network)
    let proxy = hops == 0 ? exit : first
    let answer = try Client.torsocks(
      through: proxy.address, ["curl", "-q", "-sS", "http://site.test:\(target.port)/"], in: network)
    #expect(answer.output.last == PythonTarget.greeting, "\(answer)")
    #expect(try proxy.session(to: "site.test:42").contains(" info resolve client="))
    #expect(try proxy.session(to: "192.0.2.80:\(target.port)").contains(" info connect client="))
  }
}
