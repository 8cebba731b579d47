import Foundation
import Testing

/// `trace`: really dialled, hop by hop.
@Suite(.blocking)
struct TraceTests {
  private let directory: TemporaryDirectory
  private let dead: DeadPort
  private let office: Sockeye
  private let target: Server

  init() throws {
    directory = try TemporaryDirectory()
    dead = try DeadPort()
    office = try Sockeye("default: direct\n")
    target = try Server.silent()
    try directory.write(
      """
      upstreams:
        office: socks5://alice:s3cret@\(office.address)
        tor: socks5://\(dead.address)
        exit: socks5://\(office.address)
      routes:
        - {ip: 127.0.0.2, via: [exit, tor]}
        - {ip: 127.0.0.3, via: direct}
        - {ip: 127.0.0.4, via: reject}
      default: [exit]

      """, to: "table.yaml")
  }

  private func trace(_ destination: String) throws -> ChildProcess.Exit {
    try Sockeye.run("trace", "table.yaml", destination, directory: directory.path)
  }

  @Test func `a road that is open`() throws {
    let exit = try trace(target.address)
    #expect(exit.status == 0, "\(exit)")
    #expect(exit.output.contains { $0.contains("exit") && $0.contains("ms") }, "\(exit)")
    try target.accepted.wait(forCount: 1)
  }

  @Test func `a trace goes as it would for a user, a client and a listener`() throws {
    let table = try directory.write(
      """
      listen:
        - {address: "127.0.0.1:1080", name: first}
        - {address: "127.0.0.1:1081", name: second, auth: optional}
      routes:
        - {user: bob, via: reject}
        - {client: 10.0.0.0/8, via: reject}
        - {listener: second, via: reject}
      default: direct

      """, to: "whose.yaml")
    #expect(try Sockeye.run("trace", table, target.address).status == 0)
    for origin in [["--user", "bob"], ["--client", "10.1.2.3"], ["--listener", "second"]] {
      let exit = try ChildProcess.run(try Sockeye.program(), ["trace", table, target.address] + origin)
      #expect(exit.status == 1 && exit.output.last == "  nothing is sent", "\(origin): \(exit)")
    }
    let wrong = try Sockeye.run("trace", table, target.address, "--listener", "third")
    #expect(wrong.status == 2, "\(wrong)")
    #expect(wrong.errors == ["sockeye: the table has no listener 'third' (it has first, second)"])
  }

