import Testing

/// One line when a session ends, as the manual shows it.
@Suite(.blocking)
struct LogTests {
  private static let time = #"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"#
  private static let duration = #"\d+(\.\d+)?(ms|s|m|h)"#

  private func matches(_ line: String, _ pattern: String) throws -> Bool {
    try Regex(pattern).wholeMatch(in: line) != nil
  }

  @Test func `a session that went well`() throws {
    let target = try Server.echo()
    let exit = try Sockeye("hosts: {wiki.corp.test: 127.0.0.1}\ndefault: direct\n")
    let sockeye = try Sockeye(
      """
      listen:
        - {address: "127.0.0.1:0", users: {alice: secret}}
      upstreams:
        office: socks5://\(exit.address)
      routes:
        - {name: corp, domain: corp.test, via: office}
      default: direct

      """)
    let destination = "wiki.corp.test:\(target.port)"
    let client = try Socket(to: sockeye.address)
    let address = client.localAddress
    try client.send(5, 1, 2)
    _ = try client.receive(exactly: 2)
    try client.send(SOCKS.credentials("alice", "secret"))
    _ = try client.receive(exactly: 2)
    #expect(try client.request(SOCKS.connect(to: destination)).code == 0)
    try client.send("12345")
    _ = try client.receive(exactly: 5)
    let line = try sockeye.closing(client, to: destination)
    #expect(
      try matches(
        line,
        Self.time + " info connect client=\(address) user=alice to=\(destination) route=corp via=office"
          + " up=5 down=5 dial=\(Self.duration) time=\(Self.duration)"), "\(line)")
  }

  @Test func `a hop that refused`() throws {
    let dead = try DeadPort()
    let office = try Sockeye("default: direct\n")
    let tor = try Sockeye("default: direct\n")
    let sockeye = try Sockeye(
      """
      upstreams:
        office: socks5://\(office.address)
        tor: socks5://\(tor.address)
      default: [office, tor]

      """)
    let client = try Socket(to: sockeye.address)
    let address = client.localAddress
    #expect(try client.requestConnect(to: dead.address).code == 5)
    let line = try sockeye.session(to: dead.address)
    #expect(
      try matches(
        line,
        Self.time + " warning connect client=\(address) to=\(dead.address) route=default via=office,tor"
          + #" failed hop=2/2 tor phase=request reply=05 \(connection refused\)"#
          + " endpoint=\(tor.address) dial=\(Self.duration)"),
      "\(line)")
  }

  @Test func `a hop that cannot be reached`() throws {
    let dead = try DeadPort()
    let sockeye = try Sockeye("upstreams: {office: \"socks5://\(dead.address)\"}\ndefault: office\n")
    #expect(try Socket(to: sockeye.address).requestConnect(to: "some.test:80").code == 1)
    let line = try sockeye.session(to: "some.test:80")
    #expect(line.contains(#/ via=office failed hop=1/1 office phase=connect .*refused.* dial=/#), "\(line)")
  }

  @Test func `a hop that closes instead of opening the way is not blamed alone`() throws {
    // As 'ssh -D' does when the next hop refuses.
    let tunnel = try Server { client in try client.acceptRequest() }
    let dead = try DeadPort()
    let sockeye = try Sockeye(
      """
      upstreams:
        ssh: socks5://\(tunnel.address)
        far: socks5://\(dead.address)
      default: [ssh, far]

      """)
    #expect(try Socket(to: sockeye.address).requestConnect(to: "some.test:80").code == 1)
    let line = try sockeye.session(to: "some.test:80")
    #expect(
      line.contains(
        " failed hop=1/2 ssh phase=request error=(hop 1 closed instead of opening the way to hop 2)"
          + " endpoint=\(tunnel.address) "), "\(line)")
  }

  @Test func `bytes of the network are escaped, and a line stays a line (T34)`() throws {
    let sockeye = try Sockeye(
      "listen:\n  - {address: \"127.0.0.1:0\", auth: optional}\nlog: {level: debug}\ndefault: reject\n")
    let hostile =
      Array(
        "eve\n2026-01-01T00:00:00.000Z info connect to=forged:1 \u{1B}[2J\u{9B}31m\r\0 \u{202E} x=\"".utf8)
      + [0xFF]
    try conversation(
      with: sockeye.address,
      .client(5, 1, 2), .server(5, 2), .client(SOCKS.credentials(hostile, [1])), .server(1, 0),
      .client(SOCKS.connect(to: "some.test:80")), .server(SOCKS.failure(2)), .closed)
    _ = try sockeye.session(to: "some.test:80")
    sockeye.signal(15)
    let exit = try sockeye.process.wait()
    // What is no UTF-8 has become U+FFFD; everything else that is not printable ASCII is written as an escape.
    #expect(
      exit.description.unicodeScalars.allSatisfy {
        $0.value == 0x0A || (0x20...0x7E).contains($0.value) || $0.value == 0xFFFD
      }, "\(exit)")
    #expect(!(exit.output + exit.errors).contains { $0.hasPrefix("2026-01-01T") }, "\(exit)")
    #expect(
      exit.description.contains(#" user="eve\n2026-01-01T00:00:00.000Z info connect to=forged:1 "#), "\(exit)"
    )
  }

  @Test func `lines that had no room are counted as soon as there is room`() throws {
    let directory = try TemporaryDirectory()
    let table = try directory.write(
      "listen: {address: \"127.0.0.1:0\", auth: optional}\nlog: {format: json}\ndefault: reject\n",
      to: "t.yaml")
    // A reader that pauses behind the first line.
    let script = """
      "$0" serve "$1" 2>&1 >/dev/null | { while read -r line; do echo "$line"; case "$line" in *"listening on"*) break;; esac; done; while [ ! -e "$2" ]; do sleep 0.05; done; cat; }
      """
    let shell = try ChildProcess(
      Program(path: "/bin/sh"), ["-c", script, try Sockeye.program().path, table, directory.path + "/go"])
    let address = try #require(
      try shell.line(containing: "listening on ").firstMatch(of: /listening on ([^"]+)"/).map { String($0.1) }
    )
    // Six octets in the log for each: 1.5 KB a line, of which 4 MiB may wait.
    let user = [UInt8](repeating: 1, count: 255)
    for _ in 0..<3500 {
      let client = try Socket(to: address)
      try client.send(5, 1, 2)
      _ = try client.receive(exactly: 2)
      try client.send(SOCKS.credentials(user, [1]))
      _ = try client.receive(exactly: 2)
      #expect(try client.request(SOCKS.connect(to: "some.test:80")).code == 2)
    }
    try directory.write("", to: "go")
    let line = try JSONObject(shell.line(containing: " log lines were lost: "), of: "serve")
    let lost = try #require(
      line.string("text")?.prefixMatch(of: /(\d+) log lines were lost/).flatMap { Int($0.1) })
    let shown = shell.lines.all.count { $0.contains("some.test:80") }
    #expect(lost + shown == 3500 && lost > 0, "\(lost) lost, \(shown) shown")
  }

  @Test func `JSON when asked for`() throws {
    let target = try Server.silent()
    let sockeye = try Sockeye("default: direct\n", arguments: ["--log-format", "json"])
    let client = try Socket(to: sockeye.address)
    #expect(try client.requestConnect(to: target.address).code == 0)
    client.finish()
    _ = try client.receiveToEnd()
    let line = try sockeye.process.line(containing: "\"\(target.address)\"")
    let object = try JSONObject(line, of: "serve")
    #expect(object.string("event") == "connect" && object.string("level") == "info")
    #expect(object.string("to") == target.address && object.string("via") == "direct")
    #expect(object.string("timestamp")?.wholeMatch(of: #/[0-9]{4}-[0-9-]+T[0-9:.]+Z/#) != nil, "\(line)")
    #expect(object.int("time") != nil && object.int("dial") != nil, "\(line)")
    #expect(object.int("up") == 0 && object.int("down") == 0)
  }

  @Test func `JSON says hop, phase and reply apart`() throws {
    let hop = try Server { client in
      try client.acceptRequest()
      try client.send(SOCKS.failure(5))
      _ = try client.receiveToEnd()
    }
    let table = "upstreams: {tor: \"socks5://\(hop.address)\"}\ndefault: tor\n"
    func expectFailure(_ line: String, of heading: String) throws {
      let failed = try JSONObject(line, of: heading).object("failed")
      #expect(failed["hop"] as? Int == 1 && failed["of"] as? Int == 1 && failed["name"] as? String == "tor")
      #expect(failed["endpoint"] as? String == hop.address)
      #expect(failed["phase"] as? String == "request" && failed["reply"] as? Int == 5)
      #expect(failed["error"] as? String == "reply 05 (connection refused)", "\(line)")
    }
    let sockeye = try Sockeye(table, arguments: ["--log-format", "json"])
    #expect(try Socket(to: sockeye.address).requestConnect(to: "some.test:80").code == 5)
    let line = try sockeye.process.line(containing: "\"some.test:80\"")
    try expectFailure(line, of: "serve")

    let directory = try TemporaryDirectory()
    let file = try directory.write(table, to: "table.yaml")
    let exit = try Sockeye.run("trace", "--json", file, "some.test:80")
    #expect(exit.status == 1)
    try expectFailure(exit.output.joined(), of: "trace")
  }

  @Test func `a level above info keeps good sessions to itself`() throws {
    let target = try Server.silent()
    let dead = try DeadPort()
    let sockeye = try Sockeye("default: direct\n", arguments: ["--log-level", "warning"])
    let client = try Socket(to: sockeye.address)
    #expect(try client.requestConnect(to: target.address).code == 0)
    client.finish()
    _ = try client.receiveToEnd()
    #expect(try Socket(to: sockeye.address).requestConnect(to: dead.address).code == 5)
    _ = try sockeye.session(to: dead.address)
    #expect(!sockeye.log.contains { $0.contains(" to=\(target.address) ") })
  }
}
