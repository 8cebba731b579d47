import Foundation
import Testing

/// `sockeye status`: how the running program stands.
@Suite(.blocking)
struct StatusTests {
  @Test func `sessions are counted by what they do, where they came, and what they pass`() throws {
    let target = try Server.echo()
    let hop = try Sockeye("default: direct\n")
    let controlled = try ControlledSockeye(
      """
      listen:
        - "127.0.0.1:0"
        - {address: "127.0.0.1:0", name: second}
      upstreams: {hop: "socks5://\(hop.address)"}
      chains: {plain: {hops: [hop], warm: 0}}
      routes: [{listener: second, via: plain}]
      default: direct

      """)
    let addresses = controlled.sockeye.addresses
    #expect(try controlled.status().present == [:])

    let silent = try Socket(to: addresses[0])
    let tunnels = try (0..<3).map { _ in
      let client = try Socket(to: addresses[1])
      #expect(try client.requestConnect(to: target.address).code == 0)
      return client
    }
    let association = try Association(through: addresses[1])
    let echo = try DatagramServer.echo()
    try association.expectEcho("hello", from: echo.address)
    let bind = try Socket(to: addresses[0])
    try bind.send(5, 1, 0)
    _ = try bind.receive(exactly: 2)
    try bind.send(SOCKS.request(command: 2, to: "127.0.0.1:1"))
    #expect(try bind.receiveReply().code == 0)

    let status = try controlled.status()
    #expect(status.present == ["handshakes": 1, "binds": 1, "tunnels": 3, "associations": 1])
    #expect(
      status.listeners == [
        StatusObject.Listener(address: addresses[0], name: nil, now: 2, ever: 2),
        StatusObject.Listener(address: addresses[1], name: "second", now: 4, ever: 4),
      ])
    #expect(status.upstreams.map(\.name) == ["hop"])
    let upstream = try controlled.upstream("hop")
    #expect(upstream.state == "up")
    #expect(upstream.now == 4)
    #expect(upstream.passed == 4)
    #expect(upstream.failed == [:])
    #expect(upstream.latency != nil)
    #expect(upstream.last_failure == nil)

