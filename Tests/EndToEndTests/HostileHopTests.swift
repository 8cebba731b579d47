import Foundation
import Testing

/// Hops that lie, stall or flood; the rows J and T30 of the protocol's list. The client gets the right code in
/// bounded time, the log names the hop and its phase, and the program takes no harm.
@Suite(.blocking)
struct HostileHopTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let testDescription: String
    /// What the client is told.
    let code: UInt8
    /// As the log names it.
    let phase: String
    let serve: @Sendable (Socket) throws -> Void

    init(_ name: String, _ code: UInt8, _ phase: String, _ serve: @escaping @Sendable (Socket) throws -> Void)
    {
      testDescription = name
      self.code = code
      self.phase = phase
      self.serve = serve
    }
  }

  static let greeting: [Case] = [
    Case("hangs", 1, "greet") { _ = try $0.receiveToEnd() },
    Case("closes at once", 1, "greet") { _ in },
    Case("closes after the greeting", 1, "greet") { try $0.receiveGreeting() },
    Case("closes within its answer", 1, "greet") {
      try $0.receiveGreeting()
      try $0.send(5)
    },
    Case("resets", 1, "greet") {
      $0.resetWhenClosed()
      try $0.receiveGreeting()
    },
    Case("speaks HTTP", 1, "greet") {
      try $0.receiveGreeting()
      try $0.send("HTTP/1.0 400 Bad Request\r\n\r\n")
    },
    Case("answers as SOCKS4", 1, "greet") {
      try $0.receiveGreeting()
      try $0.send(0, 0x5B, 0, 0, 0, 0, 0, 0)
    },
    Case("accepts no method", 1, "greet") {
      try $0.receiveGreeting()
      try $0.send(5, 0xFF)
    },
    Case("chooses GSSAPI, which was not offered", 1, "greet") {
      try $0.receiveGreeting()
      try $0.send(5, 1)
    },
    Case("chooses a password, which was not offered", 1, "greet") {
      try $0.receiveGreeting()
      try $0.send(5, 2)
      try $0.receiveCredentials()
      try $0.send(1, 0)
      try $0.receiveRequest()
      try $0.send(SOCKS.failure(0))
    },
  ]

  static let request: [Case] = [
    Case("hangs", 6, "request") {
      try $0.acceptRequest()
      _ = try $0.receiveToEnd()
    },
    Case("closes", 1, "request") { try $0.acceptRequest() },
    Case("closes within its reply", 1, "request") {
      try $0.acceptRequest()
      try $0.send(5, 0, 0, 1, 127)
    },
    Case("replies with another version", 1, "request") {
      try $0.acceptRequest()
      try $0.send(4, 0, 0, 1, 0, 0, 0, 0, 0, 0)
    },
    Case("replies with an unknown address type", 1, "request") {
      try $0.acceptRequest()
      try $0.send(5, 0, 0, 9, 0, 0, 0, 0, 0, 0)
    },
    Case("replies octet by octet, for longer than it may take", 6, "request") {
      try $0.acceptRequest()
      $0.sendWithoutDelay()
      for octet in [5, 0, 0, 3, 255] + [UInt8](repeating: 0x61, count: 257) {
        guard !$0.hasSomethingToRead(within: 100) else { return }
        try $0.send(octet)
      }
    },
    Case("replies with garbage without end", 1, "request") {
      try $0.acceptRequest()
      while true { try $0.send([UInt8](repeating: 0xAA, count: 65_536)) }
    },
    Case("replies with an unknown code", 1, "request") {
      try $0.acceptRequest()
      try $0.send(SOCKS.failure(9))
    },
    Case("replies FF", 1, "request") {
      try $0.acceptRequest()
      try $0.send(SOCKS.failure(0xFF))
    },
  ]

  static let refusals = (1...8).map { code in
    Case("replies \(code)", UInt8(code), "request") {
      try $0.acceptRequest()
      try $0.send(SOCKS.failure(UInt8(code)))
    }
  }

  /// As some servers refuse: REP is enough.
  static let shortRefusals: [Case] = [
    Case("replies in two octets and closes", 5, "request") {
      try $0.acceptRequest()
      try $0.send(5, 5)
    },
    Case("replies in two octets and stays", 2, "request") {
      try $0.acceptRequest()
      try $0.send(5, 2)
      _ = try $0.receiveToEnd()
    },
    Case("replies in three octets and stays", 4, "request") {
      try $0.acceptRequest()
      try $0.send(5, 4, 0)
      _ = try $0.receiveToEnd()
    },
    Case("replies without an address, and closes", 3, "request") {
      try $0.acceptRequest()
      try $0.send(5, 3, 0, 1)
    },
  ]

  private func check(_ hostile: Case, chain: String, position: String) throws {
    let hop = try Server(serve: hostile.serve)
    let good = try Sockeye("default: direct\n")
    let sockeye = try Sockeye(
      """
      upstreams:
        good: {url: "socks5://\(good.address)"}
        bad: {url: "socks5://\(hop.address)", timeout: 2s}
      timeouts: {dial: 4s}
      default: \(chain)

      """)
    let client = try Socket(to: sockeye.address)
    let reply = try client.requestConnect(to: "some.test:80")
    #expect(reply.code == hostile.code)
    #expect(try client.receiveToEnd().closing == .end)
    let line = try sockeye.session(to: "some.test:80")
    #expect(line.contains(" failed hop=\(position) bad phase=\(hostile.phase) "), "\(line)")
    #expect(line.contains(" warning connect "), "\(line)")
  }

  @Test(arguments: shortRefusals)
  func `a refusal that is cut short is passed on (J3)`(hostile: Case) throws {
    try check(hostile, chain: "bad", position: "1/1")
    try check(hostile, chain: "[good, bad]", position: "2/2")
  }

  @Test(arguments: greeting + request + refusals)
  func `a lying hop`(hostile: Case) throws {
    try check(hostile, chain: "bad", position: "1/1")
  }

  @Test(arguments: greeting + request + refusals)
  func `a lying hop behind a good one`(hostile: Case) throws {
    try check(hostile, chain: "[good, bad]", position: "2/2")
  }

  @Test(arguments: [
    [1, 1] as [UInt8], [1, 0xFF], [5, 1], [0, 0xFF], [1], [],
  ])
  func `a hop that refuses the password, or breaks the sub-negotiation`(answer: [UInt8]) throws {
    let heard = Recorder<[UInt8]>()
    let hop = try Server { client in
      heard.record(try client.receiveGreeting())
      try client.send(5, 2)
      let (user, password) = try client.receiveCredentials()
      heard.record(user + [0x3A] + password)
      try client.send(answer)
      client.finish()
      heard.record(try client.receiveToEnd().bytes)
    }
    let sockeye = try Sockeye("upstreams: {bad: \"socks5://alice:s%00cret@\(hop.address)\"}\ndefault: bad\n")
    #expect(try Socket(to: sockeye.address).requestConnect(to: "some.test:80").code == 1)
    #expect(try sockeye.session(to: "some.test:80").contains(" failed hop=1/1 bad phase=authenticate "))
    try heard.wait(forCount: 3)
    // Both methods are offered, the password is sent, and after its refusal nothing more (J1, J2).
    #expect(heard.all.map { $0.sorted() } == [[0, 2], Array("alice:s\0cret".utf8).sorted(), []])
  }

  @Test(arguments: [0, 1, 5] as [UInt8])
  func `a hop that takes the password with another version takes it (B1)`(version: UInt8) throws {
    let hop = try Server { client in
      try client.receiveGreeting()
      try client.send(5, 2)
      _ = try client.receiveCredentials()
      try client.send(version, 0)
      try client.receiveRequest()
      try client.send(SOCKS.failure(0) + Array("data".utf8))
    }
    let sockeye = try Sockeye("upstreams: {hop: \"socks5://alice:secret@\(hop.address)\"}\ndefault: hop\n")
    let client = try Socket(to: sockeye.address)
    #expect(try client.requestConnect(to: "some.test:80").code == 0)
    #expect(try client.receiveToEnd().bytes == Array("data".utf8))
  }

  @Test func `without credentials only method 00 is offered (J1)`() throws {
    let heard = Recorder<[UInt8]>()
    let hop = try Server { heard.record(try $0.receiveGreeting()) }
    let sockeye = try Sockeye("upstreams: {hop: \"socks5://\(hop.address)\"}\ndefault: hop\n")
    _ = try Socket(to: sockeye.address).requestConnect(to: "some.test:80")
    #expect(heard.all == [[0]])
  }

  @Test(arguments: [
    // X'01', X'04', and X'03' with names of 0, 1 and 255 octets.
    [5, 0, 0, 1, 127, 0, 0, 1, 0, 80] as [UInt8],
    [5, 0, 0xFF, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 80],
    [5, 0, 0, 3, 0, 0, 80], [5, 0, 0, 3, 1, 0x61, 0, 80],
    [5, 0, 0, 3, 255] + [UInt8](repeating: 0x61, count: 255) + [0, 80],
  ])
  func `a reply of any form, octet by octet, with data behind it (J3, J4, T9)`(reply: [UInt8]) throws {
    let hop = try Server { client in
      client.sendWithoutDelay()
      try client.receiveGreeting()
      for byte: UInt8 in [5, 0] { try client.send(byte) }
      try client.receiveRequest()
      for byte in reply + Array("data".utf8) { try client.send(byte) }
    }
    let sockeye = try Sockeye("upstreams: {hop: \"socks5://\(hop.address)\"}\ndefault: hop\n")
    let client = try Socket(to: sockeye.address)
    let answer = try client.requestConnect(to: "some.test:80")
    let bound =
      switch reply[3...] {
      case [1, 127, 0, 0, 1, 0, 80]: "127.0.0.1:80"
      case [3, 1, 0x61, 0, 80]: "0.0.0.0:0"
      case let field where field.first == 3: "0.0.0.0:80"
      default: "[::1]:80"
      }
    #expect(answer == (0, bound))
    #expect(try client.receiveToEnd().bytes == Array("data".utf8))
  }

  @Test func `a hop that says success and closes ends the tunnel`() throws {
    let hop = try Server { client in
      try client.acceptRequest()
      try client.send(SOCKS.failure(0))
    }
    let sockeye = try Sockeye("upstreams: {hop: \"socks5://\(hop.address)\"}\ndefault: hop\n")
    let client = try Socket(to: sockeye.address)
    #expect(try client.requestConnect(to: "some.test:80").code == 0)
    #expect(try client.receiveToEnd() == ([], .end))
  }

  @Test func `greeting and request do not travel in one flight (J7)`() throws {
    let heard = Recorder<Bool>()
    let hop = try Server { client in
      try client.receiveGreeting()
      heard.record(client.hasSomethingToRead(within: 300))
    }
    let sockeye = try Sockeye("upstreams: {hop: \"socks5://\(hop.address)\"}\ndefault: hop\n")
    _ = try Socket(to: sockeye.address).requestConnect(to: "some.test:80")
    #expect(heard.all == [false])
  }

  @Test func `names and ports reach the hop as the client wrote them`() throws {
    let heard = Recorder<String>()
    let hop = try Server { heard.record(try $0.acceptRequest()) }
    let sockeye = try Sockeye("upstreams: {hop: \"socks5://\(hop.address)\"}\ndefault: hop\n")
    for destination in ["some.test:80", "192.0.2.1:65535", "[::2]:1"] {
      _ = try Socket(to: sockeye.address).requestConnect(to: destination)
    }
    #expect(heard.all == ["“some.test”:80", "192.0.2.1:65535", "0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 2:1"])
  }

  @Test func `a hop whose name turns out to be ours is refused too (J8)`() throws {
    let port = FreePort.take()
    let sockeye = try Sockeye(
      """
      listen: 127.0.0.1:\(port)
      hosts: {loop.test: 127.0.0.1}
      upstreams: {self: "socks5://loop.test:\(port)"}
      default: self

      """)
    #expect(try Socket(to: sockeye.address).requestConnect(to: "some.test:80").code == 1)
    _ = try sockeye.session(to: "some.test:80")
    #expect(sockeye.log.filter { $0.contains(" to=some.test:80 ") }.count == 1)
  }

  @Test func `a chain through ourselves is refused (J8, T18)`() throws {
    let port = FreePort.take()
    let table =
      "listen: 127.0.0.1:\(port)\nupstreams: {self: \"socks5://127.0.0.1:\(port)\"}\ndefault: self\n"
    let directory = try TemporaryDirectory()
    let file = try directory.write(table, to: "table.yaml")
    let exit = try Sockeye.run("check", file)
    #expect(exit.status == 1, "\(exit)")
    #expect(exit.output.first?.hasPrefix("\(file):2:") == true, "\(exit)")
  }
}
