import Foundation
import Testing

/// Tunnels that were opened up to the last hop before anybody asked for a destination.
@Suite(.blocking)
struct WarmChainsTests {
  private let target: Server

  init() throws {
    target = try Server.echo(on: "0.0.0.0:0")
  }

  /// Opens a tunnel to the target by a name that tells it from others, and sends something through it.
  private func pass(_ sockeye: Sockeye, _ number: Int) throws -> String {
    let destination = "127.0.\(number / 250).\(number % 250 + 1):\(target.port)"
    let client = try Socket(to: sockeye.address)
    #expect(try client.requestConnect(to: destination).code == 0)
    try client.send("hello")
    #expect(try client.receive(exactly: 5) == Array("hello".utf8))
    client.hangUp()
    return try sockeye.session(to: destination)
  }

  @Test func `the last of three hops waits, and the log says when it did`() throws {
    let dante = try Dante()
    let micro = try Microsocks(user: "alice", password: "secret")
    let tiny = try Tinyproxy(user: "bob", password: "hidden")
    let sockeye = try Sockeye(
      """
      upstreams:
        dante: {url: "socks5://\(dante.address)", pipeline: no}
        tiny: {url: "http://bob:hidden@\(tiny.address)", pipeline: no}
        micro: {url: "socks5://alice:secret@\(micro.address)", pipeline: no}
      chains: {path: {hops: [dante, tiny, micro], warm: 1}}
      default: path

      """, arguments: ["--workers", "1"])
    #expect(!(try pass(sockeye, 0).contains(" warm=")))
    var number = 0
    var taken = 0
    try eventually("no tunnel was waiting") {
      number += 1
      if try pass(sockeye, number).contains(#/ dial=\S+ warm=yes /#) { taken += 1 }
      return taken == 3
    }
  }

  @Test func `with 0 nothing is opened that nobody asked for, nor to a near hop without a word of it`() throws
  {
    for keys in ["warm: 0", "mode: strict"] {
      let hop = try ScriptedHop()
      let sockeye = try Sockeye(
        """
        upstreams: {hop: "socks5://\(hop.address)"}
        chains: {path: {hops: [hop], \(keys)}}
        default: path

        """)
      for number in 0..<10 { _ = try pass(sockeye, number) }
      #expect(hop.clientCount == 10)
    }
  }

  @Test func `a number is that number from the first use on, whatever the number of threads`() throws {
    let hop = try ScriptedHop()
    for workers in [1, 2, 3, 8] {
      let controlled = try ControlledSockeye(
        """
        upstreams: {hop: {url: "socks5://\(hop.address)", pipeline: no}}
        chains: {path: {hops: [hop], warm: 4}}
        default: path

        """, workers: workers)
      _ = try pass(controlled.sockeye, 0)
      let full = StatusObject.WarmChain(hops: ["hop"], ready: 4, wanted: 4)
      try eventually("the tunnels were not made") { try controlled.status().warm_chains == [full] }
    }
  }

  @Test func `a number is kept, and closed as soon as the program drains`() throws {
    let held = Recorder<Void>()
    let ended = Recorder<Void>()
    let asked = Recorder<Socket>()
    let hop = try Server { client in
      try client.receiveGreeting()
      try client.send(5, 0)
      client.setTimeouts(0)
      held.record(())
      guard case .bytes = try client.receive() else { return ended.record(()) }
      asked.record(client)
      _ = try client.receiveToEnd()
    }
    let sockeye = try Sockeye(
      """
      upstreams: {hop: {url: "socks5://\(hop.address)", pipeline: no}}
      chains: {path: {hops: [hop], warm: 4}}
      default: path

      """, arguments: ["--workers", "1"])
    let client = try Socket(to: sockeye.address)
    try client.send(SOCKS.noAuthentication)
    _ = try client.receive(exactly: 2)
    try client.send(SOCKS.request(command: 1, to: "192.0.2.1:80"))
    try asked.wait(forCount: 1)
    try held.wait(forCount: 5)
    sockeye.signal(SIGTERM)
    // While somebody is still served.
    try ended.wait(forCount: 4)
    #expect(!sockeye.process.hasExited)
    try asked.all[0].send(SOCKS.failure(5))
    #expect(try client.receiveReply().code == 5)
    #expect(try sockeye.process.wait().status == 0)
  }

  @Test func `a hop that is killed and comes back costs no client of a group anything`() throws {
    let port = FreePort.take()
    func exit() throws -> Sockeye { try Sockeye("listen: 127.0.0.1:\(port)\ndefault: direct\n") }
    var first: Sockeye? = try exit()
    let second = try Sockeye("default: direct\n")
    let sockeye = try Sockeye(
      """
      upstreams: {a: "socks5://127.0.0.1:\(port)", b: "socks5://\(second.address)"}
      groups: {exits: {members: [a, b]}}
      chains: {path: {hops: [exits], warm: 2}}
      default: path

      """)
    var number = 0
    func passes(by way: String) throws {
      try eventually("nobody went by \(way), warm") {
        number += 1
        let line = try pass(sockeye, number)
        return line.contains(" via=\(way) ") && line.contains(" warm=yes ")
      }
    }
    try passes(by: "a")
    first = nil
    try passes(by: "b")
    first = try exit()
    try passes(by: "a")
    #expect(first?.process.hasExited == false)
  }

  @Test func `a tunnel whose hop has gone without a word costs its client that hop's timeout`() throws {
    let hop = try ScriptedHop()
    let controlled = try ControlledSockeye(
      """
      upstreams: {hop: {url: "socks5://\(hop.address)", pipeline: no, timeout: 2s}}
      chains: {path: {hops: [hop], warm: 1}}
      timeouts: {dial: 10m}
      default: path

      """, workers: 1)
    _ = try pass(controlled.sockeye, 0)
    let full = StatusObject.WarmChain(hops: ["hop"], ready: 1, wanted: 1)
    try eventually("the tunnel was not made") { try controlled.status().warm_chains == [full] }
    // No packet reaches the hop's end of it any more.
    try hop.dropPackets()
    #expect(!(try pass(controlled.sockeye, 1).contains(" warm=")))
  }

  @Test func `short of descriptors, tunnels that wait are given up before clients are turned away`() throws {
    let hop = try ScriptedHop()
    let sockeye = try Sockeye(
      """
      upstreams: {hop: {url: "socks5://\(hop.address)", pipeline: no}}
      chains: {path: {hops: [hop], warm: 24}}
      default: path

      """, arguments: ["--workers", "1"])
    // Later than its limits know of.
    try sockeye.process.limitDescriptors(to: 64)
    _ = try pass(sockeye, 0)
    // One for the client, the others wait.
    try eventually("the tunnels were not made") { hop.clientCount >= 25 }
    let clients = try (1...20).map { number in
      let client = try Socket(to: sockeye.address)
      #expect(try client.requestConnect(to: "127.0.0.\(number + 1):\(target.port)").code == 0)
      return client
    }
    for client in clients {
      try client.send("hello")
      #expect(try client.receive(exactly: 5) == Array("hello".utf8))
    }
    #expect(!sockeye.log.contains { $0.contains("turned away") })
  }
}
