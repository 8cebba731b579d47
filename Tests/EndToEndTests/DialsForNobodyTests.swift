import Foundation
import Testing

/// A client that gives up while its destination is dialled.
@Suite(.blocking)
struct DialsForNobodyTests {
  /// What a dial can wait for.
  enum Obstacle: String, CaseIterable, Sendable {
    case name
    case connect
    case greeting
    case plan
  }

  private let names: NameServer
  private let full: FullListener
  private let silent: Server

  init() throws {
    names = try NameServer(["never.test": .never])
    full = try FullListener()
    silent = try Server.silent()
  }

  private func serve(_ more: String = "") throws -> ControlledSockeye {
    try ControlledSockeye(
      """
      \(names.table)timeouts: {dial: 600s, half_closed: 600s}
      \(more)
      upstreams: {hop: {url: "socks5://\(silent.address)", timeout: 600s}}
      groups: {exits: {members: [hop, direct]}}
      routes:
        - {host: greeting.test, via: hop}
        - {host: plan.test, via: exits}
      default: direct

      """)
  }

  private func destination(_ obstacle: Obstacle) -> String {
    switch obstacle {
    case .name: "never.test:80"
    case .connect: full.address
    case .greeting: "greeting.test:80"
    case .plan: "plan.test:80"
    }
  }

  /// Clients whose destinations are being dialled.
  private func dial(_ count: Int, _ obstacle: Obstacle, through controlled: ControlledSockeye) throws
    -> [Socket]
  {
    let before = try controlled.status().present["dials"] ?? 0
    let clients = try (0..<count).map { _ in
      let client = try Socket(to: controlled.sockeye.address)
      try client.send(SOCKS.noAuthentication + SOCKS.connect(to: destination(obstacle)))
      return client
    }
    try eventually("\(count) dials") { try controlled.status().present["dials"] == before + count }
    return clients
  }

  @Test(arguments: Obstacle.allCases)
  func `a client that resets its connection ends its dial at once`(obstacle: Obstacle) throws {
    let controlled = try serve()
    var clients = try dial(4, obstacle, through: controlled)
    for client in clients { client.resetWhenClosed() }
    clients = []
    try eventually("nobody is left") { try controlled.status().present == [:] }
    let line = try controlled.sockeye.session(to: destination(obstacle))
    #expect(line.contains(" info connect ") && line.contains(" end=\"client left\""), "\(line)")
    let hop = try controlled.upstream("hop")
    #expect(hop.state == "unused" && hop.failed == [:] && hop.passed == 0, "\(hop)")
  }

  @Test func `a reset ends a RESOLVE, and the opening of a way for datagrams`() throws {
    let datagrams = try ControlledSockeye(
      """
      timeouts: {dial: 600s}
      upstreams: {hop: {url: "socks5://\(silent.address)", timeout: 600s}}
      default: hop

      """)
    let cases = [
      (try serve(), SOCKS.request(command: 0xF0, to: "never.test:0")),
      (datagrams, SOCKS.request(command: 3, to: "0.0.0.0:0")),
    ]
    for (controlled, request) in cases {
      var client: Socket? = try Socket(to: controlled.sockeye.address)
      try client?.send(SOCKS.noAuthentication + request)
      try eventually("it is being reached") { try controlled.status().present == ["dials": 1] }
      client?.resetWhenClosed()
      client = nil
      try eventually("nobody is left") { try controlled.status().present == [:] }
      try controlled.sockeye.process.line(containing: " end=\"client left\"")
    }
  }

  @Test func `a client that closes a Unix-domain socket ends its dial at once`() throws {
    let directory = try TemporaryDirectory()
    let controlled = try serve("listen: \"unix:\(directory.path)/socks\"")
    var clients = try dial(2, .greeting, through: controlled)
    clients.removeAll()
    try eventually("nobody is left") { try controlled.status().present == [:] }
  }

  @Test func `a client that ends its direction keeps its dial, which counts no longer against its limit`()
    throws
  {
    let target = try Server.echo()
    let controlled = try serve("limits: {per_client: 2}")
    func served() throws -> Bool {
      let client = try Socket(to: controlled.sockeye.address)
      return try client.requestConnect(to: target.address).code == 0
    }
    let first = try dial(2, .greeting, through: controlled)
    #expect(try !served())
    for client in first { client.finish() }
    try eventually("the client has room again") { try served() }
    #expect(try controlled.status().present["dials"] == 2)

    // As many again are too many.
    let second = try dial(2, .greeting, through: controlled)
    for client in second { client.finish() }
    for client in second { #expect(try client.receiveToEnd().bytes == [5, 0]) }
    #expect(try served())
    #expect(try controlled.status().present["dials"] == 2)
    withExtendedLifetime((first, second)) {}
  }

  @Test func `a client that has ended its direction is served when its destination is reached`() throws {
    let target = try Server { client in
      _ = try client.receiveToEnd()
      try client.send("late")
    }
    let sockeye = try Sockeye("default: direct\n")
    let client = try Socket(to: sockeye.address)
    try client.send(SOCKS.noAuthentication + SOCKS.connect(to: target.address))
    client.finish()
    #expect(try client.receiveToEnd().bytes.suffix(4) == Array("late".utf8))
  }
}
