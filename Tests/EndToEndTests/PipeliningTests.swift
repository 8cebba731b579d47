import Foundation
import Testing

/// Hops that are told everything at once, such as support that and such as do not. The row J7 of the protocol's list.
@Suite(.blocking)
struct PipeliningTests {
  private static let target = "127.0.0.9:80"
  private static let success: [UInt8] = [5, 0, 0, 1, 127, 0, 0, 9, 0, 80]

  /// A SOCKS5 server that reads as its kind does, and answers for the destination itself.
  private final class Hop: Sendable {
    enum Kind {
      /// Takes what comes, message by message.
      case honest
      /// Takes a packet for a message, as microsocks does: what comes behind it is lost.
      case forgetful
      /// Closes where more comes than it has asked for.
      case strict
      /// Takes no more connections: it closes them.
      case full
    }

    /// What came first, of each client.
    let first = Recorder<[UInt8]>()
    /// Of requests.
    let destinations = Recorder<String>()
    let kind: Locked<Kind>
    /// It closes what asks for that destination in one flight.
    let closesFlightsTo = Locked<String?>(nil)
    private let server: Server

    init(_ kind: Kind) throws {
      let kind = Locked(kind)
      self.kind = kind
      server = try Server { [first, destinations, closesFlightsTo] client in
        guard case .bytes(let bytes) = try client.receive(upTo: 1024) else { return }
        first.record(bytes)
        if kind.withLock({ $0 == .full || $0 == .strict && bytes.count > 3 }) { return }
        let closes = closesFlightsTo.withLock { $0 }.map {
          Array(bytes.dropFirst(3)) == SOCKS.connect(to: $0)
        }
        if closes == true { return }
        try client.send(5, 0)
        if kind.withLock({ $0 == .honest }), bytes.count > 3 {
          let name = "pipelining.invalid"
          let isTrial = String(decoding: bytes, as: UTF8.self).contains(name)
          destinations.record(isTrial ? name : "another")
          try client.send(isTrial ? SOCKS.failure(4) : PipeliningTests.success + Array("hi".utf8))
        } else {
          destinations.record(try client.receiveRequest())
          try client.send(PipeliningTests.success + Array("hi".utf8))
        }
        _ = try client.receiveToEnd()
      }
    }

    var address: String { server.address }
  }

  /// Through `sockeye` to the destination that answers "hi".
  private static func visit(_ sockeye: Sockeye) throws {
    let client = try Socket(to: sockeye.address)
    #expect(try client.requestConnect(to: target).code == 0)
    #expect(try client.receive(exactly: 2) == Array("hi".utf8))
  }

  // MARK: One flight

  @Test func `what is for all hops leaves in one flight, before any of them has answered (J7)`() throws {
    let all = SOCKS.connect(to: "127.0.0.8:1080")
    let flight =
      [5, 1, 0] + all + [5, 1, 2, 1, 2, 0x75, 0x73, 2, 0x70, 0x77] + SOCKS.connect(to: Self.target)
    let said = Recorder<[UInt8]>()
    let hop = try Server { client in
      said.record(try client.receive(exactly: flight.count))
      try client.send([5, 0] + SOCKS.failure(0) + [5, 2, 1, 0] + Self.success + Array("hi".utf8))
      _ = try client.receiveToEnd()
    }
    let sockeye = try Sockeye(
      """
      upstreams:
        a: {url: "socks5://\(hop.address)", pipeline: yes}
        b: {url: "socks5://us:pw@127.0.0.8:1080", pipeline: yes}
      default: [a, b]

      """)
    try Self.visit(sockeye)
    #expect(said.all == [flight])
  }

