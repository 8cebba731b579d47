import Foundation
import Testing

/// A destination that makes proxies fail, chosen by one client, and the other clients.
@Suite(.blocking)
struct SuspectHopTests {
  private static let evil = "127.0.0.66"

  /// A proxy that serves, except requests for one address, which are cut as a filter on the way would cut them: as soon
  /// as they are seen, if need be before the greeting is answered.
  private static func filtered(by cut: @escaping @Sendable (Socket) throws -> Void) throws -> Server {
    try Server { client in
      _ = try client.receiveGreeting()
      let isPipelined = client.hasSomethingToRead(within: 20)
      if !isPipelined { try client.send(5, 0) }
      let destination = try client.receiveRequest()
      guard !destination.hasPrefix(evil) else { return try cut(client) }
      if isPipelined { try client.send(5, 0) }
      try ScriptedHop.tunnel(client, to: destination)
    }
  }

  private static let cuts: [(String, @Sendable (Socket) throws -> Void)] = [
    ("closes", { _ in }), ("resets", { $0.resetWhenClosed() }),
    ("says nothing", { _ = try $0.receiveToEnd() }),
    ("answers in HTTP", { try $0.send("HTTP/1.1 403 No\r\n\r\n") }),
  ]

  @Test(arguments: 0..<4, ["no", "yes"])
  func `a destination that makes proxies fail takes them from nobody else, and sends nobody direct (T32)`(
    index: Int, pipeline: String
  ) throws {
    let target = try Server.echo(on: "0.0.0.0:0")
    let hops = try (0..<2).map { _ in try Self.filtered(by: Self.cuts[index].1) }
    let directory = try TemporaryDirectory()
    let controlled = try ControlledSockeye(
      """
      \(Sockeye.listen(directory))upstreams:
        a: {url: "socks5://\(hops[0].address)", pipeline: \(pipeline), timeout: 2s}
        b: {url: "socks5://\(hops[1].address)", pipeline: \(pipeline), timeout: 2s}
      groups: {exits: {members: [a, b, direct]}}
      timeouts: {dial: 1s}
      default: exits

      """)
    let sockeye = controlled.sockeye
    for port in 1...5 {
      let attacker = try Socket(to: sockeye.address, from: "127.0.0.\(port)")
      #expect(try attacker.requestConnect(to: "\(Self.evil):\(port)").code != 0)
    }
    #expect(try controlled.status().groups[0].members.map(\.up) == [true, true, true])
    let client = try Socket(to: sockeye.userAddress)
    #expect(try client.requestConnect(to: "127.0.0.5:\(target.port)").code == 0)
    try client.send("hello")
    #expect(try client.receive(exactly: 5) == Array("hello".utf8))
    client.hangUp()
    let line = try sockeye.session(to: "127.0.0.5:\(target.port)")
    #expect(line.contains(" via=a ") && !line.contains(" tried="), "\(line)")
    // What is refused by both is served by neither, and not from here.
    let last = try Socket(to: sockeye.address)
    #expect(try last.requestConnect(to: "\(Self.evil):\(target.port)").code != 0)
    #expect(target.accepted.all.count == 1)
  }

  /// A proxy that admits so many connections, and cuts all later ones before it has read a greeting. It answers no request
  /// for one address.
  private static func limited(
    to sessions: Int, by cut: @escaping @Sendable (Socket) throws -> Void, recording asked: Recorder<String>
  ) throws -> Server {
    let sessions = Locked(sessions)
    return try Server { client in
      let isFull = sessions.withLock { sessions in
        sessions -= 1
        return sessions < 0
      }
      guard !isFull else { return try cut(client) }
      try client.receiveGreeting()
      try client.send(5, 0)
      let (command, destination) = try client.receiveCommand()
      asked.record(destination)
      if destination.hasPrefix(evil) {
        _ = try client.receiveToEnd()
      } else if command == 1 {
        try ScriptedHop.tunnel(client, to: destination)
      } else {
        let relay = try DatagramSocket(on: "127.0.0.1:0")
        try client.send([5, 0, 0] + SOCKS.encoded(relay.address))
        _ = try client.receiveToEnd()
      }
    }
  }

  /// What one client holds the sessions by.
  enum Holding: CaseIterable { case tunnels, associations, requests }

