import Testing

/// Upstreams that speak SOCKS4 and SOCKS4a: J5 of the protocol's list.
@Suite(.blocking)
struct SOCKS4HopTests {
  private func sockeye(_ scheme: String, _ hop: String, _ more: String = "") throws -> Sockeye {
    try Sockeye(
      """
      upstreams:
        old: {url: "\(scheme)://\(hop)", timeout: 2s}
      timeouts: {dial: 4s}
      default: old
      \(more)

      """)
  }

  @Test func `a request begins at once, with the user id and the name as it is (J5)`() throws {
    let requests = Recorder<String>()
    let hop = try Server { client in
      let request = try client.receiveSOCKS4Request()
      requests.record("\(request.command) \(request.userID) \(request.destination)")
      try client.send([0, 90, 0, 7, 127, 0, 0, 9])
      _ = try client.receiveToEnd()
    }
    let sockeye = try sockeye("socks4a", "alice@\(hop.address)")
    for (destination, seen) in [("127.0.0.1:80", "127.0.0.1:80"), ("site.test:443", "“site.test”:443")] {
      let client = try Socket(to: sockeye.address)
      // In 4 as in 5, BND of a CONNECT is passed on.
      #expect(try client.requestConnect(to: destination) == (0, "127.0.0.9:7"))
      try requests.wait(for: seen) { $0.last == "1 alice \(seen)" ? () : nil }
    }
  }

  @Test(arguments: [
    ("socks4", "site.test:80", "SOCKS4 carries no names"),
    ("socks4", "[2001:db8::1]:80", "SOCKS4 carries no IPv6 addresses"),
    ("socks4a", "[2001:db8::1]:80", "SOCKS4 carries no IPv6 addresses"),
    ("socks4a", "0.0.0.9:80", "SOCKS4 carries no such address or user id"),
  ])
  func `what the last hop cannot be asked is 08 before anything is dialled (J5)`(
    scheme: String, destination: String, cause: String
  ) throws {
    let first = try Server.silent()
    let last = try Server.silent()
    let sockeye = try Sockeye(
      """
      upstreams:
        first: socks5://\(first.address)
        last: \(scheme)://\(last.address)
      routes:
        - {port: 80, via: [first, last]}
      default: direct

      """)
    #expect(try Socket(to: sockeye.address).requestConnect(to: destination).code == 8)
    let line = try sockeye.session(to: destination)
    #expect(line.contains("failed hop=2/2 last phase=request error=(\(cause))"), "\(line)")
    #expect(first.accepted.all == [] && last.accepted.all == [])
  }

  @Test func `SOCKS5 and SOCKS4a hops can be mixed`() throws {
    let target = try HTTPTarget()
    let exit = try Sockeye("hosts: {site.test: 127.0.0.1}\ndefault: direct\n")
    let hops = try (0..<3).map { _ in try Sockeye("hosts: {later.test: 127.0.0.1}\ndefault: direct\n") }
    let sockeye = try Sockeye(
      """
      upstreams:
        one: socks5://\(hops[0].address)
        two: socks4a://later.test:\(hops[1].port)
        three: socks5://later.test:\(hops[2].port)
        exit: socks4a://bob@\(exit.address)
      default: [one, two, three, exit]

      """)
    let answer = try Client.curl("--socks5-hostname", sockeye.address, "http://site.test:\(target.port)/")
    #expect(answer.output == [HTTPTarget.greeting], "\(answer)")
    _ = try hops[0].session(to: "later.test:\(hops[1].port)")
    _ = try hops[1].session(to: "later.test:\(hops[2].port)")
    _ = try hops[2].session(to: exit.address)
    _ = try exit.session(to: "site.test:\(target.port)")
  }

  @Test func `a later hop's address is looked up as one that SOCKS4 carries`() throws {
    let target = try HTTPTarget()
    let exit = try Sockeye("default: direct\n")
    let old = try Sockeye("default: direct\n")
    let sockeye = try Sockeye(
      """
      hosts: {both.test: ["::1", 127.0.0.1], six.test: "::1"}
      upstreams:
        old: socks4://\(old.address)
        exit: {url: "socks5://both.test:\(exit.port)", resolve: local}
        six: {url: "socks5://six.test:\(exit.port)", resolve: local}
      routes:
        - {port: 1, via: [old, six]}
      default: [old, exit]

      """)
    let answer = try Client.curl("--socks5", sockeye.address, target.url)
    #expect(answer.output == [HTTPTarget.greeting], "\(answer)")
    #expect(try Socket(to: sockeye.address).requestConnect(to: "127.0.0.1:1").code == 1)
    #expect(try sockeye.session(to: "127.0.0.1:1").contains("failed hop=2/2 six phase=resolve "))
  }

