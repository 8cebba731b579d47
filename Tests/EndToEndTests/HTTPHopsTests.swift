import Foundation
import Testing

/// Hops that speak HTTP: honest ones of three kinds, and such as lie, stall or flood. The rows J of the protocol's list.
@Suite(.blocking)
struct HTTPHopsTests {
  // MARK: Real ones

  @Test func `an HTTP proxy is a hop at any place, among hops of other kinds (J9)`() throws {
    let target = try HTTPTarget(on: "0.0.0.0:0")
    let tiny = try Tinyproxy(user: "alice", password: "pass-word")
    let privoxy = try Privoxy()
    let exit = try Sockeye(
      "listen: {address: \"127.0.0.1:0\", users: {bob: \"p@ss:word\"}}\nhosts: {site.test: 127.0.0.1}\ndefault: direct\n"
    )
    let socks = try Sockeye("default: direct\n")
    let table = """
      upstreams:
        tiny: http://alice:pass-word@\(tiny.address)
        privoxy: http://\(privoxy.address)
        exit: http://bob:p%40ss%3Aword@\(exit.address)
        five: socks5://\(socks.address)
        four: socks4://\(socks.address)
        named: socks4a://\(socks.address)

      """
    for (number, chain) in [
      "tiny", "privoxy", "exit", "tiny, privoxy", "privoxy, tiny", "tiny, exit", "five, privoxy, named",
      "tiny, five, exit", "four, exit", "privoxy, exit, tiny, five",
    ].enumerated() {
      let sockeye = try Sockeye(table + "default: [\(chain)]\n")
      let host = "127.0.1.\(number + 1):\(target.port)"
      let answer = try Client.curl("--socks5", sockeye.address, "http://\(host)/")
      #expect(answer.output == [HTTPTarget.greeting], "\(chain): \(answer)")
      #expect(try sockeye.session(to: host).contains(" via=\(chain.replacing(" ", with: "")) "))
    }
    #expect(target.requests.all.count == 10)

    let sockeye = try Sockeye(table + "default: [tiny, privoxy, exit]\n")
    let named = "site.test:\(target.port)"
    let answer = try Client.curl("--socks5-hostname", sockeye.address, "http://\(named)/")
    #expect(answer.output == [HTTPTarget.greeting], "\(answer)")
    try tiny.waitForConnection(to: privoxy.address)
    try privoxy.waitForConnection(to: exit.address)
    #expect(try exit.session(to: named).contains(" user=bob "))
  }

  @Test func `what real proxies answer is told as it was meant (J10)`() throws {
    let dead = try DeadPort()
    let tiny = try Tinyproxy(user: "alice", password: "secret")
    let privoxy = try Privoxy()
    let sockeye = try Sockeye(
      """
      upstreams:
        wrong: http://alice:wrong@\(tiny.address)
        nobody: http://\(tiny.address)
        privoxy: http://\(privoxy.address)
      routes:
        - {ip: 127.0.0.2, via: wrong}
        - {ip: 127.0.0.3, via: [privoxy, nobody]}
      default: privoxy

      """)
    for (target, code, words) in [
      ("127.0.0.2:80", 1, "hop=1/1 wrong phase=authenticate error=(user name or password refused)"),
      ("127.0.0.3:80", 1, "hop=2/2 nobody phase=authenticate reply=407 (Proxy Authentication Required)"),
      (dead.address, 4, "hop=1/1 privoxy phase=request reply=503 (Service Unavailable)"),
    ] as [(String, UInt8, String)] {
      #expect(try Socket(to: sockeye.address).requestConnect(to: target).code == code)
      let line = try sockeye.session(to: target)
      #expect(line.contains(" failed \(words) "), "\(line)")
    }
  }

