import Testing

/// Datagrams that may take several ways.
@Suite(.blocking)
struct UDPGroupsTests {
  /// Takes the proxy, and goes direct without it. An association that may take several ways has none opened before its first
  /// datagram: one more way leads to the port `direct`, unless a way is to be opened before.
  private func proxyOrDirect(_ proxy: String, _ isOpenedBefore: Bool, direct port: UInt16) throws -> Sockeye {
    try Sockeye(
      """
      upstreams: {a: "socks5://\(proxy)"}
      groups: {exits: {members: [a, direct]}}
      \(isOpenedBefore ? "" : "routes: [{port: \(port), via: direct}]")
      default: exits

      """)
  }

  @Test(arguments: [false, true])
  func `datagrams take the member that carries them`(isOpenedBefore: Bool) throws {
    let dead = try DeadPort()
    let echo = try DatagramServer.echo()
    // It answers "command not supported", and the dead one nothing at all.
    let deaf = try Sockeye("listen: {address: 127.0.0.1:0, udp: false}\ndefault: direct\n")
    let hop = try ScriptedHop()
    let sockeye = try Sockeye(
      """
      upstreams: {a: "socks5://\(dead.address)", b: "socks5://\(deaf.address)", c: "socks5://\(hop.address)"}
      groups: {exits: {members: [a, b, c]}}
      \(isOpenedBefore ? "" : "routes: [{port: 9, via: direct}]")
      default: exits

      """)
    let association = try Association(through: sockeye.address)
    try association.expectEcho("hello", from: echo.address)
    try association.expectEcho("again", from: echo.address)
    #expect(hop.destinations.all == [echo.address, echo.address])
    #expect(hop.clientCount == 1)
  }

  @Test(arguments: [false, true])
  func `the members of a group share the time that an association may take to open`(isGreeted: Bool) throws {
    var script = ScriptedHop.Script()
    script.answer = { client, _ in _ = try client.receiveToEnd() }
    let silent = try (0..<6).map { [script] _ in try ScriptedHop(script) }
    let mute = try (0..<6).map { _ in try Server.silent() }
    let names = (0..<6).map { "s\($0)" }
    let urls = zip(names, isGreeted ? silent.map(\.address) : mute.map(\.address))
      .map { "\($0): \"socks5://\($1)\"" }.joined(separator: ", ")
    let good = try ScriptedHop()
    let sockeye = try Sockeye(
      """
      upstreams: {\(urls), good: "socks5://\(good.address)"}
      groups: {one: {members: [s0, good]}, none: {members: [\(names.joined(separator: ", "))]}}
      routes: [{user: bob, via: none}]
      listen: [{address: "127.0.0.1:0", auth: optional}]
      timeouts: {dial: 4s}
      default: one

      """)
    #expect(try Socket(to: sockeye.address).requestAssociation(as: ("ann", "x")).code == 0)
    // One of them is known to be down by now.
    #expect(try Socket(to: sockeye.address).requestAssociation(as: ("bob", "x")).code != 0)
    let tried = isGreeted ? silent.map(\.clientCount) : mute.map(\.accepted.all.count)
    #expect(tried[0] >= 1)
    // Sockeye itself may have tried some of them once more.
    #expect(tried[1...].count { $0 > 0 } <= 4, "\(tried)")
    #expect(tried[5] == 0, "\(tried)")
  }

  @Test(arguments: [false, true])
  func `an association that took direct keeps to it when the proxy is back`(isOpenedBefore: Bool) throws {
    let (one, other) = (try DatagramServer.echo(), try DatagramServer.echo())
    let port = FreePort.take()
    let sockeye = try proxyOrDirect("127.0.0.1:\(port)", isOpenedBefore, direct: 9)
    let old = try Association(through: sockeye.address)
    try old.expectEcho("hello", from: one.address)
    let hop = try ScriptedHop(on: "127.0.0.1:\(port)")
    try eventually("the proxy is taken again") {
      try Association(through: sockeye.address).expectEcho("hello", from: one.address)
      return !hop.destinations.all.isEmpty
    }
    try old.expectEcho("hello", from: other.address)
    #expect(!hop.destinations.all.contains(other.address))
  }

  @Test(arguments: [false, true])
  func `once a connection has reached a proxy that was down, no new association goes direct`(
    isOpenedBefore: Bool
  ) throws {
    let (echo, target) = (try DatagramServer.echo(), try Server.echo())
    let port = FreePort.take()
    let sockeye = try Sockeye(
      """
      upstreams: {a: "socks5://127.0.0.1:\(port)"}
      groups: {exits: {members: [a, direct]}}
      \(isOpenedBefore ? "" : "routes: [{port: 9, via: direct}]")
      default: exits

      """)
    try Association(through: sockeye.address).expectEcho("directly", from: echo.address)
    let hop = try ScriptedHop(on: "127.0.0.1:\(port)")
    try eventually("a connection reaches the proxy") {
      _ = try Socket(to: sockeye.address).requestConnect(to: target.address)
      return !hop.connections.all.isEmpty
    }
    try Association(through: sockeye.address).expectEcho("hello", from: echo.address)
    #expect(hop.destinations.all == [echo.address])
  }

  @Test(arguments: [
    "default: exits", "routes: [{port: 9, via: direct}]\ndefault: exits",
    "routes: [{network: udp, via: a, udp: direct}]\ndefault: reject",
  ])
  func `that a proxy carries no UDP sends only those associations direct which it told so`(rules: String)
    throws
  {
    let echo = try DatagramServer.echo()
    let asked = Recorder<Int>()
    var script = ScriptedHop.Script()
    script.answer = { client, relay in
      asked.record(0)
      try client.send(asked.all.count == 1 ? SOCKS.failure(7) : [5, 0, 0] + SOCKS.encoded(relay))
    }
    let hop = try ScriptedHop(script)
    let sockeye = try Sockeye(
      """
      upstreams: {a: "socks5://\(hop.address)"}
      groups: {exits: {members: [a, direct]}}
      \(rules)

      """)
    try Association(through: sockeye.address).expectEcho("directly", from: echo.address)
    #expect(hop.destinations.all == [])
    try Association(through: sockeye.address).expectEcho("hello", from: echo.address)
    #expect(hop.destinations.all == [echo.address])
  }

