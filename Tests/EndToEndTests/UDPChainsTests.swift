import Foundation
import Testing

/// Datagrams through the relays of one hop after another, nested.
@Suite(.blocking)
struct UDPChainsTests {
  enum Kind: String, CustomTestStringConvertible {
    case dante, sockeye, scripted
    var testDescription: String { rawValue }
  }

  /// A hop of any kind, which lives as long as the value.
  struct Hop {
    let address: String
    let server: any Sendable

    init(_ kind: Kind) throws {
      switch kind {
      case .dante:
        let dante = try Dante()
        (address, server) = (dante.address, dante)
      case .sockeye:
        let sockeye = try Sockeye("default: direct\n")
        (address, server) = (sockeye.address, sockeye)
      case .scripted:
        let scripted = try ScriptedHop()
        (address, server) = (scripted.address, scripted)
      }
    }
  }

  /// Everything through these, in this order; `keys` are further keys of the table.
  static func serve(through hops: [String], _ keys: String = "") throws -> Sockeye {
    let upstreams = hops.enumerated().map { "  hop\($0 + 1): \"socks5://\($1)\"\n" }.joined()
    let chain = hops.indices.map { "hop\($0 + 1)" }.joined(separator: ", ")
    return try Sockeye("\(keys)upstreams:\n\(upstreams)default: [\(chain)]\n")
  }

  // MARK: There and back

