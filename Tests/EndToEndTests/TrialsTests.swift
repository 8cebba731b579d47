import Foundation
import Testing

/// How Sockeye finds out whether a suspect or failed proxy is up, without the destination of a client having a say in it.
@Suite(.blocking)
struct TrialsTests {
  @Test func `a slow destination does not keep others from a proxy that is up again`() throws {
    let target = try Server.echo()
    let slow = "127.0.0.66:80"
    let port = FreePort.take()
    let other = try Sockeye("default: direct\n")
    let sockeye = try Sockeye(
      """
      upstreams: {a: "socks5://127.0.0.1:\(port)", b: "socks5://\(other.address)"}
      groups: {exits: {members: [a, b]}}
      default: exits

      """)
    #expect(try Socket(to: sockeye.address).requestConnect(to: target.address).code == 0)
    #expect(try sockeye.session(to: target.address).contains(" via=b tried=\"a: "))
    let asked = Recorder<String>()
    let hop = try Server(on: "127.0.0.1:\(port)") { client in
      let destination = try client.acceptRequest()
      asked.record(destination)
      if destination == slow { _ = try client.receiveToEnd() }
      try ScriptedHop.tunnel(client, to: destination)
    }
    // Until one of them is the trial, which then waits for its destination.
    var waiting: [Socket] = []
    try eventually("a is not tried again") {
      let client = try Socket(to: sockeye.address)
      try client.send(SOCKS.noAuthentication + SOCKS.connect(to: slow))
      waiting.append(client)
      return asked.all.contains(slow)
    }
    let client = try Socket(to: sockeye.address)
    #expect(try client.requestConnect(to: "127.0.0.2:\(target.port)").code != 0)
    // Others of those that wait may come to the hop in any order.
    #expect(asked.all.contains("127.0.0.2:\(target.port)"))
    withExtendedLifetime((hop, waiting)) {}
  }

  @Test(arguments: ["socks5", "socks4a", "http"])
  func `a slow destination behind a group has all the time there is, and is asked for once`(scheme: String)
    throws
  {
    let target = try Server.echo()
    let asked = Gate()
    let isAnswered = Gate()
    let hop = try Server { client in
      let (_, granted) = try ScriptedHop.accept(client, scheme)
      asked.open()
      try isAnswered.wait()
      try client.send(granted)
      _ = try client.receiveToEnd()
    }
    let other = try Server { client in _ = try client.receiveToEnd() }
    let mute = try Server { client in _ = try client.receiveToEnd() }
    func members(_ name: String, _ count: Int, at server: Server) -> String {
      (1...count).map { "  \(name)\($0): socks5://\(server.address)\n" }.joined()
    }
    let sockeye = try Sockeye(
      """
      upstreams:
        a: \(scheme)://\(hop.address)
      \(members("b", 3, at: other))\(members("m", 4, at: mute))groups:
        exits: {members: [a, b1, b2, b3]}
        mute: {members: [m1, m2, m3, m4]}
      routes: [{port: 9, via: mute}]
      timeouts: {dial: 8s}
      default: exits

      """)
    let client = try Socket(to: sockeye.address)
    try client.send(SOCKS.noAuthentication + SOCKS.connect(to: target.address))
    try asked.wait()
    // The first of four members has a quarter of the time to be reached. When it is over for a client that came later, it is
    // over for this one.
    let later = try Socket(to: sockeye.address)
    try later.send(SOCKS.noAuthentication + SOCKS.connect(to: "192.0.2.1:9"))
    try mute.accepted.wait(forCount: 2)
    isAnswered.open()
    #expect(try client.receive(exactly: 2) == [5, 0])
    #expect(try client.receiveReply().code == 0)
    #expect(hop.accepted.all.count == 1 && other.accepted.all.isEmpty)
  }

