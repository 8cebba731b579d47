import Testing

/// A datagram that is to leave through a chain leaves through that chain, or not at all.
@Suite(.blocking)
struct UDPFailClosedTests {
  @Test func `a table whose chain ends in microsocks is refused, and check says so before (G23)`() throws {
    let target = try DatagramServer.echo()
    let dante = try Dante()
    let micro = try Microsocks()
    func table(_ udp: String) -> String {
      """
      upstreams:
        dante: socks5://\(dante.address)
        micro: {url: "socks5://\(micro.address)"\(udp)}
      default: [dante, micro]

      """
    }
    // Whether the table says so, or the hop.
    for (udp, cause) in [(", udp: no", "error=(carries no UDP)"), ("", "reply=07 ")] {
      let sockeye = try Sockeye(table(udp))
      let client = try Socket(to: sockeye.address)
      #expect(try client.requestAssociation().code == 7)
      #expect(try client.receiveToEnd() == ([], .end))
      let line = try sockeye.process.line(containing: " udp client=\(client.localAddress) ")
      #expect(line.contains(" failed hop=2/2 micro phase=associate \(cause)"), "\(line)")
    }
    let directory = try TemporaryDirectory()
    let file = try directory.write(table(", udp: no"), to: "table.yaml")
    let check = try Sockeye.run("check", file)
    #expect(
      (check.output + check.errors).contains { $0.contains("warning: 'micro' carries no UDP") }, "\(check)")
    #expect(target.payloads == [])
  }

  @Test(arguments: ["down", "[up, down]", "[down, up]"])
  func `with a hop down no datagram leaves, and the client is told where the table is plain (T32)`(
    chain: String
  ) throws {
    let target = try DatagramServer.echo()
    let names = try NameServer(["site.test": .addresses(["127.0.0.1"])])
    let dead = try DeadPort()
    let up = try Sockeye("hosts: {site.test: 127.0.0.1}\ndefault: direct\n")
    let sockeye = try Sockeye(
      """
      \(names.table)upstreams:
        up: socks5://\(up.address)
        down: socks5://\(dead.address)
      default: \(chain)

      """)
    let client = try Socket(to: sockeye.address)
    #expect(try client.requestAssociation().code == 1)
    #expect(try client.receiveToEnd() == ([], .end))
    #expect(target.payloads == [] && names.questions.all == [])
  }

  @Test(arguments: ["down", "[up, down]", "[down, up]", "[up, micro]"])
  func `a chain that cannot be opened is told once, and its datagrams are dropped and counted (T32)`(
    chain: String
  ) throws {
    let target = try DatagramServer.echo()
    let near = try DatagramServer.echo()
    let names = try NameServer(["site.test": .addresses(["127.0.0.1"])])
    let dead = try DeadPort()
    let micro = try Microsocks()
    let up = try Sockeye("hosts: {site.test: 127.0.0.1}\ndefault: direct\n")
    let sockeye = try Sockeye(
      """
      \(names.table)upstreams:
        up: socks5://\(up.address)
        down: socks5://\(dead.address)
        micro: socks5://\(micro.address)
      routes: [{port: \(near.port), via: direct}]
      default: \(chain)

      """)
    let clients = try (0..<2).map { _ in try Association(through: sockeye.address) }
    let warning = " warning udp via=\(chain.filter { !"[] ".contains($0) }) failed hop="
    for client in clients {
      for host in ["127.0.0.1", "site.test"] {
        try client.send("lost", to: "\(host):\(target.port)")
        try sockeye.process.line(containing: warning)
        for _ in 0..<20 { try client.send("lost", to: "\(host):\(target.port)") }
      }
      try client.expectEcho("directly", from: near.address)
      let line = try sockeye.closing(client)
      #expect(line.contains("no-path:42"), "\(line)")
    }
    #expect(target.payloads == [])
    #expect(names.questions.all == [])
    #expect(sockeye.log.filter { $0.contains(warning) }.count == 1)
  }
}
