import Foundation
import Testing

/// Clients that speak HTTP; the rows K of the protocol's list.
@Suite(.blocking)
struct HTTPTests {
  private let echo: Server
  private let sockeye: Sockeye

  init() throws {
    echo = try Server.echo()
    sockeye = try Sockeye(
      """
      hosts: {site.test: 127.0.0.1}
      routes:
        - {domain: denied.test, via: reject}
        - {ip: 127.0.0.9, via: reject}
      default: direct

      """)
  }

  /// What is answered to a request that fails: the status, and the words for people. The stream must be at its end.
  private func refusal(
    of request: String, by sockeye: Sockeye? = nil
  ) throws -> (status: Int, head: String, text: String) {
    let client = try Socket(to: (sockeye ?? self.sockeye).address)
    try client.send(request)
    let head = try client.receiveHead()
    let (text, closing) = try client.receiveToEnd()
    #expect(closing == .end)
    #expect(
      head.contains("\r\nContent-Length: \(text.count)\r\n") && head.contains("\r\nConnection: close\r\n"))
    let code = head.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
    return (code, head, String(decoding: text, as: UTF8.self))
  }

  // MARK: Requests

  @Test func `a tunnel is open after 200 and an empty line (K1, K7)`() throws {
    for host in ["127.0.0.1", "site.test", "SITE.test.", "[::ffff:127.0.0.1]"] {
      let client = try Socket(to: sockeye.address)
      try client.send(HTTP.connect(to: "\(host):\(echo.port)"))
      #expect(try client.receiveHead() == HTTP.established)
      try client.send("hello")
      #expect(try client.receive(exactly: 5) == Array("hello".utf8))
      client.finish()
      #expect(try client.receiveToEnd() == ([], .end))
    }
    _ = try sockeye.session(to: "site.test:\(echo.port)")
    let six = try Server.echo(on: "[::1]:0")
    #expect(try Socket(to: sockeye.address).requestTunnel(HTTP.connect(to: six.address)) == 200)
  }

  @Test(
    arguments: [
      "CONNECT TARGET HTTP/1.0\n\n", "CONNECT TARGET HTTP/1.1\r\n\r\n", "CONNECT \t TARGET  HTTP/1.1\n\r\n",
      "CONNECT TARGET HTTP/1.1\r\nHost: elsewhere.test\r\nX: a\r\n folded\r\nContent-Length: 3\r\n\r\n",
      "\r\nCONNECT TARGET HTTP/1.1\r\n\r\n", "\nCONNECT TARGET HTTP/1.0\n\n",
    ])
  func `styles of old are read (K2)`(text: String) throws {
    let client = try Socket(to: sockeye.address)
    #expect(try client.requestTunnel(text.replacing("TARGET", with: echo.address)) == 200)
    try client.send("hello")
    #expect(try client.receive(exactly: 5) == Array("hello".utf8))
  }

  @Test func `octets may come one at a time, or all together with data (K1, A9, A10)`() throws {
    let request = HTTP.connect(to: echo.address)
    let slow = try Socket(to: sockeye.address)
    slow.sendWithoutDelay()
    for octet in request.utf8 { try slow.send(octet) }
    #expect(try slow.receiveHead() == HTTP.established)

    let hasty = try Socket(to: sockeye.address)
    let data = [UInt8](repeating: 7, count: 100_000)
    try hasty.send(Array(request.utf8) + data)
    #expect(try hasty.receiveHead() == HTTP.established)
    #expect(try hasty.receive(exactly: data.count) == data)
  }

  @Test func `a head of 16 KiB is read, and a longer one is 431 (K5, T36)`() throws {
    let start = "CONNECT \(echo.address) HTTP/1.1\r\nX: "
    let longest = start + String(repeating: "x", count: 16_384 - start.utf8.count - 4) + "\r\n\r\n"
    let client = try Socket(to: sockeye.address)
    try client.send(longest + "early")
    #expect(try client.receiveHead() == HTTP.established)
    #expect(try client.receive(exactly: 5) == Array("early".utf8))

    #expect(try refusal(of: start + String(repeating: "x", count: 30_000)).status == 431)
    #expect(
      try refusal(of: "CONNECT \(String(repeating: "a", count: 5000)):1 HTTP/1.1\r\n\r\n").status == 431)
  }

  @Test(arguments: [
    "GET http://site.test/ HTTP/1.1\r\nHost: site.test\r\n\r\n",
    "POST http://site.test/ HTTP/1.0\r\n\r\nbody",
    "OPTIONS * HTTP/1.1\r\n\r\n", "DELETE / HTTP/1.1\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "GET http://alice:s3cret@site.test/ HTTP/1.1\r\n\r\n",
  ])
  func `whoever wants pages is told what this is, and what to do (K3)`(request: String) throws {
    let answer = try refusal(of: request)
    #expect(answer.status == 501)
    #expect(answer.text.contains("CONNECT") && answer.text.contains("--proxytunnel"), "\(answer.text)")
    let line = try sockeye.process.line(containing: "not supported")
    #expect(line.contains("HTTP \(request.prefix { $0 != " " }) ") && !line.contains("s3cret"), "\(line)")
  }

  @Test func `the answer to HEAD is a head (K3)`() throws {
    let client = try Socket(to: sockeye.address)
    #expect(try client.requestTunnel("HEAD http://site.test/ HTTP/1.1\r\n\r\n") == 501)
    #expect(try client.receiveToEnd() == ([], .end))
  }

  @Test func `another version is 505 (K3)`() throws {
    #expect(try refusal(of: "CONNECT \(echo.address) HTTP/2.0\r\n\r\n").status == 505)
    #expect(echo.accepted.all == [])
  }

  @Test(arguments: [
    "CONNECT\r\n\r\n", "CONNECT 127.0.0.1:80\r\n\r\n", "CONNECT 127.0.0.1:80 HTTP/1.1\r\nno colon\r\n\r\n",
    "CONNECT 127.0.0.1:80 HTTP/1.1\r\nHost : x\r\n\r\n", "CONNECT 127.0.0.1:80 HTTP/1.1\r\nX: \u{0}\r\n\r\n",
    "C\r\n\r\n", "\u{43}\u{0}\n\n",
  ])
  func `what is malformed is 400 (K2)`(request: String) throws {
    #expect(try refusal(of: request).status == 400)
  }

  // MARK: Destinations

  @Test(arguments: [
    "site.test", "site.test:", "site.test:http", "site.test:65536", ":80", "::1:80", "[127.0.0.1]:80",
    "[::1%lo]:80", "http://site.test:80", "site.test:80/", "alice@site.test:80", "127.1:80", "0x7f.1:80",
    "2130706433:80", "site..test:80", "si\u{e9}te.test:80", "*:80", "127.0.0.1:0",
  ])
  func `what is no host and port is 400, and nothing is dialled (K4, T13, T17)`(target: String) throws {
    #expect(try refusal(of: HTTP.connect(to: target)).status == 400)
  }

  @Test(arguments: [
    "denied.test:80", "www.DENIED.test.:80", "127.0.0.9:80", "[::ffff:127.0.0.9]:80", "0.0.0.0:80", "[::]:80",
    "224.0.0.1:80", "255.255.255.255:80",
  ])
  func `a denied destination is 403, however it is spelt (K4, K7, T12)`(target: String) throws {
    let answer = try refusal(of: HTTP.connect(to: target))
    #expect(answer.status == 403)
    #expect(answer.text.contains("rules"))
  }

  @Test func `a failure is told by its status, and in words (K7)`() throws {
    let dead = try DeadPort()
    let full = try FullListener()
    let sockeye = try Sockeye(
      """
      upstreams: {secret-hop-name: "socks5://\(dead.address)"}
      routes:
        - {domain: behind.test, via: secret-hop-name}
        - {ip: 127.0.0.1, timeout: 300ms, via: direct}
      default: direct

      """)
    for (target, status, words) in [
      (dead.address, 502, "connection refused"), ("nobody.invalid:80", 502, "no such name"),
      (full.address, 504, "timed out"),
      ("behind.test:80", 502, "through the proxies on the way: connection refused"),
      (sockeye.address, 403, "rules"),
    ] {
      let answer = try refusal(of: HTTP.connect(to: target) + "early", by: sockeye)
      #expect(answer.status == status, "\(target)")
      #expect(answer.text.contains(words), "\(answer.text)")
      #expect(!answer.text.contains("secret-hop-name"))
    }
  }

  @Test func `one too many is 503 (K7)`() throws {
    let sockeye = try Sockeye("limits: {connections: 1}\ndefault: direct\n")
    let first = try Socket(to: sockeye.address)
    #expect(try first.requestTunnel(HTTP.connect(to: echo.address)) == 200)
    #expect(try refusal(of: HTTP.connect(to: echo.address), by: sockeye).status == 503)
  }

  @Test func `200 is not sent before the last hop has said success (K7, D3)`() throws {
    let goAhead = Recorder<Void>()
    let hop = try Server { client in
      try client.acceptRequest()
      try goAhead.waitForFinish()
      try client.send([5, 0, 0, 1, 0, 0, 0, 0, 0, 0] + Array("first".utf8))
      _ = try client.receiveToEnd()
    }
    let sockeye = try Sockeye("upstreams: {hop: \"socks5://\(hop.address)\"}\ndefault: hop\n")
    let client = try Socket(to: sockeye.address)
    try client.send(HTTP.connect(to: "some.test:80"))
    #expect(!client.hasSomethingToRead(within: 200))
    goAhead.finish()
    #expect(try client.receiveHead() == HTTP.established)
    #expect(try client.receive(exactly: 5) == Array("first".utf8))
  }

  // MARK: Users

  @Test func `with users, a password is asked for and compared (K6, B2, T1, T5)`() throws {
    let sockeye = try Sockeye(
      "listen: {address: \"127.0.0.1:0\", users: {alice: \"se:cret\"}}\nlog: {level: debug}\ndefault: direct\n"
    )
    let challenge = "\r\nProxy-Authenticate: Basic realm=\"sockeye\"\r\n"
    for field in [
      "X: y", "Proxy-Authorization: Bearer x", "Proxy-Authorization: Basic !",
      "Authorization: Basic YWxpY2U6c2U6Y3JldA==",
      try HTTP.basic("alice:se:cre"), try HTTP.basic("alice:"), try HTTP.basic("alice"),
      try HTTP.basic(":se:cret"),
      try HTTP.basic("bob:se:cret"), try HTTP.basic("Alice:se:cret"),
    ] {
      // What comes behind is not looked at.
      let request = HTTP.connect(to: echo.address, field)
      let right = HTTP.connect(to: echo.address, try HTTP.basic("alice:se:cret"))
      let answer = try refusal(of: request + right, by: sockeye)
      #expect(answer.status == 407 && answer.head.contains(challenge), "\(field): \(answer)")
    }
    #expect(echo.accepted.all == [])
    let client = try Socket(to: sockeye.address)
    #expect(
      try client.requestTunnel(HTTP.connect(to: echo.address, try HTTP.basic("alice:se:cret"))) == 200)
    client.finish()
    #expect(try sockeye.session(to: echo.address).contains(" user=alice "))
  }

  @Test func `any name is a label where nobody is asked for proof (K6, A7)`() throws {
    let table = "routes:\n  - {user: mallory, via: reject}\ndefault: direct\n"
    let labelled = try Sockeye("listen: {address: \"127.0.0.1:0\", auth: optional}\n" + table)
    let open = try Sockeye(table)
    let mallory = HTTP.connect(to: echo.address, try HTTP.basic("mallory:x"))
    #expect(try refusal(of: mallory, by: labelled).status == 403)
    #expect(try Socket(to: open.address).requestTunnel(mallory) == 200)
    for field in [try HTTP.basic("carol:"), try HTTP.basic(":"), "X: y"] {
      let client = try Socket(to: labelled.address)
      #expect(try client.requestTunnel(HTTP.connect(to: echo.address, field)) == 200)
    }
  }

  @Test func `no HTTP password reaches a log, and no control character (K6, B9, T7, T34)`() throws {
    let hop = try Tinyproxy(user: "hopuser", password: "hop-pass-77")
    let sockeye = try Sockeye(
      """
      listen:
        - {address: "127.0.0.1:0", users: {alice: right-pass-11, "b\\e[2J\\nforged": right-pass-11}}
      upstreams:
        good: http://hopuser:hop-pass-77@\(hop.address)
        bad: http://hopuser:hop-pass-88@\(hop.address)
      routes:
        - {ip: 127.0.0.1, via: good}
      default: bad
      log: {level: debug}

      """)
    for (user, host, status) in [
      ("alice:right-pass-11", "127.0.0.1", 200), ("alice:right-pass-11", "127.0.0.2", 502),
      ("b\u{1B}[2J\nforged:right-pass-11", "127.0.0.3", 502), ("alice:wrong-pass-22", "127.0.0.1", 407),
    ] {
      let request = HTTP.connect(to: "\(host):\(echo.port)", try HTTP.basic(user))
      #expect(try Socket(to: sockeye.address).requestTunnel(request) == status)
    }
    let failed = try sockeye.session(to: "127.0.0.2:\(echo.port)")
    #expect(
      failed.contains(" failed hop=1/1 bad phase=authenticate error=(user name or password refused)"),
      "\(failed)")
    _ = try sockeye.session(to: "127.0.0.1:\(echo.port)")
    let forged = try sockeye.session(to: "127.0.0.3:\(echo.port)")
    #expect(forged.contains("forged") && !forged.contains("\u{1B}"), "\(forged)")
    try sockeye.process.line(containing: "not authenticated")
    sockeye.signal(SIGTERM)
    let exit = try sockeye.process.wait()
    #expect(!exit.description.contains(/-pass-(11|22|77|88)/), "\(exit)")
    for text in ["alice:right-pass-11", "alice:wrong-pass-22", "hopuser:hop-pass-77"] {
      let field = try HTTP.basic(text)
      #expect(!exit.description.contains(field.suffix(20)), "nor in base 64")
    }
  }

  // MARK: Listeners

  @Test func `a listener speaks HTTP if it is told to, and may speak nothing else (K1)`() throws {
    let web = try Sockeye("listen: {address: \"127.0.0.1:0\", protocols: http}\ndefault: direct\n")
    #expect(try Socket(to: web.address).requestTunnel(HTTP.connect(to: echo.address)) == 200)
    try conversation(with: web.address, .client(SOCKS.noAuthentication), .server(5, 0xFF), .closed)
    try conversation(
      with: web.address, .client(SOCKS4.request(to: echo.address)), .server(SOCKS4.rejection), .closed)
    try echo.accepted.wait(forCount: 1)
    #expect(echo.accepted.all.count == 1)
  }

  @Test func `one deadline holds for the whole request, however busy the client (K5, A12)`() throws {
    let sockeye = try Sockeye("timeouts: {handshake: 1s}\ndefault: direct\n")
    let client = try Socket(to: sockeye.address)
    client.sendWithoutDelay()
    for octet in HTTP.connect(to: echo.address, "X: " + String(repeating: "x", count: 1000)).utf8
    where !client.hasSomethingToRead(within: 20) {
      try? client.send(octet)
    }
    #expect(try client.receiveToEnd().bytes == [])
    #expect(echo.accepted.all == [])
  }

  // MARK: Programs

  @Test func `curl tunnels to a plain target, with a name and a password or without`() throws {
    let target = try HTTPTarget()
    let open = try Sockeye("hosts: {site.test: 127.0.0.1}\ndefault: direct\n")
    let url = "http://site.test:\(target.port)/"
    let plain = try Client.curl("--proxytunnel", "--proxy", "http://\(open.address)", url)
    #expect(plain.output == [HTTPTarget.greeting], "\(plain)")

    let closed = try Sockeye(
      "listen: {address: \"127.0.0.1:0\", users: {alice: \"correct horse\"}}\nhosts: {site.test: 127.0.0.1}\ndefault: direct\n"
    )
    let proxy = ["--proxytunnel", "--proxy", "http://\(closed.address)", url]
    let user = ["--proxy-user", "alice:correct horse"]
    #expect(try Client.curl(proxy + user).output == [HTTPTarget.greeting])
    // It asks first without, and comes again.
    #expect(try Client.curl(proxy + user + ["--proxy-anyauth"]).output == [HTTPTarget.greeting])
    // 56: the tunnel was refused.
    #expect(try Client.curl(proxy).status == 56)
    #expect(try Client.curl(proxy + ["--proxy-user", "alice:battery staple"]).status == 56)
    #expect(target.requests.all.count == 3)
  }

  @Test func `curl shows the page to whoever forgot the tunnel (K3)`() throws {
    let exit = try Client.curl("--proxy", "http://\(sockeye.address)", "http://site.test/")
    #expect(exit.output.joined().contains("--proxytunnel"), "\(exit)")
  }

  @Test func `Python and netcat tunnel through it`() throws {
    let target = try HTTPTarget()
    let script = """
      import http.client
      c = http.client.HTTPConnection("127.0.0.1", \(sockeye.port), timeout=30)
      c.set_tunnel("site.test", \(target.port))
      c.request("GET", "/")
      print(c.getresponse().read().decode().strip())
      """
    let python = try ChildProcess.run(try Program("python3", package: "python3"), ["-c", script])
    #expect(python.output == [HTTPTarget.greeting], "\(python)")
    let netcat = try ChildProcess.run(
      try Program("nc.openbsd", package: "netcat-openbsd"),
      ["-X", "connect", "-x", sockeye.address, "127.0.0.1", "\(target.port)"], input: "GET / HTTP/1.0\r\n\r\n"
    )
    #expect(netcat.output.last == HTTPTarget.greeting, "\(netcat)")
  }
}