  // The proxy is up, and may have refused what this client asked for.
  @Test(arguments: [(1, false), (2, false), (7, true)] as [(UInt8, Bool)], [false, true])
  func `datagrams go direct where a proxy carries none, and not where it refused one association`(
    refusal: (code: UInt8, isDirect: Bool), isOpenedBefore: Bool
  ) throws {
    let target = try DatagramServer.echo()
    let other = try DatagramServer.echo()
    var script = ScriptedHop.Script()
    script.answer = { client, _ in try client.send(SOCKS.failure(refusal.code)) }
    let hop = try ScriptedHop(script)
    let sockeye = try proxyOrDirect(hop.address, isOpenedBefore, direct: other.port)
    guard refusal.isDirect || !isOpenedBefore else {
      #expect(try Socket(to: sockeye.address).requestAssociation().code == (refusal.code == 2 ? 2 : 1))
      return
    }
    let client = try Association(through: sockeye.address)
    if refusal.isDirect { return try client.expectEcho("hello", from: target.address) }
    try client.send("lost", to: target.address)
    try client.expectEcho("hello", from: other.address)
    try sockeye.process.line(containing: " udp via=a failed hop=1/1 a phase=associate ")
    try client.expectEcho("hello", from: other.address)
    #expect(target.payloads == [])
  }

  @Test(arguments: [false, true])
  func `a proxy that carried datagrams, and refuses one association with 07, sends nobody direct`(
    isOpenedBefore: Bool
  ) throws {
    let (target, other) = (try DatagramServer.echo(), try DatagramServer.echo())
    let asked = Recorder<Int>()
    var script = ScriptedHop.Script()
    script.answer = { client, relay in
      asked.record(0)
      try client.send(asked.all.count == 2 ? SOCKS.failure(7) : [5, 0, 0] + SOCKS.encoded(relay))
    }
    let hop = try ScriptedHop(script)
    let sockeye = try proxyOrDirect(hop.address, isOpenedBefore, direct: other.port)
    try Association(through: sockeye.address).expectEcho("hello", from: target.address)
    if isOpenedBefore {
      #expect(try Socket(to: sockeye.address).requestAssociation().code == 7)
    } else {
      let refused = try Association(through: sockeye.address)
      try refused.send("lost", to: target.address)
      try sockeye.process.line(containing: " udp via=a failed hop=1/1 a phase=associate reply=07 ")
      try refused.expectEcho("hello", from: other.address)
    }
    // The next client is served by the proxy.
    try Association(through: sockeye.address).expectEcho("again", from: target.address)
    #expect(hop.destinations.all == [target.address, target.address])
    #expect(target.payloads == [Array("hello".utf8), Array("again".utf8)])
  }

  @Test func `datagrams that no member carries are dropped, and the log says so once`() throws {
    let target = try DatagramServer.echo()
    let other = try DatagramServer.echo()
    let hop = try ScriptedHop()
    let sockeye = try Sockeye(
      """
      upstreams:
        a: {url: "socks5://\(hop.address)", udp: no}
        b: {url: "socks5://\(hop.address)", udp: no}
      groups: {exits: {members: [a, b]}}
      routes: [{port: \(target.port), via: exits}]
      default: direct

      """)
    let association = try Association(through: sockeye.address)
    for _ in 0..<3 { try association.send("lost", to: target.address) }
    try association.expectEcho("hello", from: other.address)
    _ = try sockeye.process.line(
      containing: " udp via=exits failed hop=1/1 a phase=associate error=(carries no UDP)")
    let closing = try sockeye.closing(association)
    #expect(closing.contains("dropped=no-path:3"), "\(closing)")
    #expect(sockeye.process.lines.all.count { $0.contains("via=exits failed") } == 1)
    #expect(target.payloads.isEmpty && hop.clientCount == 0)
  }

  @Test func `where no member carries UDP a client is told 07, and nobody is said to have answered`() throws {
    let hop = try ScriptedHop()
    let sockeye = try Sockeye(
      """
      upstreams: {a: {url: "socks5://\(hop.address)", udp: no}}
      groups: {exits: {members: [a]}}
      default: exits

      """)
    let client = try Socket(to: sockeye.address)
    #expect(try client.requestAssociation(hint: "0.0.0.0:0").code == 7)
    _ = try sockeye.process.line(containing: "error=(carries no UDP)")
    #expect(hop.clientCount == 0)
  }

  @Test func `trace sends its datagram by the way of a plan that carries it`() throws {
    let directory = try TemporaryDirectory()
    let echo = try DatagramServer.echo()
    let deaf = try Sockeye("listen: {address: 127.0.0.1:0, udp: false}\ndefault: direct\n")
    let good = try Sockeye("default: direct\n")
    try directory.write(
      """
      upstreams: {a: "socks5://\(deaf.address)", b: "socks5://\(good.address)"}
      groups: {exits: {members: [a, b]}}
      default: exits

      """, to: "table.yaml")
    let traced = try Sockeye.run("trace", "--udp", "table.yaml", echo.address, directory: directory.path)
    #expect(traced.status == 0, "\(traced)")
    #expect(traced.output.contains("  way  b"), "\(traced)")
    #expect(traced.output.contains { $0.contains("from \(echo.address)") }, "\(traced)")
  }
}
