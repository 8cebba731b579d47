import Foundation
import Testing

/// What upstreams with `isolate` are told of whose datagrams they carry.
@Suite(.blocking)
struct IsolatedDatagramsTests: IsolatedHops {
  let target: Server

  init() throws {
    target = try Server.echo(on: "0.0.0.0:0")
  }

  private func datagramUsers(_ hop: Sockeye) throws -> [String] {
    try hop.log.filter { $0.contains(" udp client=") }.map(user)
  }

  @Test func `datagrams to each destination leave as somebody else`() throws {
    let hop = try Self.hop()
    let echoes = try (0..<3).map { _ in try DatagramServer.echo() }
    let sockeye = try Sockeye(
      """
      upstreams: {a: {url: "socks5://\(hop.address)", isolate: [client, port]}}
      default: a

      """)
    let association = try Association(through: sockeye.address)
    // It has shown that the hop carries datagrams, and is nobody's.
    _ = try hop.process.line(containing: " udp client=")
    for _ in 0..<2 {
      for echo in echoes { try association.expectEcho("hello", from: echo.address) }
    }
    _ = try sockeye.closing(association)
    try hop.process.lines.wait(for: "four associations") { lines in
      lines.count { $0.contains(" udp client=") } == 4 ? () : nil
    }
    let users = try datagramUsers(hop)
    #expect(Set(users).count == 4)
    #expect(hop.log.count { $0.contains(" datagrams_up=2 datagrams_down=2 ") } == 3, "\(hop.log)")
  }

  @Test func `datagrams of one client leave as one`() throws {
    let hop = try Self.hop()
    let echoes = try (0..<3).map { _ in try DatagramServer.echo() }
    let sockeye = try Sockeye(
      """
      upstreams: {a: {url: "socks5://\(hop.address)", isolate: client}}
      groups: {exits: {members: [a]}}
      routes: [{port: \(echoes[0].port), via: a}]
      default: exits

      """)
    let first = try Association(through: sockeye.address, from: "127.0.0.2")
    let second = try Association(through: sockeye.address, from: "127.0.0.3")
    for association in [first, second] {
      for echo in echoes { try association.expectEcho("hello", from: echo.address) }
      _ = try sockeye.closing(association)
    }
    try hop.process.lines.wait(for: "two associations") { lines in
      lines.count { $0.contains(" datagrams_up=3 datagrams_down=3 ") } == 2 ? () : nil
    }
    #expect(try Set(datagramUsers(hop)).count == 2)
  }

  @Test(arguments: [false, true])
  func `an association has no more identities at a time than destinations`(isPlan: Bool) throws {
    let hop = try Self.hop()
    let echoes = try (0..<6).map { _ in try DatagramServer.echo() }
    let controlled = try ControlledSockeye(
      """
      upstreams: {a: {url: "socks5://\(hop.address)", isolate: port}}
      groups: {exits: {members: [a]}}
      limits: {paths_per_association: 2}
      routes: [{port: 9, via: direct}]
      default: \(isPlan ? "exits" : "a")

      """)
    let sockeye = controlled.sockeye
    let association = try Association(through: sockeye.address)
    for (number, echo) in echoes.enumerated() {
      try association.expectEcho("hello", from: echo.address)
      let ended = max(0, number - 1)
      try hop.process.lines.wait(for: "the end of \(ended)") { lines in
        lines.count { $0.contains(" udp client=") } >= ended ? () : nil
      }
      #expect(hop.log.count { $0.contains(" udp client=") } == ended)
    }
    // Whoever made room comes back as who he was.
    try association.expectEcho("again", from: echoes[0].address)
    try sockeye.process.line(
      containing: "limit reached: paths_per_association 2: a UDP path was closed or not opened, "
        + "the last of 127.0.0.1 at \(sockeye.address) (raise limits.paths_per_association; ")
    #expect(try controlled.refusals("paths_per_association") == echoes.count - 1)
    _ = try sockeye.closing(association)
    try hop.process.lines.wait(for: "all ends") { lines in
      lines.count { $0.contains(" udp client=") } == echoes.count + 1 ? () : nil
    }
    #expect(try Set(datagramUsers(hop)).count == echoes.count)
  }

  @Test func `a hop that fails is left alone by all identities, and the log says so once`() throws {
    let mute = try Server { _ in }
    let echo = try DatagramServer.echo()
    let others = try (0..<3).map { _ in try DatagramServer.echo() }
    let sockeye = try Sockeye(
      """
      upstreams: {a: {url: "socks5://\(mute.address)", isolate: port}}
      routes: [{port: \(echo.port), via: direct}]
      default: a

      """)
    let association = try Association(through: sockeye.address)
    for (number, other) in others.enumerated() {
      try association.send("lost", to: other.address)
      if number == 0 { _ = try sockeye.process.line(containing: " udp via=a failed hop=1/1 a ") }
    }
    try association.expectEcho("hello", from: echo.address)
    #expect(try sockeye.closing(association).contains(" dropped=no-path:3 "))
    #expect(mute.accepted.all.count == 1)
    #expect(sockeye.log.count { $0.contains(" udp via=a failed ") } == 1)
  }

  @Test func `that no identity could send datagrams is told at once`() throws {
    let hop = try Self.hop()
    try hop.reload("listen: {address: \"127.0.0.1:0\", auth: optional, udp: false}\ndefault: direct\n")
    try hop.process.line(containing: "reloaded")
    let sockeye = try Sockeye(
      """
      upstreams: {a: {url: "socks5://\(hop.address)", isolate: destination}}
      default: a

      """)
    #expect(try Socket(to: sockeye.address).requestAssociation().code == 7)
    _ = try hop.process.line(containing: "udp associate not supported")
  }
}