  struct Case: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let code: UInt8
    /// As the log names it.
    let what: String
    let serve: @Sendable (Socket) throws -> Void

    init(_ name: String, _ code: UInt8, _ what: String, _ serve: @escaping @Sendable (Socket) throws -> Void)
    {
      testDescription = name
      self.code = code
      self.what = what
      self.serve = serve
    }
  }

  static let hostile: [Case] = [
    Case("hangs", 6, "error=(timed out)") { _ = try $0.receiveToEnd() },
    Case("closes", 1, "error=(closed by the peer)") { try $0.receiveSOCKS4Request() },
    Case("closes within its reply", 1, "error=(closed by the peer)") {
      try $0.receiveSOCKS4Request()
      try $0.send(0, 90, 0)
    },
    Case("replies in SOCKS5", 1, "error=(not SOCKS: version 5)") {
      try $0.receiveSOCKS4Request()
      try $0.send(5, 0, 0, 1, 0, 0, 0, 0, 0, 0)
    },
    Case("replies with garbage without end", 1, "error=(not SOCKS: version 170)") {
      try $0.receiveSOCKS4Request()
      while true { try $0.send([UInt8](repeating: 0xAA, count: 65_536)) }
    },
    Case("rejects", 1, "reply=91 (rejected or failed)") {
      try $0.receiveSOCKS4Request()
      try $0.send(SOCKS4.rejection)
    },
    Case("wants identd", 1, "reply=92 (identd not reached)") {
      try $0.receiveSOCKS4Request()
      try $0.send(0, 92, 0, 0, 0, 0, 0, 0)
    },
    Case("replies octet by octet, for longer than it may take", 6, "error=(timed out)") {
      try $0.receiveSOCKS4Request()
      $0.sendWithoutDelay()
      for octet in [0, 90, 0, 0, 0, 0] as [UInt8] {
        guard !$0.hasSomethingToRead(within: 1000) else { return }
        try $0.send(octet)
      }
    },
  ]

  @Test(arguments: hostile, [false, true])
  func `a SOCKS4 hop that lies, alone or behind a good one (J4, T30)`(hostile: Case, isSecond: Bool) throws {
    let hop = try Server(serve: hostile.serve)
    let good = try Sockeye("default: direct\n")
    let sockeye = try Sockeye(
      """
      upstreams:
        good: {url: "socks5://\(good.address)"}
        bad: {url: "socks4a://\(hop.address)", timeout: 2s}
      timeouts: {dial: 4s}
      default: \(isSecond ? "[good, bad]" : "bad")

      """)
    let client = try Socket(to: sockeye.address)
    #expect(try client.requestConnect(to: "site.test:80").code == hostile.code)
    #expect(try client.receiveToEnd() == ([], .end))
    let line = try sockeye.session(to: "site.test:80")
    #expect(
      line.contains("failed hop=\(isSecond ? "2/2" : "1/1") bad phase=request \(hostile.what)"), "\(line)")
  }

  @Test func `a reply octet by octet, with data behind it (J3, J4)`() throws {
    let hop = try Server { client in
      try client.receiveSOCKS4Request()
      client.sendWithoutDelay()
      for octet in [0, 90, 0, 0, 0, 0, 0, 0] + Array("hello".utf8) { try client.send(octet) }
      _ = try client.receiveToEnd()
    }
    let sockeye = try sockeye("socks4", hop.address)
    let client = try Socket(to: sockeye.address)
    #expect(try client.requestConnect(to: "127.0.0.1:80").code == 0)
    #expect(try client.receive(exactly: 5) == Array("hello".utf8))
  }

  @Test func `a trace shows connecting and the request, there being no greeting`() throws {
    let target = try Server.silent()
    let hop = try Sockeye("default: direct\n")
    let directory = try TemporaryDirectory()
    try directory.write(
      "upstreams: {old: \"socks4a://\(hop.address)\"}\ndefault: old\n", to: "table.yaml")
    let exit = try Sockeye.run("trace", "table.yaml", target.address, directory: directory.path)
    #expect(exit.status == 0, "\(exit)")
    #expect(exit.output.contains { $0.contains("old") && $0.contains("request") }, "\(exit)")
    #expect(!exit.output.contains { $0.contains("greet") }, "\(exit)")
  }
}