  @Test func `a dead second hop is named, with phase and reply`() throws {
    let exit = try trace("127.0.0.2:80")
    #expect(exit.status == 1, "\(exit)")
    #expect(
      (exit.output + exit.errors).contains { $0.contains(#/hop.*2.*tor.*05.*refused/#) }, "\(exit)")
  }

  @Test func `no hop at all`() throws {
    let open = try Server.silent(on: "127.0.0.3:0")
    #expect(try trace(open.address).status == 0)
    let closed = try DeadPort(on: "127.0.0.3")
    let exit = try trace(closed.address)
    #expect(exit.status == 1)
    #expect((exit.output + exit.errors).contains { $0.contains("refused") }, "\(exit)")
  }

  @Test func `a destination that is rejected is not dialled`() throws {
    let exit = try trace("127.0.0.4:80")
    #expect(exit.status == 1, "\(exit)")
    #expect((exit.output + exit.errors).contains { $0.contains("reject") }, "\(exit)")
  }

  @Test func `passwords are not printed`() throws {
    #expect(!(try trace(target.address)).description.contains("s3cret"))
  }
}

/// `trace --udp`: a datagram really sent, and an answer waited for.
@Suite(.blocking)
struct DatagramTraceTests {
  private func trace(_ table: String, _ destination: String, _ more: [String] = []) throws
    -> ChildProcess.Exit
  {
    let directory = try TemporaryDirectory()
    try directory.write(table, to: "table.yaml")
    return try ChildProcess.run(
      try Sockeye.program(), ["trace", "table.yaml", destination, "--udp"] + more, directory: directory.path)
  }

  /// A table that sends everything through these hops, which are called hop1, hop2 and so on.
  private func chain(_ hops: String...) -> String {
    let names = hops.indices.map { "hop\($0 + 1)" }
    let upstreams = zip(names, hops).map { "  \($0): socks5://\($1)\n" }.joined()
    return "upstreams:\n\(upstreams)default: [\(names.joined(separator: ", "))]\n"
  }

  private func expect(_ exit: ChildProcess.Exit, _ status: Int32, _ line: some RegexComponent) {
    #expect(exit.status == status, "\(exit)")
    #expect(exit.output.contains { $0.contains(line) }, "\(exit)")
  }

  @Test func `a name server is asked directly, and a name is looked up for it`() throws {
    let names = try NameServer(["ns.test": .addresses(["127.0.0.1"])])
    for host in ["127.0.0.1", "ns.test"] {
      let exit = try trace(names.table + "default: direct\n", "\(host):\(portNumber(of: names.address))")
      expect(exit, 0, #/answered in \d+ms .*from 127\.0\.0\.1/#)
      expect(exit, 0, #/payload: 65507 octets, 1472 on a path of 1500/#)
    }
    #expect(names.questions.all.filter { $0 == NameServer.Question(name: "", type: 2) }.count == 2)
  }

  @Test func `an answer headed with the name that was asked is an answer`() throws {
    let target = try DatagramServer.echo()
    let port = target.port
    var script = ScriptedHop.Script()
    script.names = ["ns.test": "127.0.0.1"]
    script.deliver = { [SOCKS.datagram(toName: "ns.test".utf8, port: port, Array($0.dropFirst(10)))] }
    let hop = try ScriptedHop(script)
    let exit = try trace(chain(hop.address), "ns.test:\(port)")
    expect(exit, 0, #/answered in \d+ms .*from ns\.test:\d+/#)
  }

  @Test func `a datagram goes through Dante and back`() throws {
    let names = try NameServer()
    let hop = try Dante()
    let exit = try trace(chain(hop.address), names.address)
    expect(exit, 0, #/hop 1  hop1  connect \d+ms  greet \d+ms  associate \d+ms  relay 127\.0\.0\.1:\d+/#)
    expect(exit, 0, #/payload: 65497 octets, 1462 on a path of 1500/#)
    #expect(names.questions.all == [NameServer.Question(name: "", type: 2)])
  }

  @Test func `a datagram goes through Dante, Sockeye and Dante, and each hop is told of once`() throws {
    let target = try DatagramServer.echo()
    let (first, second, third) = (
      try Dante(), try Sockeye("default: direct\n"), try Dante(external: "127.0.0.5")
    )
    let exit = try trace(chain(first.address, second.address, third.address), target.address)
    expect(exit, 0, #/answered/#)
    expect(exit, 0, #/payload: 65477 octets, 1442 on a path of 1500/#)
    let hops = exit.output.filter { $0.contains(#/^  hop \d/#) }
    #expect(hops.count == 3, "\(exit)")
    for (number, line) in hops.enumerated() {
      #expect(
        line.contains("hop \(number + 1)  hop\(number + 1)  ")
          && line.contains(#/  connect \d+ms  greet \d+ms  associate \d+ms  relay \S+$/#), "\(exit)")
    }
    #expect(target.received.all.map(\.source).allSatisfy { $0.hasPrefix("127.0.0.5:") })
  }

  @Test func `a relay told as no address is used at the hop's own`() throws {
    let target = try DatagramServer.echo()
    var script = ScriptedHop.Script()
    script.answer = { client, relay in
      try client.send([5, 0, 0] + SOCKS.encoded("0.0.0.0:\(portNumber(of: relay))"))
    }
    let hop = try ScriptedHop(script)
    expect(
      try trace(chain(hop.address), target.address), 0, #/relay told 0\.0\.0\.0:(\d+), used 127\.0\.0\.1:\1$/#
    )
  }

  @Test func `an answer to the second datagram counts`() throws {
    let count = Recorder<Int>()
    let target = try DatagramServer { datagram, socket in
      count.record(1)
      if count.all.count == 2 { try socket.send(datagram.bytes, to: datagram.source) }
    }
    expect(try trace("default: direct\n", target.address), 0, #/answered/#)
  }

  @Test func `a hop without UDP is named, and nothing goes directly`() throws {
    let target = try DatagramServer.echo()
    let hop = try Microsocks()
    expect(
      try trace(chain(hop.address), target.address), 1, #/hop=1/1 hop1 phase=associate reply=07/#)
    #expect(target.received.all == [])
  }

  @Test func `a hop that is known to carry no UDP is not even asked`() throws {
    let hop = try ScriptedHop()
    let table = "upstreams:\n  no: {url: \"socks5://\(hop.address)\", udp: no}\ndefault: no\n"
    expect(try trace(table, "127.0.0.1:53"), 1, #/hop=1/1 no phase=associate error=\(carries no UDP\)/#)
    #expect(hop.clientCount == 0)
  }

  @Test func `what a route says for a chain without UDP is taken, once that is known`() throws {
    let target = try DatagramServer.echo()
    let hop = try Microsocks()
    let table = """
      upstreams:
        tcp: socks5://\(hop.address)
      routes:
        - {port: \(target.port), via: tcp, udp: direct}
        - {ip: 127.0.0.1, via: tcp, udp: reject}
      default: reject

      """
    let exit = try trace(table, target.address)
    expect(exit, 0, #/phase=associate reply=07/#)
    expect(exit, 0, #/the route's 'udp'  →  direct/#)
    expect(try trace(table, "127.0.0.1:53"), 1, #/nothing is sent/#)
  }

  @Test func `a hop that drops every datagram is suspected, but not convicted`() throws {
    let target = try DatagramServer.echo()
    var script = ScriptedHop.Script()
    script.deliver = { _ in [] }
    let hop = try ScriptedHop(script)
    expect(
      try trace(chain(hop.address), target.address), 1,
      #/associated, but no datagram came back: hop 1 may drop UDP/#)
    #expect(hop.destinations.all == [target.address, target.address, target.address])
  }

  @Test func `datagrams of a stranger are no answer`() throws {
    let stranger = try DatagramSocket(on: "127.0.0.6:0")
    let target = try DatagramServer.echo(from: stranger)
    let hop = try ScriptedHop()
    expect(try trace(chain(hop.address), target.address), 1, #/came back are not the destination's/#)
  }

  @Test func `a dead second hop is named behind the first, which is alive`() throws {
    let hop = try Dante()
    let dead = try DeadPort()
    let exit = try trace(chain(hop.address, dead.address), "127.0.0.1:53")
    expect(exit, 1, #/hop=2/2 hop2 phase=connect reply=05/#)
    expect(exit, 1, #/hop 1  hop1  connect \d+ms  greet/#)
  }

  @Test func `a hop that ends its association meanwhile is named`() throws {
    let target = try DatagramServer.silent()
    var script = ScriptedHop.Script()
    script.answer = { client, relay in
      try client.send([5, 0, 0] + SOCKS.encoded(relay))
      client.hangUp()
    }
    let hop = try ScriptedHop(script)
    expect(try trace(chain(hop.address), target.address), 1, #/hop=1/1 hop1 phase=relay error=\(closed/#)
  }

  @Test func `where nobody listens, the kernel says so`() throws {
    let closed = try DatagramSocket().address
    expect(try trace("default: direct\n", closed), 1, #/destination phase=relay error=\(connection refused/#)
  }

  @Test func `a datagram that is rejected is not sent`() throws {
    let target = try DatagramServer.echo()
    expect(try trace("default: reject\n", target.address), 1, #/udp  →  reject/#)
    let table = "routes:\n  - {ip: [127.0.0.0/8, \"::1\"], via: reject}\ndefault: direct\n"
    expect(try trace(table, "localhost:\(target.port)"), 1, #/phase=resolve error=\(rejected by route/#)
    #expect(target.received.all == [])
  }

  @Test func `programs read the same as one object`() throws {
    let target = try DatagramServer.echo()
    let hop = try ScriptedHop()
    let exit = try trace(chain(hop.address), target.address, ["--json"])
    #expect(exit.status == 0, "\(exit)")
    let object = try JSONObject(exit.output.joined(), of: "trace").members
    #expect(object["network"] as? String == "udp" && object["reached"] as? Bool == true)
    let steps = try #require(object["steps"] as? [[String: Any]])
    #expect(steps.map { $0["phase"] as? String } == ["connect", "greet", "associate"])
    let relays = try #require(object["relays"] as? [[String: Any]])
    #expect(relays.map { $0["hop"] as? Int } == [1])
    #expect(relays[0]["told"] as? String == relays[0]["used"] as? String)
    #expect(
      object["room"] as? [String: Int] == ["headers": 10, "largest": 65_497, "unfragmented": 1_462])
    let answer = try #require(object["answer"] as? [String: Any])
    #expect(answer["from"] as? String == target.address && answer["octets"] as? Int == 17)
  }

  @Test func `programs read what failed`() throws {
    let hop = try Microsocks()
    let exit = try trace(chain(hop.address), "127.0.0.1:53", ["--json"])
    #expect(exit.status == 1, "\(exit)")
    let object = try JSONObject(exit.output.joined(), of: "trace").members
    #expect(object["reached"] as? Bool == false)
    let failed = try #require(object["failed"] as? [String: Any])
    #expect(failed["hop"] as? Int == 1 && failed["phase"] as? String == "associate")
    #expect(failed["reply"] as? Int == 7)
  }
}
