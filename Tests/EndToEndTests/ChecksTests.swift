import Foundation
import Testing

/// What the checks of a group find, and what ends it.
@Suite(.blocking)
struct ChecksTests {
  /// A proxy whose uplink is dead: it reaches no destination, and does all that needs none.
  private static func cutOff() throws -> Server {
    try Server { client in
      try client.receiveGreeting()
      try client.send(5, 0)
      let (command, _) = try client.receiveCommand()
      try client.send(command == 1 ? SOCKS.failure(4) : [5, 0, 0] + SOCKS.encoded("127.0.0.1:9"))
      _ = try client.receiveToEnd()
    }
  }

  /// The other member answers the command with 07, or has no word for it.
  @Test(
    arguments: [("socks5", 2), ("socks5", 3), ("http", 2), ("http", 3), ("http", 0xF0)] as [(String, UInt8)])
  func `a member that failed its check stays down, whatever it does for a client that reaches nothing`(
    scheme: String, command: UInt8
  ) throws {
    let target = try Server.echo()
    let dead = try Self.cutOff()
    let good = try Sockeye("listen: {address: 127.0.0.1:0, udp: false, bind: false}\ndefault: direct\n")
    let controlled = try ControlledSockeye(
      """
      upstreams: {a: "socks5://\(dead.address)", b: "\(scheme)://\(good.address)"}
      groups: {exits: {members: [a, b], check: {to: "\(target.address)", every: 1h}}}
      default: exits

      """)
    let address = controlled.sockeye.address
    _ = try Socket(to: address).requestConnect(to: target.address)
    try eventually("a never went down") {
      try controlled.status().groups[0].members.map(\.up) == [false, true]
    }
    let client = try Socket(to: address)
    try client.send(SOCKS.noAuthentication)
    #expect(try client.receive(exactly: 2) == [5, 0])
    #expect(try client.request(SOCKS.request(command: command, to: "127.0.0.1:9")).code == 0)
    #expect(try controlled.status().groups[0].members.map(\.up) == [false, true])
    #expect(try Socket(to: address).requestConnect(to: target.address).code == 0)
    withExtendedLifetime(client) {}
  }

  @Test func `a check whose time was over while this program was stopped takes no member down`() throws {
    let (target, probe) = (try Server.echo(), try Server.silent())
    let checks = Recorder<Void>()
    let hop = try Server { client in
      let destination = try client.acceptRequest()
      guard destination == probe.address else { return try ScriptedHop.tunnel(client, to: destination) }
      checks.record(())
      // It has no time to answer.
      _ = try client.receiveToEnd()
    }
    let controlled = try ControlledSockeye(
      """
      upstreams: {a: {url: "socks5://\(hop.address)", pipeline: no}}
      groups: {exits: {members: [a], check: {to: "\(probe.address)", every: 1s, timeout: 3s}}}
      default: exits

      """)
    #expect(try Socket(to: controlled.sockeye.address).requestConnect(to: target.address).code == 0)
    try checks.wait(forCount: 1)
    controlled.sockeye.signal(SIGSTOP)
    // Longer than the check's time: a shorter one proves nothing, a longer one does.
    Thread.sleep(forTimeInterval: 4)
    controlled.sockeye.signal(SIGCONT)
    // The next check begins when the first is over.
    try checks.wait(forCount: 2)
    #expect(try controlled.status().groups[0].members.map(\.up) == [true])
    // Which is one like any other.
    try eventually("a never went down") { try !controlled.status().groups[0].members[0].up }
  }

  @Test(arguments: ["another", "none"])
  func `a check that was mistyped ends with the reload that mends it, and so does what it found`(next: String)
    throws
  {
    let (probe, dead) = (try Server.silent(), try DeadPort())
    let exits = try (0..<2).map { _ in try Sockeye("default: direct\n") }
    func table(_ check: String) -> String {
      """
      upstreams: {a: "socks5://\(exits[0].address)", b: "socks5://\(exits[1].address)"}
      groups: {exits: {members: [a, b]\(check)}}
      default: exits

      """
    }
    let controlled = try ControlledSockeye(table(", check: {to: \"\(dead.address)\", every: 1h}"))
    // A connection that reached anything could end what the check finds.
    #expect(try Socket(to: controlled.sockeye.address).requestConnect(to: dead.address).code == 5)
    try eventually("the check did not fail") {
      try controlled.status().groups[0].members.map(\.up) == [false, false]
    }
    try controlled.write(table(next == "none" ? "" : ", check: {to: \"\(probe.address)\", every: 1h}"))
    #expect(try controlled.ask("reload").status == 0)
    #expect(try controlled.status().groups[0].members.map(\.up) == [true, true])
    // The new check does not wait for the old one's hour, nor for a connection.
    if next == "another" { try probe.accepted.wait(forCount: 2) }
  }
}