  @Test(
    arguments: [
      [.dante], [.sockeye], [.scripted], [.dante, .sockeye], [.sockeye, .dante], [.dante, .dante],
      [.dante, .sockeye, .dante], [.sockeye, .sockeye, .sockeye], [.scripted, .dante, .sockeye, .scripted],
    ] as [[Kind]])
  func `datagrams pass a chain and come back whole`(kinds: [Kind]) throws {
    let targets = try (1...3).map { try DatagramServer.echo(on: "127.0.0.\($0):0") }
    let hops = try kinds.map(Hop.init)
    let sockeye = try Self.serve(through: hops.map(\.address))
    let client = try Association(through: sockeye.address)
    for size in [4, 0, 1, 1200, 1500, 9000, 60_000] {
      for target in targets {
        try client.expectEcho(
          (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 0x9E37 >> 5) }, from: target.address)
      }
    }
    withExtendedLifetime(hops) {}
  }

  @Test func `every hop is asked through the hops before it, and told nothing of who will send`() throws {
    let target = try DatagramServer.echo()
    let hops = try (0..<3).map { _ in try ScriptedHop() }
    let sockeye = try Self.serve(through: hops.map(\.address))
    let client = try Association(through: sockeye.address)
    for _ in 0..<3 { try client.expectEcho("hello", from: target.address) }
    #expect(hops.map(\.hints.all) == [["0.0.0.0:0"], ["0.0.0.0:0"], ["0.0.0.0:0"]])
    #expect(hops[0].connections.all.filter { $0 == hops[1].address }.count == 2)
    #expect(hops[0].connections.all.count == 2)
    #expect(hops[1].connections.all == [hops[2].address])
    #expect(hops[2].connections.all == [])
    // Each unwraps what is for the next.
    let relays = try hops.map { try #require($0.relays.all.first) }
    #expect(Set(hops[0].destinations.all) == [relays[1]])
    #expect(Set(hops[1].destinations.all) == [relays[2]])
    #expect(Set(hops[2].destinations.all) == [target.address])
  }

  @Test func `a hop reached over IPv6 is told zeros of IPv6`() throws {
    var script = ScriptedHop.Script()
    script.relayHost = "[::1]"
    let hop = try ScriptedHop(on: "[::1]:0", script)
    let target = try DatagramServer.echo(on: "[::1]:0")
    let sockeye = try Self.serve(through: [hop.address])
    try Association(through: sockeye.address).expectEcho("hello", from: target.address)
    #expect(hop.hints.all == ["0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0:0"])
  }

  @Test func `one association has one port towards a chain, for all destinations`() throws {
    let targets = try (1...3).map { try DatagramServer.echo(on: "127.0.0.\($0):0") }
    let hop = try ScriptedHop()
    let sockeye = try Self.serve(through: [hop.address])
    let client = try Association(through: sockeye.address)
    for target in targets { try client.expectEcho("hello", from: target.address) }
    #expect(hop.hints.all.count == 1 && hop.clients.all.count == 1)
  }

  @Test func `two chains at once in one association, which share their first hop`() throws {
    let targets = try (0..<2).map { _ in try DatagramServer.echo() }
    let entry = try Sockeye("default: direct\n")
    let exits = try [Dante(external: "127.0.0.5"), Dante(external: "127.0.0.6")]
    let sockeye = try Sockeye(
      """
      upstreams:
        entry: socks5://\(entry.address)
        five: socks5://\(exits[0].address)
        six: socks5://\(exits[1].address)
      routes:
        - {port: \(targets[0].port), via: [entry, five]}
      default: [entry, six]

      """)
    let client = try Association(through: sockeye.address)
    for _ in 0..<3 {
      for target in targets { try client.send(Array(target.address.utf8), to: target.address) }
      let answers = try (0..<2).map { _ in try client.receive() }
      #expect(answers.allSatisfy { $0.bytes == Array($0.source.utf8) })
      #expect(Set(answers.map(\.source)) == Set(targets.map(\.address)))
    }
    for (target, prefix) in zip(targets, ["127.0.0.5:", "127.0.0.6:"]) {
      #expect(target.received.all.allSatisfy { $0.source.hasPrefix(prefix) })
    }
  }

  @Test func `each hop takes ten octets of the largest datagram, and what is larger is dropped (G20, T28)`()
    throws
  {
    let target = try DatagramServer.echo(recording: false)
    let hops = try [Hop(.sockeye), Hop(.scripted), Hop(.sockeye)]
    let sockeye = try Self.serve(through: hops.map(\.address))
    let client = try Association(through: sockeye.address)
    let largest = 65_507 - 30
    for size in largest - 2...largest {
      try client.expectEcho([UInt8](repeating: UInt8(size & 0xFF), count: size), from: target.address)
    }
    try client.send([UInt8](repeating: 1, count: largest + 1), to: target.address)
    try client.expectEcho("behind", from: target.address)
    #expect(try sockeye.closing(client).contains("too-large:1"))
    withExtendedLifetime(hops) {}
  }

  @Test func `a hop at IPv6 takes 22 octets, and one known by name 7 and the name (G20, T28)`() throws {
    let target = try DatagramServer.echo(on: "[::1]:0", recording: false)
    let name = "a-hop-known-by-name.test"
    let first = try Sockeye("default: direct\n")
    let second = try Sockeye("listen: \"[::1]:0\"\nhosts: {\(name): \"::1\"}\ndefault: direct\n")
    let last = try Sockeye("listen: \"[::1]:0\"\ndefault: direct\n")
    let sockeye = try Self.serve(through: [first.address, second.address, "\(name):\(last.port)"])
    let client = try Association(through: sockeye.address)
    let largest = 65_507 - 22 - (7 + name.utf8.count) - 22
    for size in [5, largest] {
      try client.expectEcho([UInt8](repeating: UInt8(size & 0xFF), count: size), from: target.address)
    }
    try client.send([UInt8](repeating: 1, count: largest + 1), to: target.address)
    try client.expectEcho("behind", from: target.address)
    #expect(try sockeye.closing(client).contains("too-large:1"))
  }

  @Test func `only who was sent to may answer through a chain, unless everyone may (G16, T27)`() throws {
    let stranger = try DatagramSocket(on: "127.0.0.9:0")
    let target = try DatagramServer { datagram, socket in
      try stranger.send(Array("unasked".utf8), to: datagram.source)
      try socket.send(datagram.bytes, to: datagram.source)
    }
    let hop = try ScriptedHop()
    let narrow = try Self.serve(through: [hop.address])
    try Association(through: narrow.address).expectEcho("hello", from: target.address)
    let wide = try Self.serve(
      through: [hop.address], "listen: {address: \"127.0.0.1:0\", udp: {filtering: endpoint-independent}}\n")
    let client = try Association(through: wide.address)
    try client.send("hello", to: target.address)
    #expect(try client.receive() == Datagram(source: stranger.address, bytes: Array("unasked".utf8)))
    #expect(try client.receive().source == target.address)
  }

  // MARK: Names

  @Test func `names go to the last hop as they are, and nothing is looked up here (G14, T31)`() throws {
    let names = try NameServer()
    let target = try DatagramServer.echo()
    var script = ScriptedHop.Script()
    script.names = ["site.test": "127.0.0.1"]
    let hops = try [ScriptedHop(), ScriptedHop(), ScriptedHop(script)]
    let sockeye = try Self.serve(through: hops.map(\.address), names.table)
    let client = try Association(through: sockeye.address)
    for _ in 0..<2 {
      try client.send("hello", to: "site.test:\(target.port)")
      #expect(try client.receive() == Datagram(source: target.address, bytes: Array("hello".utf8)))
    }
    #expect(Set(hops[2].destinations.all) == ["“site.test”:\(target.port)"])
    #expect(names.questions.all == [])
  }

  // v2ray, Xray and sing-box answer so.
  @Test(arguments: [1, 2])
  func `an answer headed with the name that was asked is delivered with the name (G15)`(count: Int) throws {
    let target = try DatagramServer.echo()
    let port = target.port
    var script = ScriptedHop.Script()
    script.names = ["site.test": "127.0.0.1", "other.test": "127.0.0.1"]
    script.deliver = { datagram in
      ["other.test", "site.test"].map {
        SOCKS.datagram(toName: $0.utf8, port: port, Array(datagram.dropFirst(10)))
      }
    }
    let hops = try (1..<count).map { _ in try ScriptedHop() } + [ScriptedHop(script)]
    let sockeye = try Self.serve(through: hops.map(\.address))
    let client = try Association(through: sockeye.address)
    for _ in 0..<2 {
      try client.send("hello", to: "Site.Test.:\(port)")
      #expect(try client.receive() == Datagram(source: "“site.test”:\(port)", bytes: Array("hello".utf8)))
    }
    // The other name was not asked.
    #expect(try sockeye.closing(client).contains("dropped=unsolicited:2"))
  }

  @Test func `the name of a later hop is the business of the hop before it, also for datagrams (J6, T31)`()
    throws
  {
    let names = try NameServer()
    let target = try DatagramServer.echo()
    var first = ScriptedHop.Script()
    first.names = ["last.test": "127.0.0.3"]
    var second = ScriptedHop.Script()
    second.relayHost = "127.0.0.3"
    // As behind a NAT, or bound to a wildcard: of no use to the hop before.
    let told = Locked("0.0.0.0")
    second.answer = { client, relay in
      try client.send([5, 0, 0] + SOCKS.encoded("\(told.withLock { $0 }):\(portNumber(of: relay))"))
    }
    let hops = try (ScriptedHop(first), ScriptedHop(on: "127.0.0.3:0", second))
    let sockeye = try Self.serve(through: [hops.0.address, "last.test:\(hops.1.port)"], names.table)
    for address in ["0.0.0.0", "127.0.0.1", "[::]", "last.test"] {
      told.withLock { $0 = address }
      let client = try Association(through: sockeye.address)
      for _ in 0..<2 { try client.expectEcho("hello", from: target.address) }
      let relay = try #require(hops.1.relays.all.last)
      #expect(hops.0.destinations.all.last == "“last.test”:\(portNumber(of: relay))")
    }
    #expect(names.questions.all == [])
  }

  @Test(arguments: ["0.0.0.0", "[::]", "hop.test"])
  func `a first hop's relay is found where the hop is, when it says no better (2.2)`(told: String) throws {
    let names = try NameServer(["hop.test": .addresses(["127.0.0.3"])])
    let target = try DatagramServer.echo()
    var script = ScriptedHop.Script()
    script.relayHost = "127.0.0.3"
    script.answer = { client, relay in
      try client.send([5, 0, 0] + SOCKS.encoded("\(told):\(portNumber(of: relay))"))
    }
    let hop = try ScriptedHop(on: "127.0.0.3:0", script)
    for host in ["127.0.0.3", "hop.test"] {
      let sockeye = try Self.serve(through: ["\(host):\(hop.port)"], names.table)
      try Association(through: sockeye.address).expectEcho("hello", from: target.address)
    }
  }

  @Test(
    arguments: ["", "a b", "localhost", "relay", "relay.unknown.test"].map { Array($0.utf8) } + [[0xff, 0]],
    [false, true])
  func `a relay told by a name of no use is used at the hop's own address (2.2)`(
    name: [UInt8], isBehindAnother: Bool
  ) throws {
    let names = try NameServer([:])
    let target = try DatagramServer.echo()
    var script = ScriptedHop.Script()
    script.relayHost = "127.0.0.3"
    script.answer = { client, relay in
      try client.send([5, 0, 0, 3, UInt8(name.count)] + name + SOCKS.bigEndian(portNumber(of: relay)))
    }
    let hop = try ScriptedHop(on: "127.0.0.3:0", script)
    // What the hop before this one may know of a name cannot be known here.
    if isBehindAnother, String(decoding: name, as: UTF8.self).contains(".") { return }
    let first = try ScriptedHop()
    let hops = isBehindAnother ? [first.address, hop.address] : [hop.address]
    let sockeye = try Self.serve(through: hops, names.table)
    try Association(through: sockeye.address).expectEcho("hello", from: target.address)
  }

  // MARK: Loops

  @Test func `a datagram that comes back to us through a hop goes nowhere (T24)`() throws {
    let target = try DatagramServer.echo()
    let hop = try ScriptedHop()
    let sockeye = try Self.serve(through: [hop.address])
    let client = try Association(through: sockeye.address)
    try client.send("round and round", to: client.relay)
    try client.send(SOCKS.datagram(to: client.relay, SOCKS.datagram(to: client.relay, [1])), to: client.relay)
    try client.expectEcho("hello", from: target.address)
    #expect(try sockeye.closing(client).contains("stranger:2"))
  }

  @Test func `a hop that is ourselves carries no datagrams (J8, T18, T24)`() throws {
    let names = try NameServer(["own.test": .addresses(["127.0.0.1"])])
    let port = FreePort.take()
    let sockeye = try Self.serve(through: ["own.test:\(port)"], "\(names.table)listen: 127.0.0.1:\(port)\n")
    let client = try Socket(to: sockeye.address)
    #expect(try client.requestAssociation().code == 1)
    let line = try sockeye.process.line(containing: " udp client=\(client.localAddress) ")
    #expect(line.contains(" failed hop=1/1 hop1 phase=connect error=(one of our own listeners) "), "\(line)")
  }

  // MARK: Ends

  @Test func `with the client's association those at all hops end (G4)`() throws {
    let target = try DatagramServer.echo()
    let hops = try (0..<3).map { _ in try ScriptedHop() }
    let sockeye = try Self.serve(through: hops.map(\.address))
    let client = try Association(through: sockeye.address)
    try client.expectEcho("hello", from: target.address)
    _ = try sockeye.closing(client)
    for hop in hops { try waitForRefusal(of: try #require(hop.relays.all.first)) }
  }

  @Test(arguments: 0..<3)
  func `when a hop ends its association the path is opened anew, through all of them`(position: Int) throws {
    let target = try DatagramServer.echo()
    let hops = try (0..<3).map { _ in try ScriptedHop() }
    let sockeye = try Self.serve(through: hops.map(\.address))
    let client = try Association(through: sockeye.address)
    try client.expectEcho("before", from: target.address)
    let old = try #require(hops[position].relays.all.first)
    hops[position].endAssociations()
    try waitForRefusal(of: old)
    // What is on its way at that moment may be lost.
    try eventually("an answer by the new path") {
      try client.send("after", to: target.address)
      return client.socket.hasSomethingToRead(within: 100)
    }
    let answer = try client.receive()
    #expect(answer == Datagram(source: target.address, bytes: Array("after".utf8)))
    #expect(hops.map(\.hints.all.count) == [2, 2, 2])
    // Of the old path nothing is left.
    for hop in hops { try waitForRefusal(of: hop.relays.all[0]) }
  }

  @Test(arguments: 0..<3)
  func `when a hop is killed nothing goes another way, and other destinations are served (T32)`(position: Int)
    throws
  {
    let target = try DatagramServer.echo()
    let near = try DatagramServer.echo()
    let inner = try (0..<2).map { _ in try Sockeye("default: direct\n") }
    let exit = try Dante(external: "127.0.0.5")
    let processes = inner.map(\.process) + [exit.process]
    let sockeye = try Self.serve(
      through: inner.map(\.address) + [exit.address],
      "routes: [{client: 127.0.0.2, port: \(near.port), via: direct}]\n")
    let client = try Association(through: sockeye.address, from: "127.0.0.2")
    try client.expectEcho("before", from: target.address)
    processes[position].signal(SIGKILL)
    _ = try processes[position].wait()
    try sockeye.process.line(containing: " warning udp via=hop1,hop2,hop3 failed hop=")
    // The path has ended, and cannot be opened anew, which whoever has no other way is told.
    let other = try Socket(to: sockeye.address)
    #expect(try other.requestAssociation().code == 1)
    let count = target.received.all.count
    for _ in 0..<20 { try client.send("lost", to: target.address) }
    try client.expectEcho("directly", from: near.address)
    #expect(target.received.all.count == count)
    #expect(target.received.all.allSatisfy { $0.source.hasPrefix("127.0.0.5:") })
    #expect(try sockeye.closing(client).contains("no-path:20"))
  }
}