  @Test func `a download through SOCKS5, HTTP, and SOCKS4a hops is whole`() throws {
    let target = try HTTPTarget()
    let five = try Dante()
    let tiny = try Tinyproxy()
    let named = try Sockeye("default: direct\n")
    let sockeye = try Sockeye(
      """
      upstreams:
        five: socks5://\(five.address)
        tiny: http://\(tiny.address)
        named: socks4a://\(named.address)
      default: [five, tiny, named]

      """)
    let size = 32 << 20
    let client = try Socket(to: sockeye.address)
    #expect(try client.requestTunnel(HTTP.connect(to: target.address)) == 200)
    try client.send("GET /bytes/\(size) HTTP/1.0\r\n\r\n")
    try client.receiveHead()
    try client.expectPattern(size)
  }

  @Test func `trace shows each phase`() throws {
    let target = try Server.silent()
    let tiny = try Tinyproxy()
    let privoxy = try Privoxy()
    let directory = try TemporaryDirectory()
    try directory.write(
      "upstreams: {tiny: \"http://\(tiny.address)\", web: \"http://\(privoxy.address)\"}\ndefault: [tiny, web]\n",
      to: "table.yaml")
    let exit = try Sockeye.run("trace", "table.yaml", target.address, directory: directory.path)
    #expect(exit.output.contains { $0.contains(/hop 1 +tiny +connect \d+ms$/) }, "\(exit)")
    #expect(exit.output.contains { $0.contains(/hop 2 +web +connect \d+ms  request \d+ms$/) }, "\(exit)")
  }

  // MARK: What is sent

