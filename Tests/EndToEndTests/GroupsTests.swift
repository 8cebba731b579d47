import Foundation
import Testing

/// Connections that may take several ways: which they take, and what becomes of them when one fails.
@Suite(.blocking)
struct GroupsTests {
  private let target: Server

  init() throws {
    target = try Server.echo(on: "0.0.0.0:0")
  }

  /// A name of the target that tells one session from others.
  private func address(_ number: Int) -> String { "127.0.\(number / 250).\(number % 250 + 1):\(target.port)" }

  /// Opens a tunnel, sends something through it, and closes it; what the log says of it.
  private func pass(_ sockeye: Sockeye, _ number: Int, from source: String? = nil) throws -> String {
    let destination = address(number)
    try converse(sockeye, destination, from: source)
    return try sockeye.session(to: destination)
  }

  private func converse(_ sockeye: Sockeye, _ destination: String, from source: String?) throws {
    let client = try Socket(to: sockeye.address, from: source)
    #expect(try client.requestConnect(to: destination).code == 0)
    try client.send("hello")
    #expect(try client.receive(exactly: 5) == Array("hello".utf8))
  }

  private func way(_ line: String) throws -> String {
    String(try #require(line.firstMatch(of: #/ via=(\S+) /#), "\(line)").1)
  }

  private func exit(_ port: UInt16) throws -> Sockeye {
    try Sockeye("listen: 127.0.0.1:\(port)\ndefault: direct\n")
  }

  @Test func `when one exit dies and comes back, no client fails`() throws {
    let port = FreePort.take()
    var first: Sockeye? = try exit(port)
    let second = try Sockeye("default: direct\n")
    let sockeye = try Sockeye(
      """
      upstreams: {a: "socks5://127.0.0.1:\(port)", b: "socks5://\(second.address)"}
      groups: {exits: {members: [a, b]}}
      default: exits

      """)
    for number in 0..<5 { #expect(try way(pass(sockeye, number)) == "a") }
    #expect(try sockeye.session(to: address(0)).contains(" plan=exits via=a "))
    first = nil
    let line = try pass(sockeye, 10)
    #expect(try way(line) == "b")
    // A process that is killed may reset a connection before its port is closed.
    #expect(line.contains(#/ tried="a: hop=1\/1 a phase=\w+ error=\([^"]+\) endpoint=[\d.:]+" /#), "\(line)")
    for number in 11..<20 { #expect(try way(pass(sockeye, number)) == "b") }
    first = try exit(port)
    var number = 100
    try eventually("nobody went back to a") {
      number += 1
      return try way(pass(sockeye, number)) == "a"
    }
    #expect(first?.process.hasExited == false)
  }

  @Test func `when all are down the client is told 01, and nothing goes direct`() throws {
    let dead = try (0..<3).map { _ in try DeadPort() }
    let sockeye = try Sockeye(
      """
      upstreams:
        a: socks5://\(dead[0].address)
        b: socks5://\(dead[1].address)
        c: socks5://\(dead[2].address)
      groups: {exits: {members: [a, [b, c]], strategy: round-robin}}
      chains: {any: {hops: [a, b, c], mode: dynamic}, some: {hops: [a, b, c], mode: random, length: 1-2}}
      routes: [{ip: 127.0.0.2, via: any}, {ip: 127.0.0.3, via: some}]
      default: exits

      """)
    for host in ["127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.1"] {
      let client = try Socket(to: sockeye.address)
      #expect(try client.requestConnect(to: "\(host):\(target.port)").code == 1)
      #expect(try client.receiveToEnd().closing == .end)
    }
    #expect(target.accepted.all == [])
    let line = try sockeye.session(to: "127.0.0.1:\(target.port)")
    for part in [" plan=exits ", " tried=", " failed hop="] { #expect(line.contains(part), "\(line)") }
  }

  @Test func `a destination that refuses is nobody's failure`() throws {
    let dead = try DeadPort()
    let exits = try (0..<2).map { _ in try Sockeye("default: direct\n") }
    let sockeye = try Sockeye(
      """
      upstreams: {a: "socks5://\(exits[0].address)", b: "socks5://\(exits[1].address)"}
      groups: {exits: {members: [a, b]}}
      default: exits

      """)
    #expect(try Socket(to: sockeye.address).requestConnect(to: dead.address).code == 5)
    #expect(!(try sockeye.session(to: dead.address).contains(" tried=")))
    #expect(try way(pass(sockeye, 1)) == "a")
    #expect(!exits[1].log.contains { $0.contains(" to=") })
  }

  @Test(arguments: ["connect", "greet", "request"])
  func `a hop that hangs costs its share of the time, and another serves the client`(phase: String) throws {
    let full = try FullListener()
    let mute = try Server { client in
      if phase == "request" {
        try client.acceptRequest()
      }
      _ = try client.receiveToEnd()
    }
    let good = try Sockeye("default: direct\n")
    let sockeye = try Sockeye(
      """
      upstreams:
        a: {url: "socks5://\(phase == "connect" ? full.address : mute.address)", timeout: 300ms}
        b: socks5://\(good.address)
      groups: {exits: {members: [a, b]}}
      timeouts: {dial: 5s}
      default: exits

      """)
    if phase == "request" {
      // The destination may be slow, and would be so through another hop.
      #expect(try Socket(to: sockeye.address).requestConnect(to: address(0)).code == 6)
      #expect(!(try sockeye.session(to: address(0)).contains(" tried=")))
    }
    let line = try pass(sockeye, 1)
    #expect(try way(line) == "b")
    #expect(line.contains("phase=\(phase) "), "\(line)")
  }

  @Test func `two instances keep a client at the same exit`() throws {
    let exits = try (0..<3).map { _ in try Sockeye("default: direct\n") }
    let table = """
      upstreams:
        a: socks5://\(exits[0].address)
        b: socks5://\(exits[1].address)
        c: socks5://\(exits[2].address)
      groups: {exits: {members: [a, b, c], strategy: sticky, sticky: client}}
      default: exits

      """
    let instances = [try Sockeye(table), try Sockeye(table)]
    var taken: Set<String> = []
    for number in 1...12 {
      let source = "127.0.0.\(number)"
      let way = try way(pass(instances[0], number, from: source))
      #expect(try self.way(pass(instances[1], number, from: source)) == way)
      #expect(try self.way(pass(instances[0], number + 100, from: source)) == way)
      taken.insert(way)
    }
    #expect(taken.count > 1)
  }

  @Test func `random chains pass as many hops as they should, and none twice`() throws {
    let hops = try (0..<3).map { _ in try Sockeye("default: direct\n") }
    let sockeye = try Sockeye(
      """
      upstreams:
        a: socks5://\(hops[0].address)
        b: socks5://\(hops[1].address)
        c: socks5://\(hops[2].address)
      chains: {tour: {hops: [a, b, c], mode: random, length: 2}}
      default: tour

      """)
    let ways = try (0..<24).map { try way(pass(sockeye, $0)) }
    #expect(ways.allSatisfy { Set($0.split(separator: ",")).count == 2 && $0.utf8.count == 3 })
    #expect(Set(ways).count > 2)
  }

  @Test func `a dynamic chain leaves out what is down`() throws {
    let dead = try DeadPort()
    let hops = try (0..<2).map { _ in try Sockeye("default: direct\n") }
    let sockeye = try Sockeye(
      """
      upstreams:
        a: socks5://\(hops[0].address)
        b: socks5://\(dead.address)
        c: socks5://\(hops[1].address)
      chains: {some: {hops: [a, b, c], mode: dynamic}}
      default: some

      """)
    let line = try pass(sockeye, 1)
    #expect(try way(line) == "a,c")
    #expect(line.contains(#/tried="a,b,c: hop=2/3 b phase=connect reply=05 /#), "\(line)")
    _ = try hops[0].session(to: hops[1].address)
  }

  @Test func `RESOLVE and BIND go on to another member as well`() throws {
    let dead = try DeadPort()
    let dante = try Dante()
    let good = try Sockeye("hosts: {site.test: 192.0.2.7}\ndefault: direct\n")
    let sockeye = try Sockeye(
      """
      upstreams:
        a: socks5://\(dead.address)
        b: socks5://\(good.address)
        c: socks5://\(dante.address)
      groups: {names: {members: [a, b]}, peers: {members: [a, c]}}
      routes: [{command: bind, via: peers}]
      default: names

      """)
    let asking = try Socket(to: sockeye.address)
    try asking.send(SOCKS.noAuthentication)
    _ = try asking.receive(exactly: 2)
    let answer = try asking.request(SOCKS.request(command: 0xf0, to: "site.test:0"))
    #expect(answer.code == 0 && answer.bound == "192.0.2.7:0")

    let binding = try Socket(to: sockeye.address)
    try binding.send(SOCKS.noAuthentication)
    _ = try binding.receive(exactly: 2)
    let bound = try binding.request(SOCKS.request(command: 2, to: "127.0.0.1:1"))
    #expect(bound.code == 0)
    let peer = try Socket(to: bound.bound)
    #expect(try binding.receiveReply().code == 0)
    try peer.send("hello")
    #expect(try binding.receive(exactly: 5) == Array("hello".utf8))
  }

  @Test func `members are checked while the group is in use, through the hops before it`() throws {
    let probe = try Server.silent()
    let entry = try Sockeye("default: direct\n")
    let port = FreePort.take()
    let good = try Sockeye("default: direct\n")
    let sockeye = try Sockeye(
      """
      upstreams:
        e: socks5://\(entry.address)
        a: socks5://127.0.0.1:\(port)
        b: socks5://\(good.address)
      groups: {exits: {members: [b, a], check: {to: "\(probe.address)", every: 50ms, timeout: 2s}}}
      default: [e, exits]

      """)
    #expect(target.accepted.all == [] && probe.accepted.all == [])
    #expect(try way(pass(sockeye, 20)) == "e,b")
    _ = try good.session(to: probe.address)
    _ = try entry.session(to: good.address)
    // Nobody but the checks asks for it.
    _ = try entry.session(to: "127.0.0.1:\(port)")
    let late = try exit(port)
    _ = try late.session(to: probe.address)
    #expect(!good.log.contains { $0.contains("to=127.0.0.1:\(port) ") })
  }

  @Test func `a member that says without a reason that it cannot is no use to a check, and down`() throws {
    let target = try Server.silent()
    let good = try Sockeye("default: direct\n")
    let useless = try Server { client in
      try client.acceptRequest()
      try client.send(SOCKS.failure(1))
    }
    let controlled = try ControlledSockeye(
      """
      upstreams: {a: "socks5://\(useless.address)", b: "socks5://\(good.address)"}
      groups: {exits: {members: [a, b], check: {to: "\(target.address)", every: 50ms, timeout: 2s}}}
      default: exits

      """)
    let client = try Socket(to: controlled.sockeye.address)
    #expect(try client.requestConnect(to: target.address).code == 0)
    try eventually("a never went down") {
      try controlled.status().groups[0].members.map(\.up) == [false, true]
    }
  }

  @Test func `what is known of an upstream survives a reload`() throws {
    let mute = try Server { client in _ = try client.receiveToEnd() }
    let good = try Sockeye("default: direct\n")
    let table = """
      upstreams: {a: {url: "socks5://\(mute.address)", timeout: 200ms}, b: "socks5://\(good.address)"}
      groups: {exits: {members: [a, b]}}
      default: exits

      """
    let sockeye = try Sockeye(table)
    // So often that it pauses for longer than a reload takes.
    var number = 0
    try eventually("a never failed five times") {
      number += 1
      _ = try pass(sockeye, number)
      return mute.accepted.all.count >= 4
    }
    try sockeye.reload(table)
    try sockeye.process.line(containing: "reloaded")
    #expect(!(try pass(sockeye, number + 1).contains(" tried=")))
    // The name of another proxy says nothing of this one.
    let moved = try Sockeye("default: direct\n")
    try sockeye.reload(table.replacing(mute.address, with: moved.address))
    try eventually("it was not reloaded again") { sockeye.log.count { $0.contains("reloaded") } == 2 }
    #expect(try way(pass(sockeye, number + 2)) == "a")
  }

  @Test func `trace and explain tell of a plan`() throws {
    let dead = try DeadPort()
    let good = try Sockeye("default: direct\n")
    let directory = try TemporaryDirectory()
    try directory.write(
      """
      upstreams: {a: "socks5://\(dead.address)", b: "socks5://\(good.address)"}
      groups: {exits: {members: [a, b]}}
      default: exits

      """, to: "table.yaml")
    let destination = "127.0.0.1:\(target.port)"
    let traced = try Sockeye.run("trace", "table.yaml", destination, directory: directory.path)
    #expect(traced.status == 0, "\(traced)")
    #expect(traced.output.first?.contains("→  exits") == true)
    let tried = #/^  tried a  failed hop=1/1 a phase=connect /#
    #expect(traced.output.contains { $0.contains(tried) }, "\(traced)")
    #expect(traced.output.contains("  way  b"))
    #expect(traced.output.contains { $0.contains(#/^  hop 1  b  connect /#) })
    let json = try Sockeye.run("trace", "--json", "table.yaml", destination, directory: directory.path)
    let object = try JSONObject(json.output.joined(), of: "trace")
    #expect(object.string("via") == "exits" && object.string("way") == "b", "\(json)")
    let first = try #require(object.objects("tried").first)
    #expect(first["via"] as? String == "a")
    #expect((first["failed"] as? [String: Any])?["phase"] as? String == "connect", "\(json)")
    let explained = try Sockeye.run("explain", "table.yaml", destination, directory: directory.path)
    #expect(explained.output.contains("  group exits  failover"), "\(explained)")
  }
}
