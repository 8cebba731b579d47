import Foundation
import Testing

/// RFC 1929 and who gets in; the rows B of the protocol's list.
@Suite(.blocking)
struct AuthenticationTests {
  private let sockeye: Sockeye
  private let echo: Server

  init() throws {
    echo = try Server.echo()
    sockeye = try Sockeye(
      """
      listen:
        - address: 127.0.0.1:0
          users:
            alice: secret
            bob: "$$6$$saltsalt$$hRM5XZ86KXEw9UOmjigeVqFgULtFB2sgpC9lXQDfMib3Zgw7mEiUvBJI2EplzfAqxL5Vvwp2scFtv/uamSo5z0"
      default: direct
      log: {level: debug}

      """)
  }

  private var connect: [UInt8] { SOCKS.connect(to: echo.address) }

  /// After everything else was refused: the first the target sees is the one with the right password.
  private func expectNobodyGotThrough() throws {
    try conversation(
      with: sockeye.address,
      .client(5, 1, 2), .server(5, 2),
      .client(SOCKS.credentials("alice", "secret")), .server(1, 0),
      .client(connect), .server(5, 0, 0, 1))
    try echo.accepted.wait(forCount: 1)
    #expect(echo.accepted.all.count == 1)
  }

  @Test func `the right password opens`() throws {
    try expectNobodyGotThrough()
  }

  @Test func `without authentication nobody is served, even if it is offered first (A6, T2)`() throws {
    try conversation(with: sockeye.address, .client(5, 1, 0), .server(5, 0xFF), .client(connect), .closed)
    try conversation(
      with: sockeye.address, .client(5, 2, 0, 2), .server(5, 2), .client(connect), .server(1, 1), .closed)
    try expectNobodyGotThrough()
  }

  @Test func `a wrong password is refused and nothing after it is read (B3, T1)`() throws {
    try conversation(
      with: sockeye.address,
      .client(5, 1, 2), .server(5, 2),
      .client(SOCKS.credentials("alice", "Secret") + connect), .server(1, 1),
      .client(connect), .closed)
    try expectNobodyGotThrough()
  }

  @Test func `the version of the sub-negotiation is 1 (B1)`() throws {
    try conversation(
      with: sockeye.address,
      .client(5, 1, 2), .server(5, 2),
      .client([5] + SOCKS.credentials("alice", "secret").dropFirst()), .server(1, 1), .closed)
  }

  @Test func `the sub-negotiation cannot be skipped (B6, T2)`() throws {
    try conversation(
      with: sockeye.address, .client(5, 1, 2), .server(5, 2), .client(connect), .server(1, 1), .closed)
    try expectNobodyGotThrough()
  }

  @Test func `a refused login is logged with the user and the reason`() throws {
    for (user, password, reason) in [
      ("alice", "Secret", "wrong password"), ("bob", "secret", "wrong password"),
      ("mallory", "secret", "unknown user"),
    ] {
      try conversation(
        with: sockeye.address,
        .client(5, 1, 2), .server(5, 2), .client(SOCKS.credentials(user, password)), .server(1, 1), .closed)
      try sockeye.process.line(
        matching: try Regex(" warning connect client=\\S+ user=\(user) end=\"not authenticated: \(reason)\""))
    }
    try conversation(with: sockeye.address, .client(5, 1, 0), .server(5, 0xFF), .closed)
    try sockeye.process.line(containing: "not authenticated: no user name and password were offered")
    try conversation(
      with: sockeye.address, .client([4, 1, 0, 80, 127, 0, 0, 1, 0]), .server(0, 0x5B, 0, 0, 0, 0, 0, 0),
      .closed)
    try sockeye.process.line(containing: "not authenticated: SOCKS4 has no password")
    #expect(!sockeye.log.contains { $0.contains("secret") || $0.contains("Secret") })
  }

  @Test(arguments: [
    ("", ""), ("", "secret"), ("alice", ""), ("alice", "secre"), ("alice", "secret\0"), ("alice\0", "secret"),
    ("alice", "secret\0x"), ("Alice", "secret"), ("alice", "SECRET"), ("alic", "secret"),
    ("alice", "secrets"),
    ("bob", "secret"), ("mallory", "secret"), ("bob", ""), ("bob", "correct horse\0"),
    ("bob", "correct hors"),
    (
      "bob",
      "$6$saltsalt$hRM5XZ86KXEw9UOmjigeVqFgULtFB2sgpC9lXQDfMib3Zgw7mEiUvBJI2EplzfAqxL5Vvwp2scFtv/uamSo5z0"
    ),
  ])
  func `nearly right is wrong (B2, B4, T5)`(user: String, password: String) throws {
    try conversation(
      with: sockeye.address,
      .client(5, 1, 2), .server(5, 2), .client(SOCKS.credentials(user, password)), .server(1, 1), .closed)
  }

  @Test func `octets that are no text are compared as octets (B4)`() throws {
    try conversation(
      with: sockeye.address,
      .client(5, 1, 2), .server(5, 2), .client(SOCKS.credentials([0xFF, 0xFE], [0x80, 0])), .server(1, 1),
      .closed)
  }

