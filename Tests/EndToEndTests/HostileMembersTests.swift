import Foundation
import Testing

/// Hops that hang, lie, close or flood in each phase, of each kind: alone, where the client gets the right reply in
/// bounded time; and in a group, where another member serves it, unless what the hop said was the destination's word, or
/// the destination may be slow.
/// Either way the log names the hop and the phase.
@Suite(.blocking)
struct HostileMembersTests {
  struct Fault: Sendable, CustomTestStringConvertible {
    let testDescription: String
    /// With user name and password where the hop asks for them.
    let scheme: String
    /// What the client is told when there is no other hop.
    let code: UInt8
    /// As the log has it: the phase, and what is known of the cause.
    let words: String
    let serve: @Sendable (Socket) throws -> Void

    init(
      _ scheme: String, _ name: String, _ code: UInt8, _ words: String,
      _ serve: @escaping @Sendable (Socket) throws -> Void
    ) {
      testDescription = "\(scheme) \(name)"
      self.scheme = scheme
      self.code = code
      self.words = words
      self.serve = serve
    }

    /// It is for the destination that the hop refuses: another hop would do the same.
    var isDestinations: Bool {
      [
        "reply=02", "reply=03", "reply=04", "reply=05", "reply=06", "reply=403", "reply=404",
      ].contains { words.contains($0) }
    }

    /// It has admitted us and is silent: the destination may be slow, and would be so through another hop.
    var isSlowness: Bool {
      code == 6 && (words == "phase=request " || words == "phase=request error=(timed out)")
    }
  }

  // MARK: Faults that other suites try on hops that stand alone

  static let known =
    HostileHopTests.greeting.map {
      Fault("socks5://", $0.testDescription, $0.code, "phase=greet error=(", $0.serve)
    }
    + HostileHopTests.request.map {
      Fault("socks5://", $0.testDescription, $0.code, "phase=request ", $0.serve)
    }
    + HostileHopTests.refusals.map {
      Fault("socks5://", $0.testDescription, $0.code, "phase=request reply=0\($0.code) ", $0.serve)
    }
    + SOCKS4HopTests.hostile.map {
      Fault("socks4a://", $0.testDescription, $0.code, "phase=request \($0.what)", $0.serve)
    }
    + (HTTPHopsTests.faults + HTTPHopsTests.statuses).map {
      Fault("http://", $0.testDescription, $0.code, $0.words, $0.answer)
    }

  // MARK: Faults that are tried here alone, too

  /// Takes the greeting and the claim, as a hop that wants a password.
  @Sendable private static func hearClaim(_ client: Socket) throws {
    try client.receiveGreeting()
    try client.send(5, 2)
    try client.receiveCredentials()
  }

  private static let answersToClaims:
    [(name: String, cause: String, give: @Sendable (Socket) throws -> Void)] = [
      ("hangs", "error=(timed out)", { _ = try $0.receiveToEnd() }),
      ("closes", "error=(closed by the peer)", { _ in }),
      ("resets", "error=(connection reset)", { $0.resetWhenClosed() }),
      (
        "closes within its answer", "error=(closed by the peer)",
        {
          try $0.send(1)
          $0.finish()
          _ = try $0.receiveToEnd()
        }
      ),
      (
        "says one octet, and then nothing", "error=(timed out)",
        {
          try $0.send(1)
          _ = try $0.receiveToEnd()
        }
      ),
      (
        "answers with garbage without end", "error=(",
        { while true { try $0.send([UInt8](repeating: 0xAA, count: 65_536)) } }
      ),
      (
        "refuses the password", "error=(user name or password refused)",
        {
          try $0.send(1, 1)
          _ = try $0.receiveToEnd()
        }
      ),
    ]

  static let authentication = answersToClaims.map { answer in
    Fault("socks5://alice:secret@", "to a password \(answer.name)", 1, "phase=authenticate \(answer.cause)") {
      try hearClaim($0)
      try answer.give($0)
    }
  }

  static let others: [Fault] = [
    Fault("socks5://", "says one octet, and then nothing", 1, "phase=greet error=(timed out)") {
      try $0.receiveGreeting()
      try $0.send(5)
      _ = try $0.receiveToEnd()
    },
    Fault("socks5://", "greets with garbage without end", 1, "phase=greet error=(not SOCKS: version 170)") {
      while true { try $0.send([UInt8](repeating: 0xAA, count: 65_536)) }
    },
    Fault("socks5://", "resets when asked", 1, "phase=request error=(connection reset)") {
      try $0.acceptRequest()
      $0.resetWhenClosed()
    },
    Fault("socks5://", "answers the request in HTTP", 1, "phase=request error=(not SOCKS: version 72)") {
      try $0.acceptRequest()
      try $0.send("HTTP/1.1 200 OK\r\n\r\n")
      _ = try $0.receiveToEnd()
    },
    Fault("socks4a://", "resets", 1, "phase=request error=(connection reset)") {
      try $0.receiveSOCKS4Request()
      $0.resetWhenClosed()
    },
    Fault("socks4a://", "answers in HTTP", 1, "phase=request error=(not SOCKS: version 72)") {
      try $0.receiveSOCKS4Request()
      try $0.send("HTTP/1.1 200 OK\r\n\r\n")
      _ = try $0.receiveToEnd()
    },
    Fault("http://", "answers in TLS", 1, "phase=request error=(not HTTP)") {
      try $0.receiveHead()
      try $0.send(0x15, 3, 1, 0, 2, 2, 0x28)
      _ = try $0.receiveToEnd()
    },
    Fault("http://", "has one line without end", 1, "phase=request error=(HTTP header too long)") {
      try $0.receiveHead()
      try $0.send("HTTP/1.1 200 OK\r\nX: ")
      while true { try $0.send(String(repeating: "x", count: 65_536)) }
    },
  ]