  @Test(arguments: 0..<3, Holding.allCases)
  func `a proxy whose sessions one client has used up sends others direct only when that is over (T32)`(
    index: Int, holding: Holding
  ) throws {
    let target = try Server.echo(on: "0.0.0.0:0")
    let asked = Recorder<String>()
    let hop = try Self.limited(to: 3, by: Self.cuts[index].1, recording: asked)
    let directory = try TemporaryDirectory()
    let controlled = try ControlledSockeye(
      """
      \(Sockeye.listen(directory))upstreams:
        a: {url: "socks5://\(hop.address)", pipeline: no, timeout: 200ms}
      groups: {exits: {members: [a, direct]}}
      timeouts: {dial: 60s}
      default: exits

      """)
    let sockeye = controlled.sockeye
    var attackers: [Socket] = []
    for number in 1...3 {
      let attacker = try Socket(to: sockeye.address)
      switch holding {
      case .tunnels: #expect(try attacker.requestConnect(to: "127.0.0.5:\(target.port)").code == 0)
      case .associations: #expect(try attacker.requestAssociation().code == 0)
      case .requests: try attacker.send(SOCKS.noAuthentication + SOCKS.connect(to: "\(Self.evil):80"))
      }
      attackers.append(attacker)
      try asked.wait(forCount: number)
    }
    let taken = holding == .tunnels ? 3 : 0
    try target.accepted.wait(forCount: taken)
    func connect() throws -> UInt8 {
      let victim = try Socket(to: sockeye.userAddress)
      defer { victim.hangUp() }
      return try victim.requestConnect(to: "127.0.0.6:\(target.port)").code
    }
    for _ in 0..<3 { #expect(try connect() != 0) }
    // Another is Sockeye's own trial.
    try hop.accepted.wait(forCount: 3 + 3 + 1)
    for _ in 0..<3 { #expect(try connect() != 0) }
    #expect(try Socket(to: sockeye.userAddress).requestAssociation().code != 0)
    #expect(try controlled.status().groups[0].members.map(\.up) == [true, true])
    #expect(try controlled.upstream("a").state == "up")
    #expect(target.accepted.all.count == taken)
    for attacker in attackers { attacker.resetWhenClosed() }
    attackers = []
    try eventually("a never went down") { try connect() == 0 }
    try target.accepted.wait(forCount: taken + 1)
  }

  /// What an entry says when it does not open a way, without a word on the next hop.
  private static let refusals: [(scheme: String, answer: [UInt8])] =
    [("socks5", SOCKS.failure(1)), ("socks5", SOCKS.failure(7)), ("socks4a", [0, 91, 0, 0, 0, 0, 0, 0])]
    + ["502 Bad Gateway", "503 Service Unavailable", "504 Gateway Timeout"].map {
      ("http", Array("HTTP/1.1 \($0)\r\nContent-Length: 0\r\n\r\n".utf8))
    }

  /// An entry that opens all ways but one.
  private static func entry(except dead: String, index: Int) throws -> (scheme: String, server: Server) {
    guard index >= cuts.count else {
      let server = try Server { client in
        let destination = try client.acceptRequest()
        guard destination != dead else { return try Self.cuts[index].1(client) }
        try ScriptedHop.tunnel(client, to: destination)
      }
      return ("socks5", server)
    }
    let (scheme, answer) = refusals[index - cuts.count]
    let server = try Server { client in
      let (destination, granted) = try ScriptedHop.accept(client, scheme)
      guard destination == dead else {
        return try ScriptedHop.tunnel(client, to: destination, granted: granted)
      }
      try client.send(answer)
      _ = try client.receiveToEnd()
    }
    return (scheme, server)
  }

  @Test(arguments: 0..<10)
  func `an entry that does not open the way to a dead hop stays up, and another hop is taken (T32)`(
    index: Int
  ) throws {
    let target = try Server.echo(on: "0.0.0.0:0")
    let dead = try DeadPort()
    let good = try Sockeye("default: direct\n")
    let (scheme, entry) = try Self.entry(except: dead.address, index: index)
    let directory = try TemporaryDirectory()
    let controlled = try ControlledSockeye(
      """
      \(Sockeye.listen(directory))upstreams:
        ssh: {url: "\(scheme)://\(entry.address)", pipeline: no}
        b: {url: "socks5://\(dead.address)", timeout: 1s}
        c: socks5://\(good.address)
      groups: {exits: {members: [[ssh, b], [ssh, c], direct]}}
      default: exits

      """)
    let sockeye = controlled.sockeye
    // A trial of Sockeye's own takes the dead hop down.
    var number = 0
    try eventually("the dead hop never went down") {
      number += 1
      let destination = "127.0.\(number / 200).\(number % 200 + 1):\(target.port)"
      let client = try Socket(to: sockeye.address)
      let code = try client.requestConnect(to: destination).code
      client.hangUp()
      let line = try sockeye.session(to: destination)
      #expect(code == 0 && line.contains(" via=ssh,c "), "\(line)")
      return try !controlled.status().groups[0].members[0].up
    }
    #expect(try controlled.status().groups[0].members[1].up)
  }

  /// No other way through the entry is known, so that nothing but the entry's admitting us tells that it is up.
  @Test(arguments: 0..<10)
  func `a dead exit behind its own entry goes down by Sockeye's own trial only (T32)`(
    index: Int
  ) throws {
    let target = try Server.echo(on: "0.0.0.0:0")
    let dead = try DeadPort()
    let (scheme, entry) = try Self.entry(except: dead.address, index: index)
    let sockeye = try Sockeye(
      """
      upstreams:
        ssh: {url: "\(scheme)://\(entry.address)", pipeline: no}
        b: {url: "socks5://\(dead.address)", timeout: 1s}
      groups: {exits: {members: [[ssh, b], direct]}}
      default: exits

      """)
    var number = 0
    try eventually("the dead exit never went down") {
      number += 1
      let destination = "127.0.0.\(number % 200 + 1):\(target.port)"
      return try Socket(to: sockeye.address).requestConnect(to: destination).code == 0
    }
    // All connections before, and three dials of the trial.
    #expect(entry.accepted.all.count >= number + 2)
  }

  @Test(
    arguments: [("socks5", [5, 1, 0, 1, 0, 0, 0, 0, 0, 0]), ("socks4a", [0, 91, 0, 0, 0, 0, 0, 0])]
      as [(String, [UInt8])])
  func `a refusal without a reason is asked of the next proxy, and not of direct`(
    scheme: String, answer: [UInt8]
  ) throws {
    let target = try Server.echo()
    let hop = try Server { client in
      if scheme == "socks5" { _ = try client.acceptRequest() } else { _ = try client.receiveSOCKS4Request() }
      try client.send(answer)
      _ = try client.receiveToEnd()
    }
    let good = try Sockeye("default: direct\n")
    let sockeye = try Sockeye(
      """
      upstreams: {a: "\(scheme)://\(hop.address)", b: "socks5://\(good.address)"}
      groups: {home: {members: [a, direct]}, exits: {members: [a, b]}}
      routes: [{ip: 127.0.0.1, via: exits}]
      default: home

      """)
    #expect(try Socket(to: sockeye.address).requestConnect(to: "127.0.0.9:\(target.port)").code == 1)
    #expect(try Socket(to: sockeye.address).requestConnect(to: target.address).code == 0)
    #expect(try sockeye.session(to: target.address).contains(" via=b tried=\"a: "))
  }

  /// Proxies may ask for another login for some destinations: squid does, by its access lists.
  @Test(
    arguments: [
      ("http", "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"),
      ("http", "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"),
      ("socks4a", "\u{0}\u{5C}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}"),
      ("socks4a", "\u{0}\u{5D}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}"),
    ])
  func `a login asked for one destination takes the proxy from nobody else (T32)`(
    scheme: String, refusal: String
  ) throws {
    let target = try Server.echo(on: "127.0.0.1:0")
    let hop = try Server { client in
      let isEvil: Bool
      if scheme == "http" {
        isEvil = try client.receiveHead().contains("127.0.0.66:")
      } else {
        isEvil = try client.receiveSOCKS4Request().destination.contains("127.0.0.66:")
      }
      if isEvil {
        try client.send(refusal)
      } else if scheme == "http" {
        try client.send("HTTP/1.1 200 OK\r\n\r\n")
      } else {
        try client.send(0, 90, 0, 0, 0, 0, 0, 0)
      }
      while case .bytes(let bytes) = try client.receive() { try client.send(bytes) }
    }
    let directory = try TemporaryDirectory()
    let controlled = try ControlledSockeye(
      """
      \(Sockeye.listen(directory))upstreams: {a: "\(scheme)://\(hop.address)"}
      groups: {exits: {members: [a, direct]}}
      default: exits

      """)
    let sockeye = controlled.sockeye
    for _ in 0..<5 {
      let evil = try Socket(to: sockeye.address)
      #expect(try evil.requestConnect(to: "127.0.0.66:\(target.port)").code != 0)
      let client = try Socket(to: sockeye.userAddress)
      #expect(try client.requestConnect(to: target.address).code == 0)
      client.finish()
      _ = try client.receiveToEnd()
    }
    #expect(try controlled.status().groups[0].members.map(\.up) == [true, true])
    #expect(target.accepted.all.isEmpty)
    #expect(!sockeye.log.contains { $0.contains(" via=direct ") })
  }

  @Test(arguments: ["no", "yes"])
  func `a hop that is not reached, or refuses the login, is down at any pace`(pipeline: String) throws {
    let target = try Server.echo()
    let dead = try DeadPort()
    let entry = try Sockeye("default: direct\n")
    let strict = try Sockeye(
      "listen: {address: \"127.0.0.1:0\", users: {alice: secret}}\ndefault: direct\n")
    for (way, words) in [
      ("e,b", "e,b: hop=2/2 b phase=connect reply=05"), ("s", "s: hop=1/1 s phase=authenticate error="),
    ] {
      let sockeye = try Sockeye(
        """
        upstreams:
          e: {url: "socks5://\(entry.address)", pipeline: \(pipeline)}
          b: {url: "socks5://\(dead.address)", pipeline: \(pipeline)}
          s: {url: "socks5://alice:wrong@\(strict.address)", pipeline: \(pipeline)}
        groups: {exits: {members: [[\(way)], direct]}}
        default: exits

        """)
      #expect(try Socket(to: sockeye.address).requestConnect(to: target.address).code == 0)
      let line = try sockeye.session(to: target.address)
      #expect(line.contains(" via=direct tried=\"\(words)"), "\(line)")
    }
  }

  @Test func `a gateway whose exit is gone is passed over, and stays up`() throws {
    let target = try Server.echo()
    for status in ["502 Bad Gateway", "503 Service Unavailable", "504 Gateway Timeout"] {
      let hop = try Server { client in
        _ = try client.receiveHead()
        try client.send("HTTP/1.1 \(status)\r\nContent-Length: 0\r\n\r\n")
        _ = try client.receiveToEnd()
      }
      let good = try Sockeye("default: direct\n")
      let controlled = try ControlledSockeye(
        """
        upstreams: {a: "http://\(hop.address)", b: "socks5://\(good.address)"}
        groups: {exits: {members: [a, b]}}
        default: exits

        """)
      for _ in 0..<4 {
        #expect(try Socket(to: controlled.sockeye.address).requestConnect(to: target.address).code == 0)
      }
      let line = try controlled.sockeye.session(to: target.address)
      #expect(line.contains(" via=b tried=\"a: hop=1/1 a phase=request reply=\(status.prefix(3))"), "\(line)")
      #expect(try controlled.status().groups[0].members.map(\.up) == [true, true])
    }
  }

  @Test(arguments: [[1, 7], [7, 1], [1, 8], [8, 1], [1, 4], [1, 1]] as [[UInt8]])
  func `of several members' refusals the client is told the truest`(codes: [UInt8]) throws {
    let hops = try codes.map { code in
      try Server { client in
        _ = try client.acceptRequest()
        try client.send(SOCKS.failure(code))
        _ = try client.receiveToEnd()
      }
    }
    let sockeye = try Sockeye(
      """
      upstreams: {a: "socks5://\(hops[0].address)", b: "socks5://\(hops[1].address)"}
      groups: {exits: {members: [a, b]}}
      default: exits

      """)
    #expect(try Socket(to: sockeye.address).requestConnect(to: "192.0.2.1:80").code == codes.max())
    let line = try sockeye.session(to: "192.0.2.1:80")
    #expect(line.contains(" phase=request reply=0\(codes.max() ?? 0) "), "\(line)")
  }

  private static let notReached: [(scheme: String, answer: [UInt8])] =
    ([1, 2, 3, 4, 5, 6, 7, 8] as [UInt8]).map { ("socks5", SOCKS.failure($0)) }
    + ([91, 92, 93] as [UInt8]).map { ("socks4a", [0, $0, 0, 0, 0, 0, 0, 0]) }
    + [401, 403, 404, 407, 500, 502, 503, 504].map {
      ("http", Array("HTTP/1.1 \($0) No\r\nContent-Length: 0\r\n\r\n".utf8))
    }

  @Test(arguments: notReached)
  func `a member that does not reach the check's destination does not pass`(scheme: String, answer: [UInt8])
    throws
  {
    let target = try Server.echo()
    let hop = try Server { client in
      _ = try ScriptedHop.accept(client, scheme)
      try client.send(answer)
      _ = try client.receiveToEnd()
    }
    let good = try Sockeye("default: direct\n")
    let controlled = try ControlledSockeye(
      """
      upstreams: {a: "\(scheme)://\(hop.address)", b: "socks5://\(good.address)"}
      groups: {exits: {members: [a, b], check: {to: "\(target.address)", every: 100ms, timeout: 1s}}}
      default: exits

      """)
    _ = try Socket(to: controlled.sockeye.address).requestConnect(to: target.address)
    try eventually("a never went down") {
      try controlled.status().groups[0].members.map(\.up) == [false, true]
    }
    // It is in nobody's way as long as it fails, in spite of its pauses, which end.
    let checks = hop.accepted.all.count
    try eventually("a is not checked any more") { hop.accepted.all.count > checks + 3 }
    for _ in 0..<5 {
      #expect(try Socket(to: controlled.sockeye.address).requestConnect(to: target.address).code == 0)
    }
  }
}