  @Test(arguments: [
    "$6$saltsalt$hRM5XZ86KXEw9UOmjigeVqFgULtFB2sgpC9lXQDfMib3Zgw7mEiUvBJI2EplzfAqxL5Vvwp2scFtv/uamSo5z0",
    "$y$j9T$saltsaltsaltsalt$gNcNhvFTt75JDF1LO9O.MCPyp8TkQxrhQSKqUeo/Uy6",
    "$2b$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2",
  ])
  func `a hash stands for its password`(hash: String) throws {
    // In the table a dollar is written twice.
    let written = hash.replacing("$", with: "$$")
    let sockeye = try Sockeye(
      "listen:\n  - {address: \"127.0.0.1:0\", users: {bob: \"\(written)\"}}\ndefault: direct\n")
    try conversation(
      with: sockeye.address,
      .client(5, 1, 2), .server(5, 2), .client(SOCKS.credentials("bob", "correct horse")), .server(1, 0))
    try conversation(
      with: sockeye.address,
      .client(5, 1, 2), .server(5, 2), .client(SOCKS.credentials("bob", "correct hors")), .server(1, 1),
      .closed)
  }

  @Test func `name and password may have 255 octets each (B5)`() throws {
    let name = String(repeating: "n", count: 255)
    let password = String(repeating: "p", count: 255)
    let sockeye = try Sockeye(
      "listen:\n  - {address: \"127.0.0.1:0\", users: {\(name): \(password)}}\ndefault: direct\n")
    try conversation(
      with: sockeye.address,
      .client(5, 1, 2), .server(5, 2), .client(SOCKS.credentials(name, password)), .server(1, 0),
      .client(connect), .server(5, 0, 0, 1))
  }

  @Test func `credentials are not taken where they were not asked for (B7)`() throws {
    let open = try Sockeye("default: direct\n")
    try conversation(
      with: open.address,
      .client(5, 1, 0), .server(5, 0),
      .client(SOCKS.credentials("alice", "secret") + connect), .server(SOCKS.failure(1)), .closed)
    #expect(echo.accepted.all == [])
  }

  @Test func `SOCKS4 is no side door (B8, T3)`() throws {
    let port = SOCKS.bigEndian(echo.port)
    for request in [
      [4, 1] + port + [127, 0, 0, 1, 0], [4, 1] + port + [0, 0, 0, 1, 0] + Array("localhost\0".utf8),
    ] {
      try conversation(with: sockeye.address, .client(request), .server(0, 0x5B, 0, 0, 0, 0, 0, 0), .closed)
    }
    try expectNobodyGotThrough()
  }

  @Test func `with optional authentication any name is a label for the routes (A7)`() throws {
    let sockeye = try Sockeye(
      """
      listen:
        - {address: "127.0.0.1:0", auth: optional}
      routes:
        - {user: mallory, via: reject}
      default: direct

      """)
    try conversation(
      with: sockeye.address,
      .client(5, 1, 2), .server(5, 2), .client(SOCKS.credentials("carol", "")), .server(1, 0),
      .client(connect), .server(5, 0, 0, 1))
    try conversation(
      with: sockeye.address,
      .client(5, 1, 2), .server(5, 2), .client(SOCKS.credentials("mallory", "x")), .server(1, 0),
      .client(connect), .server(SOCKS.failure(2)), .closed)
    try conversation(
      with: sockeye.address,
      .client(5, 1, 0), .server(5, 0), .client(connect), .server(5, 0, 0, 1))
  }

  @Test func `no password reaches a log, right or wrong, at any level (B9, T7)`() throws {
    let hop = try Microsocks(user: "hopuser", password: "hop-pass-77")
    let sockeye = try Sockeye(
      """
      listen:
        - {address: "127.0.0.1:0", users: {alice: right-pass-11}}
      upstreams:
        good: socks5://hopuser:hop-pass-77@\(hop.address)
        bad: socks5://hopuser:hop-pass-88@\(hop.address)
      routes:
        - {ip: 127.0.0.1, via: good}
      default: bad
      log: {level: debug}

      """)
    for (password, host) in [
      ("right-pass-11", "127.0.0.1"), ("right-pass-11", "127.0.0.2"), ("wrong-pass-22", ""),
    ] {
      let client = try Socket(to: sockeye.address)
      try client.send(5, 1, 2)
      _ = try client.receive(exactly: 2)
      try client.send(SOCKS.credentials("alice", password))
      guard try client.receive(exactly: 2) == [1, 0] else { continue }
      #expect(
        try client.request(SOCKS.connect(to: "\(host):\(echo.port)")).code == (host == "127.0.0.1" ? 0 : 1))
    }
    _ = try sockeye.session(to: "127.0.0.1:\(echo.port)")
    _ = try sockeye.session(to: "127.0.0.2:\(echo.port)")
    sockeye.signal(SIGTERM)
    let exit = try sockeye.process.wait()
    #expect(!exit.description.contains(/-pass-(11|22|77|88)/), "\(exit)")
    #expect(!exit.description.contains("cmlnaHQtcGFzcy0xM"), "nor in base 64")
  }
}
