import Testing

/// Tunnels through one hop and more, each decided by the table.
@Suite(.blocking)
struct ChainsTests {
  @Test func `the table decides between no hop, one and three`() throws {
    let target = try HTTPTarget(on: "0.0.0.0:0")
    let dante = try Dante()
    let micro = try Microsocks(user: "alice", password: "p@ss/word")
    let exit = try Sockeye("hosts: {three.test: 127.0.0.1}\ndefault: direct\n")
    let sockeye = try Sockeye(
      """
      hosts: {direct.test: 127.0.0.1}
      upstreams:
        dante: socks5://\(dante.address)
        micro: socks5://alice:p%40ss%2Fword@\(micro.address)
        exit: socks5://\(exit.address)
      chains:
        long: [dante, micro, exit]
      routes:
        - {domain: three.test, via: long}
        - {ip: 127.0.0.2, via: micro}
        - {ip: 127.0.0.3, via: dante}
        - {ip: 127.0.0.4, via: [dante, micro]}
      default: direct

      """)
    func fetch(_ host: String) throws {
      let url = "http://\(host):\(target.port)/"
      let answer = try Client.curl("--socks5-hostname", sockeye.address, url)
      #expect(answer.output == [HTTPTarget.greeting], "\(host): \(answer)")
    }
    try fetch("direct.test")
    #expect(try sockeye.session(to: "direct.test:\(target.port)").contains(" via=direct "))

    try fetch("127.0.0.2")
    try micro.waitForConnection(to: "127.0.0.2:\(target.port)")
    #expect(try sockeye.session(to: "127.0.0.2:\(target.port)").contains(" via=micro "))

    try fetch("127.0.0.3")
    try dante.waitForConnection(to: "127.0.0.3:\(target.port)")

    try fetch("127.0.0.4")
    try micro.waitForConnection(to: "127.0.0.4:\(target.port)")
    #expect(try sockeye.session(to: "127.0.0.4:\(target.port)").contains(" via=dante,micro "))

    try fetch("three.test")
    try dante.waitForConnection(to: micro.address)
    try micro.waitForConnection(to: exit.address)
    _ = try exit.session(to: "three.test:\(target.port)")
    #expect(try sockeye.session(to: "three.test:\(target.port)").contains(" via=dante,micro,exit "))
    #expect(target.requests.all.count == 5)
  }

  @Test func `a gibibyte through three hops arrives as it was sent`() throws {
    let target = try HTTPTarget()
    let dante = try Dante()
    let micro = try Microsocks()
    let exit = try Sockeye("default: direct\n")
    let sockeye = try Sockeye(
      """
      upstreams:
        dante: socks5://\(dante.address)
        micro: socks5://\(micro.address)
        exit: socks5://\(exit.address)
      default: [dante, micro, exit]

      """)
    let size = 1 << 30
    let before = try sockeye.process.residentBytes
    let download = try ChildProcess(
      try Program("sh", package: "dash"),
      ["-c", "curl -q -sS --socks5-hostname \(sockeye.address) \(target.url)bytes/\(size) | sha256sum"])
    #expect(try download.wait().output == [try sha256OfPattern(size)])
    let line = try sockeye.session(to: target.address)
    let down = try #require(line.firstMatch(of: #/ down=(\d+) /#).flatMap { Int($0.1) })
    #expect(down > size && down < size + 1000, "\(line)")
    let grown = try sockeye.process.peakResidentBytes - before
    #expect(grown < size / 64, "\(grown) bytes")
  }

  @Test func `a name of a later hop is resolved by the hop before it (J6)`() throws {
    let target = try HTTPTarget()
    let names = try NameServer()
    let last = try Sockeye("default: direct\n")
    let first = try Sockeye("hosts: {last.test: 127.0.0.1}\ndefault: direct\n")
    let sockeye = try Sockeye(
      """
      \(names.table)upstreams:
        first: socks5://\(first.address)
        last: socks5://last.test:\(last.port)
      default: [first, last]

      """)
    #expect(try Client.curl("--socks5-hostname", sockeye.address, target.url).status == 0)
    _ = try first.session(to: "last.test:\(last.port)")
    #expect(names.questions.all == [])
  }

  @Test func `the name of a first hop is resolved here`() throws {
    let target = try HTTPTarget()
    let names = try NameServer(["hop.test": .addresses(["127.0.0.1"])])
    let hop = try Sockeye("default: direct\n")
    let sockeye = try Sockeye(
      "\(names.table)upstreams: {hop: \"socks5://hop.test:\(hop.port)\"}\ndefault: hop\n")
    #expect(try Client.curl("--socks5-hostname", sockeye.address, target.url).status == 0)
    #expect(names.questions.all.contains { $0.name == "hop.test" })
  }

  /// The pattern's hash, computed by the same program on what never went through a proxy.
  private func sha256OfPattern(_ size: Int) throws -> String {
    let plain = try HTTPTarget()
    let exit = try ChildProcess.run(
      try Program("sh", package: "dash"), ["-c", "curl -q -sS \(plain.url)bytes/\(size) | sha256sum"])
    return try #require(exit.output.first)
  }
}