    withExtendedLifetime(silent) {}
    for client in tunnels + [bind, silent] { client.hangUp() }
    association.control.hangUp()
    try eventually("all have left") {
      let status = try controlled.status()
      return status.present == [:] && status.upstreams[0].now == 0 && status.listeners[1].now == 0
        && status.listeners[1].ever == 4
    }
  }

  @Test func `failures are counted by hop and phase, and a destination's refusal is none`() throws {
    let dead = try DeadPort()
    let closing = try Server { _ in }
    let refusing = try Microsocks(user: "alice", password: "right")
    let mute = try Server { _ = try $0.acceptRequest() }
    let hop = try Sockeye("default: direct\n")
    let nobody = try DeadPort()
    let controlled = try ControlledSockeye(
      """
      upstreams:
        unneeded: socks5://127.0.0.1:1
        connect: socks5://\(dead.address)
        greet: socks5://\(closing.address)
        authenticate: socks5://alice:wr0ng-p4ss@\(refusing.address)
        request: socks5://\(mute.address)
        good: socks5://\(hop.address)
      chains:
        plain: {hops: [good], warm: 0}
        long: {hops: [good, connect], warm: 0}
      routes:
        - {port: 1, via: connect}
        - {port: 2, via: greet}
        - {port: 3, via: authenticate}
        - {port: 4, via: request}
        - {port: 5, via: long}
      default: plain

      """)
    for port in [1, 1, 2, 3, 4, 5] {
      #expect(try Socket(to: controlled.sockeye.address).requestConnect(to: "127.0.0.2:\(port)").code != 0)
    }
    #expect(try Socket(to: controlled.sockeye.address).requestConnect(to: nobody.address).code == 5)

    let status = try controlled.status()
    #expect(
      status.upstreams.map(\.name) == ["unneeded", "connect", "greet", "authenticate", "request", "good"])
    #expect(
      status.upstreams.map(\.state) == ["unused", "down", "down", "down", "up", "up"])
    #expect(
      status.upstreams.map(\.failed)
        == [[:], ["connect": 3], ["greet": 1], ["authenticate": 1], ["request": 1], [:]])
    #expect(
      status.upstreams.map(\.last_failure?.phase)
        == [nil, "connect", "greet", "authenticate", "request", nil])
    // It led the way to the dead one, and told that the destination refuses.
    #expect(status.upstreams[5].passed == 2)
    #expect(status.upstreams.map(\.now) == [0, 0, 0, 0, 0, 0])

    let text = try controlled.ask("status").output.joined(separator: "\n")
    #expect(text.contains(#/connect +down .*3 \(connect 3\).*connect: .*connection refused.*, .* ago/#))
    #expect(text.contains(#/authenticate +down .*1 \(authenticate 1\)/#))
    #expect(!text.contains("wr0ng-p4ss"))
    #expect(try !controlled.ask("status", "--json").description.contains("wr0ng-p4ss"))
  }

  @Test func `a group says which members are up, and what it takes now`() throws {
    let target = try Server.echo()
    let port = FreePort.take()
    let second = try Sockeye("default: direct\n")
    let controlled = try ControlledSockeye(
      """
      upstreams: {a: "socks5://127.0.0.1:\(port)", b: "socks5://\(second.address)"}
      groups:
        exits: {members: [a, b]}
        any: {members: [a, b], strategy: random}
      default: exits

      """)
    func connect() throws {
      #expect(try Socket(to: controlled.sockeye.address).requestConnect(to: target.address).code == 0)
    }
    func members() throws -> [Bool] { try controlled.status().groups[0].members.map(\.up) }

    #expect(try controlled.status().groups.map(\.name) == ["exits", "any"])
    #expect(try controlled.status().groups.map(\.takes_now) == ["a", nil])
    // As long as it pauses; the first pause is a second, and doubles.
    try eventually("a is known to be down, and left alone") {
      try connect()
      let status = try controlled.status()
      return status.upstreams[0].state == "down" && status.upstreams[0].rests ?? 0 > 0
        && status.groups[0].takes_now == "b" && status.groups[0].members.map(\.up) == [false, true]
    }
    let first = try Sockeye("listen: 127.0.0.1:\(port)\ndefault: direct\n")
    try eventually("a is up again, and taken") {
      try connect()
      let status = try controlled.status()
      return status.upstreams[0].state == "up" && status.groups[0].takes_now == "a"
        && status.groups[0].members.map(\.up) == [true, true]
    }
    withExtendedLifetime(first) {}
  }

  @Test func `tunnels that are kept ready are told, by chain and by hop`() throws {
    let target = try Server.echo()
    let (first, second) = (try Sockeye("default: direct\n"), try Sockeye("default: direct\n"))
    let controlled = try ControlledSockeye(
      """
      upstreams: {a: "socks5://\(first.address)", b: "socks5://\(second.address)", c: "socks5://127.0.0.1:1"}
      chains: {ready: {hops: [a, b], warm: 4}}
      default: ready

      """)
    #expect(try controlled.status().warm_chains == [])
    #expect(try Socket(to: controlled.sockeye.address).requestConnect(to: target.address).code == 0)
    // Two for each of the threads, of which only one has seen the chain used.
    try eventually("four are ready") {
      let status = try controlled.status()
      return status.warm_chains == [StatusObject.WarmChain(hops: ["a", "b"], ready: 4, wanted: 4)]
        && status.upstreams.map(\.warm) == [4, 4, 0]
    }
    #expect(try controlled.ask("status").output.contains { $0.contains(#/^a,b +4 +4$/#) })
  }

  @Test func `what is known survives a reload by name, and goes with the name`() throws {
    let dead = try DeadPort()
    let one = "upstreams: {x: \"socks5://\(dead.address)\"}\n"
    let controlled = try ControlledSockeye(one + "default: x\n")
    #expect(try Socket(to: controlled.sockeye.address).requestConnect(to: "127.0.0.1:1").code == 1)

    try controlled.write(one + "default: direct\n")
    #expect(try controlled.ask("reload").status == 0)
    #expect(try controlled.upstream("x").failed == ["connect": 1])
    try controlled.write("default: direct\n")
    #expect(try controlled.ask("reload").status == 0)
    #expect(try controlled.status().upstreams.isEmpty)
    try controlled.write(one + "default: direct\n")
    #expect(try controlled.ask("reload").status == 0)
    #expect(try controlled.upstream("x").failed == [:])
    #expect(try controlled.upstream("x").state == "unused")
  }

  @Test func `for people it is a page of columns`() throws {
    let hop = try Sockeye("default: direct\n")
    let controlled = try ControlledSockeye(
      """
      upstreams: {hop: "socks5://\(hop.address)"}
      groups: {exits: {members: [hop, direct]}}
      default: exits

      """)
    let exit = try controlled.ask("status")
    #expect(exit.status == 0)
    #expect(exit.errors == [])
    #expect(exit.output[0].contains(#/^sockeye \S+  up \S+  table \/\S+table\.yaml, read \S+ ago$/#))
    #expect(exit.output[1] == "sessions  none")
    #expect(exit.output.contains { $0.hasPrefix("LISTENER ") })
    #expect(exit.output.contains { $0.contains(#/^hop +unused +- +0 +0 +0 +0 +unknown +-$/#) })
    #expect(exit.output.contains { $0.contains(#/^exits +failover +hop +hop, direct$/#) })
  }
}
