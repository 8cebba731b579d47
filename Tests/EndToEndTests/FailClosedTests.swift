import Testing

/// What leaves through a chain never leaves another way.
@Suite(.blocking)
struct FailClosedTests {
  @Test func `no name is looked up here for a chain (T31)`() throws {
    let target = try HTTPTarget()
    let names = try NameServer(["site.test": .addresses(["127.0.0.1"])])
    let exit = try Sockeye("hosts: {site.test: 127.0.0.1}\ndefault: direct\n")
    let hop = try Sockeye("default: direct\n")
    let sockeye = try Sockeye(
      """
      \(names.table)upstreams:
        hop: socks5://\(hop.address)
        exit: socks5://\(exit.address)
      routes:
        - {domain: site.test, via: [hop, exit]}
      default: direct

      """)
    let answer = try Client.curl("--socks5-hostname", sockeye.address, "http://site.test:\(target.port)/")
    #expect(answer.output == [HTTPTarget.greeting], "\(answer)")
    #expect(names.questions.all == [])
    // The name server does hear what is looked up here.
    let other = try Socket(to: sockeye.address)
    #expect(try other.requestConnect(to: "other.test:\(target.port)").code == 4)
    #expect(names.questions.all.contains { $0.name == "other.test" })
  }

  @Test(arguments: ["down", "[up, down]", "[down, up]"])
  func `with a hop down nothing is dialled directly (T32)`(chain: String) throws {
    let target = try HTTPTarget()
    let names = try NameServer(["site.test": .addresses(["127.0.0.1"])])
    let dead = try DeadPort()
    let up = try Sockeye("hosts: {site.test: 127.0.0.1}\ndefault: direct\n")
    let sockeye = try Sockeye(
      """
      \(names.table)upstreams:
        up: socks5://\(up.address)
        down: socks5://\(dead.address)
      routes:
        - {ip: 127.0.0.9, via: direct}
      default: \(chain)

      """)
    for host in ["127.0.0.1", "site.test"] {
      let client = try Socket(to: sockeye.address)
      #expect(try client.requestConnect(to: "\(host):\(target.port)").code == 1)
      #expect(try client.receiveToEnd().closing == .end)
    }
    #expect(target.accepted.all == [])
    #expect(names.questions.all == [])
  }

  @Test func `a dead second hop is named in the log, with phase and reply`() throws {
    let target = try HTTPTarget()
    let dead = try DeadPort()
    let hop = try Dante()
    let sockeye = try Sockeye(
      """
      upstreams:
        office: socks5://\(hop.address)
        tor: socks5://\(dead.address)
      default: [office, tor]

      """)
    let client = try Socket(to: sockeye.address)
    #expect(try client.requestConnect(to: target.address).code == 1)
    let line = try sockeye.session(to: target.address)
    #expect(
      line.contains(#/ via=office,tor failed hop=2/2 tor phase=\w+ reply=05 \(.*refused.*\) /#), "\(line)")
  }
}
