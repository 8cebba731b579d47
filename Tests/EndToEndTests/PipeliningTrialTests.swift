import Foundation
import Testing

/// How it is found out which hops can be told everything at once, and what it costs where one cannot.
@Suite(.blocking)
struct PipeliningTrialTests: VisitingHops {
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

  /// The first of two mute members has half of the time to be reached. When it is over for a client that comes now, half
  /// of that time is over for all that came before.
  private static func waitForHalfOfTheTime(_ sockeye: Sockeye, _ mute: Server) throws {
    let later = try Socket(to: sockeye.address)
    try later.send(SOCKS.noAuthentication + SOCKS.connect(to: "192.0.2.1:9"))
    try mute.accepted.wait(forCount: 2)
  }

  @Test(arguments: ["a", "exits"])
  func `a slow destination is asked for once, and has all the time there is`(way: String) throws {
    let asked = Recorder<Int>()
    let isAnswered = Gate()
    let hop = try Server { client in
      guard case .bytes(let bytes) = try client.receive(upTo: 1024) else { return }
      try client.send(5, 0)
      asked.record(bytes.count)
      try isAnswered.wait()
      try client.send(Self.success)
      _ = try client.receiveToEnd()
    }
    let mute = try Server { client in _ = try client.receiveToEnd() }
    let sockeye = try Sockeye(
      """
      upstreams:
        a: {url: "socks5://\(hop.address)", pipeline: yes}
        m1: socks5://\(mute.address)
        m2: socks5://\(mute.address)
      groups: {exits: {members: [a, direct]}, mute: {members: [m1, m2]}}
      routes: [{port: 9, via: mute}]
      timeouts: {dial: 8s}
      default: \(way)

      """)
    let client = try Socket(to: sockeye.address)
    try client.send(SOCKS.noAuthentication + SOCKS.connect(to: Self.target))
    try asked.wait(forCount: 1)
    try Self.waitForHalfOfTheTime(sockeye, mute)
    isAnswered.open()
    #expect(try client.receive(exactly: 2) == [5, 0])
    #expect(try client.receiveReply().code == 0)
    #expect(asked.all.filter { $0 != 3 + 7 + "pipelining.invalid".utf8.count } == [13])
  }

  @Test func `a slow check of a hop that is told everything at once is made once, and passes`() throws {
    let probe = "127.0.0.8:80"
    let (checks, flights) = (Recorder<Int>(), Recorder<Void>())
    let (isAnswered, isOver) = (Gate(), Gate())
    let hop = try Server { client in
      guard case .bytes(let bytes) = try client.receive(upTo: 1024) else { return }
      try client.send(5, 0)
      guard bytes.count > 3 else {
        if try client.receiveRequest() == probe { checks.record(bytes.count) }
        return try client.send(Self.success)
      }
      guard bytes.elementsEqual(SOCKS.noAuthentication + SOCKS.connect(to: probe)) else {
        return try client.send(SOCKS.failure(4))
      }
      checks.record(bytes.count)
      flights.record(())
      try (flights.all.count == 1 ? isAnswered : isOver).wait()
      try client.send(Self.success)
    }
    let mute = try Server { client in _ = try client.receiveToEnd() }
    let controlled = try ControlledSockeye(
      """
      upstreams:
        a: socks5://\(hop.address)
        m1: socks5://\(mute.address)
        m2: socks5://\(mute.address)
      groups:
        exits: {members: [a], check: {to: "\(probe)", every: 100ms, timeout: 8s}}
        mute: {members: [m1, m2]}
      routes: [{port: 9, via: mute}]
      timeouts: {dial: 8s}
      default: exits

      """)
    #expect(try Socket(to: controlled.sockeye.address).requestConnect(to: Self.target).code == 0)
    try flights.wait(forCount: 1)
    try Self.waitForHalfOfTheTime(controlled.sockeye, mute)
    #expect(checks.all.drop { $0 == 3 } == [13])
    isAnswered.open()
    // The next check has begun, and is not over.
    try flights.wait(forCount: 2)
    #expect(try controlled.status().groups.first { $0.name == "exits" }?.members.map(\.up) == [true])
    #expect(checks.all.drop { $0 == 3 } == [13, 13])
    isOver.open()
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

  @Test func `checks find out which members of a group support it, and no client has to`() throws {
    let target = try Server.silent()
    let entry = try Sockeye("default: direct\n")
    let honest = try Hop(.honest)
    let forgetful = try Hop(.forgetful)
    let sockeye = try Sockeye(
      """
      upstreams:
        e: socks5://\(entry.address)
        h: {url: "socks5://\(honest.address)", timeout: 3s}
        f: {url: "socks5://\(forgetful.address)", timeout: 3s}
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
        m: {url: "socks5://\(micro.address)", timeout: 3s}
        e: {url: "socks5://\(exit.address)", timeout: 3s}
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