  /// The destination may be slow: so the connection waits, and the member is checked meanwhile.
  @Test(arguments: ["socks5", "socks4a", "http"])
  func `a silent member is checked while its first client waits, which then goes on to the next`(
    scheme: String
  ) throws {
    let target = try Server.silent()
    let answers = Locked(true)
    let answered = Recorder<String>()
    let hop = try Server { client in
      let (destination, granted) = try ScriptedHop.accept(client, scheme)
      if answers.withLock({ $0 }) {
        answered.record(destination)
        try client.send(granted)
      }
      _ = try client.receiveToEnd()
    }
    let good = try Sockeye("default: direct\n")
    let controlled = try ControlledSockeye(
      """
      upstreams:
        a: {url: "\(scheme)://\(hop.address)", timeout: 200ms, pipeline: no}
        b: socks5://\(good.address)
      groups: {exits: {members: [a, b], check: {to: "\(target.address)", every: 1h, timeout: 1s}}}
      timeouts: {dial: 12s}
      default: exits

      """)
    let address = controlled.sockeye.address
    #expect(try Socket(to: address).requestConnect(to: target.address).code == 0)
    // The client's and the first check's.
    try answered.wait(forCount: 2)
    answers.withLock { $0 = false }
    #expect(try Socket(to: address).requestConnect(to: target.address).code == 0)
    #expect(try controlled.status().groups[0].members.map(\.up) == [false, true])
  }

  @Test func `a request without an answer leads to a check of its group at once`() throws {
    let target = try Server.silent()
    let answers = Locked(true)
    let answered = Recorder<String>()
    let hop = try Server { client in
      let destination = try client.acceptRequest()
      guard answers.withLock({ $0 }) else { return }
      answered.record(destination)
      try ScriptedHop.tunnel(client, to: destination)
    }
    let good = try Sockeye("default: direct\n")
    let controlled = try ControlledSockeye(
      """
      upstreams: {a: "socks5://\(hop.address)", b: "socks5://\(good.address)"}
      groups: {exits: {members: [a, b], check: {to: "\(target.address)", every: 1h}}}
      default: exits

      """)
    func connect() throws -> UInt8 {
      try Socket(to: controlled.sockeye.address).requestConnect(to: target.address).code
    }
    #expect(try connect() == 0)
    // The client's and the first check's.
    try answered.wait(for: "the first check") { $0.count { $0 == target.address } == 2 ? () : nil }
    answers.withLock { $0 = false }
    #expect(try connect() == 0)
    try eventually("a never went down") {
      try controlled.status().groups[0].members.map(\.up) == [false, true]
    }
  }

  @Test func `one early check that fails takes no member down`() throws {
    let target = try Server.silent()
    let failures = Locked(0)
    let answered = Recorder<String>()
    let (isConfirming, isConfirmed) = (Gate(), Gate())
    let hop = try Server { client in
      let destination = try client.acceptRequest()
      let mustFail = failures.withLock { failures in
        defer { failures = max(0, failures - 1) }
        return failures > 0
      }
      guard !mustFail else { return }
      if answered.all.count == 2 {
        isConfirming.open()
        try isConfirmed.wait()
      }
      answered.record(destination)
      try ScriptedHop.tunnel(client, to: destination)
    }
    let good = try Sockeye("default: direct\n")
    let controlled = try ControlledSockeye(
      """
      upstreams: {a: {url: "socks5://\(hop.address)", pipeline: no}, b: "socks5://\(good.address)"}
      groups: {exits: {members: [a, b], check: {to: "\(target.address)", every: 1h}}}
      default: exits

      """)
    let address = controlled.sockeye.address
    #expect(try Socket(to: address).requestConnect(to: target.address).code == 0)
    try answered.wait(forCount: 2)
    // The client's request and the early check.
    failures.withLock { $0 = 2 }
    #expect(try Socket(to: address).requestConnect(to: target.address).code == 0)
    try isConfirming.wait()
    #expect(try controlled.status().groups[0].members.map(\.up) == [true, true])
    isConfirmed.open()
    try answered.wait(forCount: 3)
    #expect(try controlled.status().groups[0].members.map(\.up) == [true, true])
  }