  // MARK: Tests

  /// Dials `destination` by `via`, where `bad` is the hop that is at fault and `good` serves.
  private func dial(
    _ destination: String, via: String, bad: String, good: Sockeye
  ) throws -> (code: UInt8, line: String, client: Socket, sockeye: Sockeye) {
    let sockeye = try Sockeye(
      """
      upstreams:
        bad: {url: "\(bad)", timeout: 1s, pipeline: no}
        good: socks5://\(good.address)
      groups: {exits: {members: [bad, good]}, second: {members: [[good, bad], good]}}
      timeouts: {dial: 3s}
      default: \(via)

      """)
    let client = try Socket(to: sockeye.address)
    let code = try client.requestConnect(to: destination).code
    if code == 0 {
      try client.send("hello")
      #expect(try client.receive(exactly: 5) == Array("hello".utf8))
      client.hangUp()
    } else {
      #expect(try client.receiveToEnd().closing == .end)
    }
    return (code, try sockeye.session(to: destination), client, sockeye)
  }

  @Test(arguments: authentication + others)
  func `a hop at fault fails the client where there is no other`(fault: Fault) throws {
    let target = try Server.echo()
    let hop = try Server(serve: fault.serve)
    let good = try Sockeye("default: direct\n")
    for (via, place) in [("bad", "1/1"), ("[good, bad]", "2/2")] {
      let (code, line, _, _) = try dial(target.address, via: via, bad: fault.scheme + hop.address, good: good)
      #expect(code == fault.code)
      #expect(line.contains(" failed hop=\(place) bad \(fault.words)"), "\(line)")
      #expect(!line.contains("secret"))
    }
    #expect(target.accepted.all == [])
  }

  @Test(arguments: known + authentication + others)
  func `where a hop is at fault another member serves the client`(fault: Fault) throws {
    let target = try Server.echo()
    let hop = try Server(serve: fault.serve)
    let good = try Sockeye("default: direct\n")
    for (via, way, place) in [("exits", "bad", "1/1"), ("second", "good,bad", "2/2")] {
      let (code, line, _, _) = try dial(target.address, via: via, bad: fault.scheme + hop.address, good: good)
      if fault.isDestinations || fault.isSlowness {
        #expect(code == fault.code)
        #expect(line.contains(" via=\(way) failed hop=\(place) bad \(fault.words)"), "\(line)")
      } else {
        #expect(code == 0)
        #expect(line.contains(" via=good tried=\"\(way): hop=\(place) bad \(fault.words)"), "\(line)")
      }
    }
  }

  @Test(arguments: ["socks5", "socks4a", "http"])
  func `a hop that refuses connections, or never answers to one, is named as not reached`(scheme: String)
    throws
  {
    let target = try Server.echo()
    let dead = try DeadPort()
    let full = try FullListener()
    let good = try Sockeye("default: direct\n")
    for (address, first, second) in [
      (dead.address, "error=(connection refused)", "reply=05 (connection refused)"),
      (full.address, "error=(timed out)", "error=(timed out)"),
    ] {
      for (via, place, words) in [("bad", "1/1", first), ("[good, bad]", "2/2", second)] {
        let (code, line, _, _) = try dial(target.address, via: via, bad: "\(scheme)://\(address)", good: good)
        #expect(code == 1)
        #expect(line.contains(" failed hop=\(place) bad phase=connect \(words)"), "\(line)")
      }
      for (via, way, place, words) in [
        ("exits", "bad", "1/1", first), ("second", "good,bad", "2/2", second),
      ] {
        let (code, line, _, _) = try dial(target.address, via: via, bad: "\(scheme)://\(address)", good: good)
        #expect(code == 0)
        #expect(
          line.contains(" via=good tried=\"\(way): hop=\(place) bad phase=connect \(words)"), "\(line)")
      }
    }
  }

  @Test(arguments: ["socks5", "socks4a", "http"])
  func `a hop that says success and closes ends the tunnel, and no other takes its place`(scheme: String)
    throws
  {
    let target = try Server.echo()
    let good = try Sockeye("default: direct\n")
    let hop = try Server { client in
      switch scheme {
      case "socks5":
        try client.acceptRequest()
        try client.send(SOCKS.failure(0))
      case "http":
        try client.receiveHead()
        try client.send(HTTP.established)
      default:
        try client.receiveSOCKS4Request()
        try client.send(0, 90, 0, 0, 0, 0, 0, 0)
      }
    }
    let sockeye = try Sockeye(
      """
      upstreams: {bad: "\(scheme)://\(hop.address)", good: "socks5://\(good.address)"}
      groups: {exits: {members: [bad, good]}}
      default: exits

      """)
    let client = try Socket(to: sockeye.address)
    #expect(try client.requestConnect(to: target.address).code == 0)
    #expect(try client.receiveToEnd() == ([], .end))
    client.hangUp()
    let line = try sockeye.session(to: target.address)
    #expect(line.contains(" plan=exits via=bad ") && !line.contains(" tried="), "\(line)")
    #expect(target.accepted.all == [])
  }
}
