import Testing

/// Programs people use, through Sockeye.
@Suite(.blocking)
struct ClientsTests {
  static let direct = "default: direct\n"

  @Test func `curl sends an address`() throws {
    let target = try HTTPTarget()
    let sockeye = try Sockeye(Self.direct)
    let exit = try Client.curl("--socks5", sockeye.address, target.url)
    #expect(exit.output == [HTTPTarget.greeting], "\(exit)")
  }

  @Test func `curl sends a name`() throws {
    let target = try HTTPTarget()
    let sockeye = try Sockeye("hosts: {site.test: 127.0.0.1}\n" + Self.direct)
    let exit = try Client.curl("--socks5-hostname", sockeye.address, "http://site.test:\(target.port)/")
    #expect(exit.output == [HTTPTarget.greeting], "\(exit)")
  }

  @Test func `curl proves who it is`() throws {
    let target = try HTTPTarget()
    let sockeye = try Sockeye(
      """
      listen:
        - {address: "127.0.0.1:0", users: {alice: "correct horse"}}
      default: direct

      """)
    let proxy = ["--socks5-hostname", sockeye.address, target.url, "--proxy-user"]
    #expect(try Client.curl(proxy + ["alice:correct horse"]).output == [HTTPTarget.greeting])
    // 97: the proxy would not have us.
    #expect(try Client.curl(proxy + ["alice:battery staple"]).status == 97)
    #expect(try Client.curl("--socks5-hostname", sockeye.address, target.url).status == 97)
    #expect(target.requests.all.count == 1)
  }

  @Test(arguments: [false, true])
  func `netcat gets its answer, half-closed or not`(halfClosing: Bool) throws {
    let target = try HTTPTarget()
    let sockeye = try Sockeye(Self.direct)
    let exit = try Client.netcat(
      through: sockeye.address, to: "127.0.0.1", target.port, input: "GET / HTTP/1.0\r\n\r\n",
      halfClosing: halfClosing)
    #expect(exit.output.last == HTTPTarget.greeting, "\(exit)")
  }

  @Test func `PySocks sends names, addresses and passwords`() throws {
    let target = try HTTPTarget()
    let sockeye = try Sockeye(
      """
      listen:
        - {address: "127.0.0.1:0", users: {alice: secret}}
      hosts: {site.test: 127.0.0.1}
      default: direct

      """)
    for host in ["site.test", "127.0.0.1"] {
      let exit = try Client.pySocks(
        "'127.0.0.1', \(sockeye.port), True, 'alice', 'secret'", host: host, port: target.port)
      #expect(exit.output.last == HTTPTarget.greeting, "\(exit)")
    }
  }

  @Test func `proxychains leads a client through Sockeye alone`() throws {
    let target = try HTTPTarget()
    let sockeye = try Sockeye("hosts: {site.test: 127.0.0.1}\n" + Self.direct)
    for host in ["127.0.0.1", "site.test"] {
      let exit = try Client.proxychains(
        [sockeye.address], ["/usr/bin/curl", "-q", "-sS", "http://\(host):\(target.port)/"])
      #expect(exit.output.contains(HTTPTarget.greeting), "\(exit)")
    }
  }

  @Test func `proxychains leads a client through Sockeye and another proxy, in either order`() throws {
    let target = try HTTPTarget()
    let sockeye = try Sockeye(Self.direct)
    let dante = try Dante()
    for hops in [[sockeye.address, dante.address], [dante.address, sockeye.address]] {
      let exit = try Client.proxychains(hops, ["/usr/bin/curl", "-q", "-sS", target.url])
      #expect(exit.output.contains(HTTPTarget.greeting), "\(exit)")
    }
    try dante.waitForConnection(to: target.address)
    try sockeye.process.line(containing: "to=\(dante.address) ")
    try sockeye.process.line(containing: "to=\(target.address) ")
  }
}