  @Test func `a hop is sent destination, host, user, and the headers of the table, and no more (J9)`() throws
  {
    let heard = Recorder<String>()
    let hop = try Server { client in
      heard.record(try client.receiveHead())
      try client.send(HTTP.established)
      heard.record(try client.receiveHead())
      try client.send(HTTP.established)
      _ = try client.receiveToEnd()
    }
    let sockeye = try Sockeye(
      """
      upstreams:
        one: http://Aladdin:open%20sesame@\(hop.address)
        two: {url: "http://two.test:8080", headers: {X-Token: "of ours", user-agent: curl/8.0}}
      default: [one, two]

      """)
    let client = try Socket(to: sockeye.address)
    #expect(
      try client.requestTunnel(HTTP.connect(to: "[2001:db8::1]:443", "X-Secret: of the client's")) == 200)
    #expect(
      heard.all == [
        "CONNECT two.test:8080 HTTP/1.1\r\nHost: two.test:8080\r\n"
          + "Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\nUser-Agent: sockeye\r\n\r\n",
        "CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: [2001:db8::1]:443\r\n"
          + "X-Token: of ours\r\nuser-agent: curl/8.0\r\n\r\n",
      ])
  }

  @Test func `a user name and a password of 8 KiB each are sent whole (J9)`() throws {
    let heard = Recorder<String>()
    let hop = try Server { client in
      heard.record(try client.receiveHead())
      try client.send(HTTP.established)
    }
    let (user, password) = (String(repeating: "u", count: 8192), String(repeating: "p", count: 8192))
    let sockeye = try Sockeye(
      "upstreams: {web: \"http://\(user):\(password)@\(hop.address)\"}\ndefault: web\n")
    #expect(try Socket(to: sockeye.address).requestConnect(to: "some.test:80").code == 0)
    let credentials = Data("\(user):\(password)".utf8).base64EncodedString()
    #expect(try #require(heard.all.first).contains("\r\nProxy-Authorization: Basic \(credentials)\r\n"))
  }

  @Test func `a hop can only be asked to connect: 07 for all else (J9)`() throws {
    let hop = try Server.silent()
    let sockeye = try Sockeye("upstreams: {web: \"http://\(hop.address)\"}\ndefault: web\n")
    for command in [2, 3, 0xF0, 0xF1] as [UInt8] {
      let client = try Socket(to: sockeye.address)
      try client.send(SOCKS.noAuthentication)
      #expect(try client.receive(exactly: 2) == [5, 0])
      let address = command < 0xF0 ? "127.0.0.1:80" : command == 0xF0 ? "some.test:0" : "127.0.0.1:0"
      #expect(try client.request(SOCKS.request(command: command, to: address)).code == 7, "\(command)")
    }
    #expect(hop.accepted.all == [])
  }

  // MARK: What is answered

  @Test(
    arguments: [
      HTTP.established, "HTTP/1.0 200 OK\r\nProxy-agent: x\r\n\r\n", "HTTP/1.1 200\n\n",
      "HTTP/1.1 299 \r\n\n",
      "HTTP/1.1 200 OK\r\nX: a\r\n folded\r\nno colon\r\nContent-Length: 99\r\n\r\n",
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103\n\nHTTP/1.1 200 OK\r\n\r\n",
      "HTTP/1.1 200 OK\r\nX: \(String(repeating: "x", count: 16_000))\r\n\r\n",
    ], [true, false])
  func `every style of success is read, octet by octet, with data behind it (J9)`(
    answer: String, slowly: Bool
  ) throws {
    let hop = try Server { client in
      try client.receiveHead()
      client.sendWithoutDelay()
      if slowly, answer.utf8.count < 1000 {
        for octet in (answer + "first").utf8 { try client.send(octet) }
      } else {
        try client.send(answer + "first")
      }
      _ = try client.receiveToEnd()
    }
    let sockeye = try Sockeye("upstreams: {web: \"http://\(hop.address)\"}\ndefault: web\n")
    let client = try Socket(to: sockeye.address)
    #expect(try client.requestConnect(to: "some.test:80").code == 0)
    #expect(try client.receive(exactly: 5) == Array("first".utf8))
  }

  struct Case: Sendable, CustomTestStringConvertible {
    let testDescription: String
    /// What clients are told that speak SOCKS5 and HTTP.
    let code: UInt8
    let status: Int
    let words: String
    let answer: @Sendable (Socket) throws -> Void

    init(
      _ name: String, _ code: UInt8, _ status: Int, _ words: String,
      _ answer: @escaping @Sendable (Socket) throws -> Void
    ) {
      testDescription = name
      self.code = code
      self.status = status
      self.words = words
      self.answer = answer
    }
  }

  static let statuses = [
    (403, 2, 403), (502, 4, 502), (503, 4, 502), (404, 4, 502), (504, 6, 504), (400, 1, 502), (500, 1, 502),
    (301, 1, 502), (101, 1, 502), (999, 1, 502),
  ].map { (answered, code, status) in
    Case("answers \(answered)", UInt8(code), status, "phase=request reply=\(answered)") {
      try $0.receiveHead()
      try $0.send("HTTP/1.1 \(answered) Because\r\nContent-Length: 9\r\n\r\nno reason")
    }
  }

  /// Of a refusal the status line is enough.
  static let shortRefusals: [Case] = [
    Case("refuses with its status line alone, and closes", 2, 403, "phase=request reply=403") {
      try $0.receiveHead()
      try $0.send("HTTP/1.0 403\n")
    },
    Case("refuses with its status line alone, and stays", 6, 504, "phase=request reply=504") {
      try $0.receiveHead()
      try $0.send("HTTP/1.1 504 Gateway Time-out\r\n")
      _ = try $0.receiveToEnd()
    },
    Case("refuses, and its fields have no end", 2, 403, "phase=request reply=403") {
      try $0.receiveHead()
      try $0.send("HTTP/1.1 403 Forbidden\r\n")
      while true { try $0.send(String(repeating: "X: y\r\n", count: 10_000)) }
    },
  ]

  static let faults: [Case] = [
    Case("hangs", 6, 504, "phase=request error=(timed out)") { _ = try $0.receiveToEnd() },
    Case("closes at once", 1, 502, "phase=request error=(") { _ in },
    Case("closes", 1, 502, "phase=request error=(closed by the peer)") { try $0.receiveHead() },
    Case("closes within its answer", 1, 502, "phase=request error=(closed by the peer)") {
      try $0.receiveHead()
      try $0.send("HTTP/1.1 200 OK\r\n")
    },
    Case("resets", 1, 502, "phase=request error=(connection reset)") {
      $0.resetWhenClosed()
      try $0.receiveHead()
    },
    Case("speaks SOCKS5", 1, 502, "phase=request error=(not HTTP)") {
      try $0.receiveHead()
      try $0.send(5, 0xFF)
      _ = try $0.receiveToEnd()
    },
    Case("has no status", 1, 502, "phase=request error=(malformed HTTP)") {
      try $0.receiveHead()
      try $0.send("HTTP/1.1 OK\r\n\r\n")
    },
    Case("floods", 1, 502, "phase=request error=(HTTP header too long)") {
      try $0.receiveHead()
      try $0.send("HTTP/1.1 200 OK\r\n")
      while true { try $0.send(String(repeating: "X: y\r\n", count: 10_000)) }
    },
    Case("promises without end", 1, 502, "phase=request error=(HTTP header too long)") {
      try $0.receiveHead()
      while true { try $0.send(String(repeating: "HTTP/1.1 100 Continue\r\n\r\n", count: 1000)) }
    },
    Case("answers octet by octet, for longer than it may take", 6, 504, "phase=request error=(timed out)") {
      try $0.receiveHead()
      $0.sendWithoutDelay()
      for octet in ("HTTP/1.1 200 OK\r\nX: " + String(repeating: "x", count: 1000)).utf8 {
        guard !$0.hasSomethingToRead(within: 100) else { return }
        try $0.send(octet)
      }
    },
    Case("asks for a password", 1, 502, "phase=authenticate reply=407 (Proxy Authentication Required)") {
      try $0.receiveHead()
      try $0.send("HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic realm=x\r\n\r\n")
    },
  ]

  private func check(_ hostile: Case, chain: String, position: String) throws {
    let hop = try Server(serve: hostile.answer)
    let good = try Sockeye("default: direct\n")
    let sockeye = try Sockeye(
      """
      upstreams:
        good: {url: "http://\(good.address)"}
        bad: {url: "http://\(hop.address)", timeout: 2s}
      timeouts: {dial: 1500ms}
      default: \(chain)

      """)
    let client = try Socket(to: sockeye.address)
    #expect(try client.requestConnect(to: "some.test:80").code == hostile.code)
    #expect(try client.receiveToEnd().closing == .end)
    let line = try sockeye.session(to: "some.test:80")
    #expect(line.contains(" failed hop=\(position) bad \(hostile.words)"), "\(line)")
    let other = try Socket(to: sockeye.address)
    #expect(try other.requestTunnel(HTTP.connect(to: "other.test:80")) == hostile.status)
    #expect(try other.receiveToEnd().closing == .end)
  }

  @Test(arguments: statuses + shortRefusals + faults)
  func `a lying HTTP hop (J10)`(hostile: Case) throws {
    try check(hostile, chain: "bad", position: "1/1")
  }

  @Test(arguments: faults)
  func `a lying HTTP hop behind a good one (J10)`(hostile: Case) throws {
    try check(hostile, chain: "[good, bad]", position: "2/2")
  }

  @Test func `what a hop says of the next is told of the next (J10)`() throws {
    let hop = try Server { client in
      try client.receiveHead()
      try client.send("HTTP/1.1 403 No\r\n\r\n")
      _ = try client.receiveToEnd()
    }
    let sockeye = try Sockeye(
      "upstreams: {web: \"http://\(hop.address)\", next: \"http://next.test:80\"}\ndefault: [web, next]\n")
    #expect(try Socket(to: sockeye.address).requestConnect(to: "some.test:80").code == 1)
    let line = try sockeye.session(to: "some.test:80")
    #expect(line.contains(" failed hop=2/2 next phase=connect reply=403 (Forbidden) "), "\(line)")
  }
}