  @Test func `an entry without sessions for a moment takes no hop behind it down (T32)`() throws {
    let target = try Server.echo()
    let exits = try (0..<2).map { _ in try Sockeye("default: direct\n") }
    let address = exits[0].address
    let asked = Locked(0)
    let entry = try Server { client in
      let destination = try client.acceptRequest()
      let isFull =
        destination == address
        && asked.withLock { asked in
          asked += 1
          return asked <= 4
        }
      if !isFull { try ScriptedHop.tunnel(client, to: destination) }
    }
    let directory = try TemporaryDirectory()
    let controlled = try ControlledSockeye(
      """
      \(Sockeye.listen(directory))upstreams:
        ssh: {url: "socks5://\(entry.address)", pipeline: no}
        b: socks5://\(address)
        c: socks5://\(exits[1].address)
      groups: {exits: {members: [[ssh, b], [ssh, c], direct]}}
      default: exits

      """)
    try eventually("the entry stays full") {
      let code = try Socket(to: controlled.sockeye.userAddress).requestConnect(to: target.address).code
      let members = try controlled.status().groups[0].members
      #expect(code == 0 && members.map(\.up) == [true, true, true])
      return asked.withLock { $0 > 4 }
    }
    #expect(!controlled.sockeye.log.contains { $0.contains(" via=direct ") })
  }

  /// The dial, or the route, has less time than the proxy's `timeout` of 10 s for each member.
  private static let haste = ["timeouts: {dial: 2s}", "routes: [{ip: 127.0.0.0/8, via: exits, timeout: 2s}]"]

  /// A group of four, the first of which is under test.
  private static func four(_ first: String, at good: Sockeye, _ haste: String) -> String {
    """
    upstreams:
      a: \(first)
      b: socks5://\(good.address)
      c: socks5://\(good.address)
      d: socks5://\(good.address)
    groups: {exits: {members: [a, b, c, d]}}
    \(haste)
    default: exits

    """
  }

  @Test(arguments: haste)
  func `a proxy that does not answer in the time that a dial has left stays up, and Sockeye tries it`(
    haste: String
  ) throws {
    let target = try Server.echo()
    let admitted = Recorder<Void>()
    let connections = Locked(0)
    let hop = try Server { client in
      try client.receiveGreeting()
      let isFirst = connections.withLock { count in
        count += 1
        return count == 1
      }
      if !isFirst {
        try client.send(5, 0)
        admitted.record(())
      }
      _ = try client.receiveToEnd()
    }
    let good = try Sockeye("default: direct\n")
    let controlled = try ControlledSockeye(
      Self.four("{url: \"socks5://\(hop.address)\", pipeline: no}", at: good, haste))
    #expect(try Socket(to: controlled.sockeye.address).requestConnect(to: target.address).code == 0)
    #expect(try controlled.status().groups[0].members[0].up)
    try admitted.wait(forCount: 1)
    #expect(try controlled.status().groups[0].members[0].up)
  }

  /// It accepts connections and is silent, or does not even accept them.
  @Test(arguments: haste, [false, true])
  func `a dead proxy goes down by Sockeye's own trial where dials have less time than its timeout`(
    haste: String, accepts: Bool
  ) throws {
    let target = try Server.echo()
    let (silent, full) = (try Server { client in _ = try client.receiveToEnd() }, try FullListener())
    let good = try Sockeye("default: direct\n")
    let controlled = try ControlledSockeye(
      Self.four(
        "{url: \"socks5://\(accepts ? silent.address : full.address)\", pipeline: no, timeout: 1s}", at: good,
        haste))
    #expect(try Socket(to: controlled.sockeye.address).requestConnect(to: target.address).code == 0)
    try eventually("a never went down") { try !controlled.status().groups[0].members[0].up }
  }

  @Test func `a proxy that is told everything at once and hangs goes down by Sockeye's own trial`() throws {
    let target = try Server.echo()
    let hop = try Server { client in _ = try client.receiveToEnd() }
    let controlled = try ControlledSockeye(
      """
      upstreams: {a: {url: "socks5://\(hop.address)", pipeline: yes, timeout: 200ms}}
      groups: {exits: {members: [a, direct]}}
      default: exits

      """)
    // What hangs may be due to the destination: this client goes nowhere else.
    #expect(try Socket(to: controlled.sockeye.address).requestConnect(to: target.address).code != 0)
    #expect(target.accepted.all.isEmpty)
    try eventually("a never went down") {
      try controlled.status().groups[0].members.map(\.up) == [false, true]
    }
    // It takes no privilege away: at no pace does the hop answer.
    #expect(try controlled.upstream("a").pipelined != "no")
  }
}