  @Test func `a flight ends at a hop that is asked one thing at a time`() throws {
    let said = Recorder<[UInt8]>()
    let hop = try Server { client in
      said.record(try client.receive(exactly: 3 + 10 + 3))
      #expect(!client.hasSomethingToRead(within: 100))
      try client.send([5, 0] + SOCKS.failure(0) + [5, 0])
      said.record(try client.receive(exactly: 10))
      try client.send(Self.success + Array("hi".utf8))
      _ = try client.receiveToEnd()
    }
    let sockeye = try Sockeye(
      """
      upstreams:
        a: {url: "socks5://\(hop.address)", pipeline: yes}
        b: {url: "socks5://127.0.0.8:1080", pipeline: no}
      default: [a, b]

      """)
    try Self.visit(sockeye)
    #expect(said.all.map(\.count) == [16, 10])
  }

  @Test func `real servers of different kinds support it, at any place`() throws {
    let target = try HTTPTarget(on: "0.0.0.0:0")
    let dante = try Dante()
    let tiny = try Tinyproxy()
    let exit = try Sockeye(
      "listen: {address: \"127.0.0.1:0\", users: {alice: secret}}\nhosts: {site.test: 127.0.0.1}\ndefault: direct\n"
    )
    let upstreams = """
      upstreams:
        dante: {url: "socks5://\(dante.address)", pipeline: yes}
        exit: {url: "socks5://alice:secret@\(exit.address)", pipeline: yes}
        four: {url: "socks4a://\(dante.address)", pipeline: yes}
        tiny: {url: "http://\(tiny.address)", pipeline: yes}

      """
    for chain in ["exit", "dante, exit", "exit, dante, tiny", "tiny, exit", "dante, tiny, exit"] {
      let sockeye = try Sockeye(upstreams + "default: [\(chain)]\n")
      let answer = try Client.curl("--socks5", sockeye.address, "http://127.0.0.1:\(target.port)/")
      #expect(answer.output == [HTTPTarget.greeting], "\(chain): \(answer)")
      // What is told again, one thing at a time, is not told as pipelined.
      let trace = try Sockeye.run(
        "trace", "table.yaml", "127.0.0.1:\(target.port)", directory: sockeye.directory.path)
      #expect(trace.status == 0, "\(trace)")
      let hops = trace.output.filter { $0.contains(/\b(greet|authenticate)\b/) }
      #expect(
        !hops.isEmpty && hops.allSatisfy { $0.contains(#/(greet|authenticate) \S+ \(pipelined\)/#) },
        "\(trace)")
    }
  }

  @Test func `a trace tells which phases were pipelined`() throws {
    let target = try Server.silent()
    let entry = try Sockeye("default: direct\n")
    let exit = try Sockeye("default: direct\n")
    let directory = try TemporaryDirectory()
    try directory.write(
      """
      upstreams:
        a: {url: "socks5://\(entry.address)", pipeline: yes}
        b: {url: "socks5://\(exit.address)", pipeline: no}
      default: [a, b]

      """, to: "table.yaml")
    let trace = try Sockeye.run("trace", "table.yaml", target.address, directory: directory.path)
    let lines = trace.output.map { $0.replacing(/[\d.]+(ms|s|µs)/, with: "T") }
    #expect(lines.contains("  hop 1  a  connect T  greet T (pipelined)"), "\(trace)")
    #expect(lines.contains("  hop 2  b  connect T (pipelined)  greet T (pipelined)  request T"), "\(trace)")
    #expect(lines.contains("  by a warm tunnel it takes the request alone: T"), "\(trace)")
  }

  @Test func `nothing is sent behind a CONNECT before its 2xx (J7, RFC 9931)`() throws {
    let said = Recorder<String>()
    let hop = try Server { client in
      var head = ""
      while !head.hasSuffix("\r\n\r\n") {
        head += String(decoding: try client.receive(exactly: 1), as: UTF8.self)
      }
      try client.send("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n")
      said.record(head)
      said.record(String(decoding: try client.receiveToEnd().bytes, as: UTF8.self))
    }
    for next in [
      "http://eve:word@127.0.0.8:1080", "socks5://eve:word@127.0.0.8:1080", "socks4a://eve@127.0.0.8:1080",
    ] {
      let before = said.all.count
      let sockeye = try Sockeye(
        """
        upstreams:
          a: {url: "http://\(hop.address)", pipeline: yes}
          b: {url: "\(next)", pipeline: yes}
        default: [a, b]

        """)
      let client = try Socket(to: sockeye.address)
      #expect(try client.requestConnect(to: Self.target).code == 1)
      try said.wait(forCount: before + 2)
      #expect(said.all[before].hasPrefix("CONNECT 127.0.0.8:1080 HTTP/1.1\r\n"))
      #expect(said.all[before + 1].isEmpty, "behind the CONNECT came \(said.all[before + 1])")
    }
  }

  @Test
  func `BIND waits for the answer to the last hop's greeting, which would be lost in Tor's refusal (J7)`()
    throws
  {
    let first = Recorder<Int>()
    let tor = try Server { client in
      guard case .bytes(let bytes) = try client.receive(upTo: 1024) else { return }
      first.record(bytes.count)
      // What Tor says to an unsupported command in the greeting's packet.
      if bytes.count > 4, bytes[4] == 2 { return try client.send(SOCKS.failure(7)) }
      try client.send(5, 0)
      if bytes.count > 3 { return try client.send(Self.success + Array("hi".utf8)) }
      let (command, _) = try client.receiveCommand()
      try client.send(command == 2 ? SOCKS.failure(7) : Self.success + Array("hi".utf8))
      _ = try client.receiveToEnd()
    }
    let sockeye = try Sockeye(
      """
      upstreams: {tor: {url: "socks5://\(tor.address)", pipeline: yes}}
      default: tor

      """)
    let client = try Socket(to: sockeye.address)
    try client.send(SOCKS.noAuthentication)
    #expect(try client.receive(exactly: 2) == [5, 0])
    #expect(try client.request(SOCKS.request(command: 2, to: "127.0.0.9:80")).code == 7)
    try Self.visit(sockeye)
    #expect(first.all == [3, 13])
  }

  // MARK: Hops that do not support it

  /// What clients caused: Sockeye's own trials ask for a name that does not exist.
  private static func withoutTrials(_ hop: Hop) -> [[UInt8]] {
    hop.first.all.filter { !String(decoding: $0, as: UTF8.self).contains("pipelining.invalid") }
  }

  /// Visits until that takes one connection, which is asked one thing at a time.
  private static func waitForLockstep(_ sockeye: Sockeye, _ hop: Hop) throws {
    try eventually("the hop is still told everything at once") {
      let before = withoutTrials(hop).count
      let client = try Socket(to: sockeye.address)
      let code = try client.requestConnect(to: target).code
      return code == 0 && withoutTrials(hop).dropFirst(before).map(\.count) == [3]
    }
  }

  @Test func `a hop that loses what comes behind a message loses the privilege by a trial`() throws {
    let hop = try Hop(.forgetful)
    let sockeye = try Sockeye(
      """
      upstreams: {a: {url: "socks5://\(hop.address)", pipeline: yes, timeout: 1s}}
      timeouts: {dial: 2s}
      default: a

      """)
    let client = try Socket(to: sockeye.address)
    #expect(try client.requestConnect(to: Self.target).code == 6)
    // The destination may have been slow: that is no reason to ask twice.
    #expect(Self.withoutTrials(hop).first?.count == 13)
    #expect(!hop.destinations.all.contains(Self.target))
    try Self.waitForLockstep(sockeye, hop)
  }

  @Test func `a hop that closes on more than it asked for is dialled again at once`() throws {
    let hop = try Hop(.strict)
    let sockeye = try Sockeye(
      "upstreams: {a: {url: \"socks5://\(hop.address)\", pipeline: yes}}\ndefault: a\n")
    try Self.visit(sockeye)
    #expect(Self.withoutTrials(hop).prefix(2).map(\.count) == [13, 3])
    try Self.waitForLockstep(sockeye, hop)
    #expect(!sockeye.log.contains { $0.contains(" failed ") })
  }

  @Test func `microsocks is recognised by a trial, and serves`() throws {
    let target = try HTTPTarget(on: "127.0.0.1:0")
    let micro = try Microsocks(user: "alice", password: "secret")
    let sockeye = try Sockeye(
      """
      upstreams: {a: {url: "socks5://alice:secret@\(micro.address)", pipeline: yes, timeout: 1s}}
      timeouts: {dial: 3s}
      default: [a]

      """)
    try eventually("microsocks does not serve") {
      try Client.curl("--socks5", sockeye.address, "http://\(target.address)/").output == [
        HTTPTarget.greeting
      ]
    }
  }

  @Test func `a hop that stops supporting it loses the privilege by a trial`() throws {
    let hop = try Hop(.honest)
    let sockeye = try Sockeye(
      """
      upstreams: {a: {url: "socks5://\(hop.address)", pipeline: yes, timeout: 1s}}
      timeouts: {dial: 2s}
      default: a

      """)
    try Self.visit(sockeye)
    hop.kind.withLock { $0 = .forgetful }
    try Self.waitForLockstep(sockeye, hop)
    #expect(Self.withoutTrials(hop).prefix(2).map(\.count) == [13, 13])
  }

  @Test func `a hop that takes no more connections for now keeps the privilege`() throws {
    let hop = try Hop(.honest)
    let sockeye = try Sockeye(
      "upstreams: {a: {url: \"socks5://\(hop.address)\", pipeline: yes}}\ndefault: a\n")
    try Self.visit(sockeye)
    hop.kind.withLock { $0 = .full }
    #expect(try Socket(to: sockeye.address).requestConnect(to: Self.target).code == 1)
    // The client's connection and the trial are both made once more, one thing at a time.
    try hop.first.wait(for: "the trial in lockstep") { $0.count { $0.count == 3 } == 2 ? () : nil }
    hop.kind.withLock { $0 = .honest }
    for _ in 1...3 { try Self.visit(sockeye) }
    #expect(Self.withoutTrials(hop).suffix(3).map(\.count) == [13, 13, 13])
  }

  @Test func `a client whose destination makes a hop close takes nothing away from others`() throws {
    let hop = try Hop(.honest)
    hop.closesFlightsTo.withLock { $0 = "127.0.0.66:80" }
    let sockeye = try Sockeye(
      "upstreams: {a: {url: \"socks5://\(hop.address)\", pipeline: yes}}\ndefault: a\n")
    for _ in 1...3 {
      let tarpit = try Socket(to: sockeye.address)
      #expect(try tarpit.requestConnect(to: "127.0.0.66:80").code == 0)
    }
    // The trial finds the hop honest.
    _ = try hop.destinations.wait(for: "the trial") { $0.first { $0 == "pipelining.invalid" } }
    for _ in 1...3 { try Self.visit(sockeye) }
    #expect(Self.withoutTrials(hop).map(\.count) == [13, 3, 13, 3, 13, 3, 13, 13, 13])
    #expect(hop.destinations.all.count { $0 == "pipelining.invalid" } == 1)
  }

  @Test func `a slow destination is asked for once, and has all the time there is`() throws {
    let asked = Recorder<Int>()
    let hop = try Server { client in
      guard case .bytes(let bytes) = try client.receive(upTo: 1024) else { return }
      try client.send(5, 0)
      asked.record(bytes.count)
      _ = try client.receiveToEnd()
    }
    let sockeye = try Sockeye(
      """
      upstreams: {a: {url: "socks5://\(hop.address)", pipeline: yes}}
      timeouts: {dial: 2s}
      default: a

      """)
    let client = try Socket(to: sockeye.address)
    #expect(try client.requestConnect(to: Self.target).code == 6)
    #expect(asked.all.count { $0 != 3 + 7 + "pipelining.invalid".utf8.count } == 1)
  }

  @Test func `a clear answer to everything at once is an answer`() throws {
    let hop = try Server { client in
      _ = try client.receive(exactly: 13)
      try client.send([5, 0] + SOCKS.failure(5))
      _ = try client.receiveToEnd()
    }
    let sockeye = try Sockeye(
      "upstreams: {a: {url: \"socks5://\(hop.address)\", pipeline: yes}}\ndefault: a\n")
    let client = try Socket(to: sockeye.address)
    #expect(try client.requestConnect(to: Self.target).code == 5)
    #expect(try sockeye.session(to: Self.target).contains("phase=request reply=05"))
    #expect(hop.accepted.all.count == 1)
  }

  @Test func `a hop that is dead is no less dead for being dialled twice`() throws {
    let first = Recorder<Int>()
    let hop = try Server { client in
      if case .bytes(let bytes) = try client.receive(upTo: 1024) { first.record(bytes.count) }
    }
    let sockeye = try Sockeye(
      "upstreams: {a: {url: \"socks5://\(hop.address)\", pipeline: yes}}\ndefault: a\n")
    let client = try Socket(to: sockeye.address)
    #expect(try client.requestConnect(to: Self.target).code == 1)
    #expect(try sockeye.session(to: Self.target).contains(" hop=1/1 a phase=greet "))
    // Beside these there is a trial, of 28 octets, and then one thing at a time.
    #expect(first.all.filter { $0 < 28 }.prefix(2) == [13, 3])
  }

  // MARK: Finding out

  @Test func `checks find out which members of a group support it, and no client has to`() throws {
    let target = try Server.silent()
    let entry = try Sockeye("default: direct\n")
    let honest = try Hop(.honest)
    let forgetful = try Hop(.forgetful)
    let sockeye = try Sockeye(
      """
      upstreams:
        e: socks5://\(entry.address)
        h: {url: "socks5://\(honest.address)", timeout: 1s}
        f: {url: "socks5://\(forgetful.address)", timeout: 1s}
      groups:
        exits: {members: [h, f], strategy: round-robin, check: {to: "\(target.address)", every: 50ms, timeout: 5s}}
      default: [e, exits]

      """)
    try Self.visit(sockeye)
    // Told everything at once when nobody waits: the one answers, the other is never told so much again.
    _ = try honest.destinations.wait(for: "the trial") { $0.first { $0 == "pipelining.invalid" } }
    _ = try forgetful.first.wait(for: "the trial") { $0.first { $0.count > 3 } }
    try honest.first.wait(for: "a dial in one flight") { all in
      all.contains { $0.starts(with: [5, 1, 0] + SOCKS.connect(to: target.address)) } ? () : nil
    }
    let before = forgetful.first.all.count
    for _ in 1...4 { try Self.visit(sockeye) }
    try forgetful.first.wait(forCount: before + 4)
    #expect(forgetful.first.all.count { $0.count > 3 } == 1)
    #expect(!sockeye.log.contains { $0.contains(" failed ") })
  }

  @Test
  func `microsocks is recognised as one that does not support it, and a hop behind it as one that does`()
    throws
  {
    let target = try Server.silent()
    let micro = try Microsocks()
    let exit = try Sockeye("default: direct\n")
    let controlled = try ControlledSockeye(
      """
      upstreams:
        m: {url: "socks5://\(micro.address)", timeout: 1s}
        e: {url: "socks5://\(exit.address)", timeout: 1s}
      groups: {exits: {members: [e], check: {to: "\(target.address)", every: 50ms, timeout: 5s}}}
      default: [m, exits]

      """)
    let client = try Socket(to: controlled.sockeye.address)
    #expect(try client.requestConnect(to: target.address).code == 0)
    try eventually("nothing was found out") {
      try controlled.upstream("m").pipelined == "no" && controlled.upstream("e").pipelined == "yes"
    }
  }
}
