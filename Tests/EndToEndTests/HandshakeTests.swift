import Testing

/// RFC 1928 §3, octet by octet; the rows A of the protocol's list.
@Suite(.blocking)
struct HandshakeTests {
  private let sockeye: Sockeye
  private let echo: Server

  init() throws {
    echo = try Server.echo()
    sockeye = try Sockeye("default: direct\n")
  }

  private var connect: [UInt8] { SOCKS.connect(to: echo.address) }

  @Test(arguments: [
    "GET / HTTP/1.1\r\n\r\n", "CONNECT a:1 HTTP/1.1\r\n\r\n", "POST", "HEAD", "OPTIONS", "DELETE",
  ])
  func `a web browser is told where it is (A1)`(request: String) throws {
    let sockeye = try Sockeye(
      "listen: {address: \"127.0.0.1:0\", protocols: [socks5, socks4]}\ndefault: direct\n")
    let client = try Socket(to: sockeye.address)
    try client.send(request)
    let (answer, closing) = try client.receiveToEnd()
    #expect(String(decoding: answer, as: UTF8.self).hasPrefix("HTTP/1.0 501 "))
    #expect(answer.count <= 200 && closing == .end)
  }

  @Test(arguments: [[0x16, 3, 1, 2, 0] as [UInt8], [0], [6, 1, 0], [0xFF], Array("SSH-2.0".utf8)])
  func `what is not SOCKS gets no byte of SOCKS (A1)`(bytes: [UInt8]) throws {
    try conversation(with: sockeye.address, .client(bytes), .closed)
  }

  @Test func `no method at all is none acceptable (A3)`() throws {
    try conversation(with: sockeye.address, .client(5, 0), .server(5, 0xFF), .closed)
  }

  @Test(arguments: [[1] as [UInt8], [2], [0x80], [1, 2, 3], [0xFF]])
  func `a method that was not offered is never chosen (A4, A7, A11)`(methods: [UInt8]) throws {
    try conversation(
      with: sockeye.address,
      .client([5, UInt8(methods.count)] + methods), .server(5, 0xFF),
      .client(connect), .closed)
    try expectOnlyConnection()
  }

  @Test(arguments: [[0, 0, 0] as [UInt8], [2, 0], Array(0...254), [0xFF, 0]])
  func `among many methods the known one is found (A8)`(methods: [UInt8]) throws {
    try conversation(
      with: sockeye.address, .client([5, UInt8(methods.count)] + methods), .server(5, 0), .client(connect),
      .server(5, 0, 0, 1))
  }

  @Test func `octets may come one at a time (A9)`() throws {
    let client = try Socket(to: sockeye.address)
    client.sendWithoutDelay()
    for byte in SOCKS.noAuthentication { try client.send(byte) }
    #expect(try client.receive(exactly: 2) == [5, 0])
    for byte in connect { try client.send(byte) }
    #expect(try client.receiveReply().code == 0)
    try client.send(1, 2, 3)
    #expect(try client.receive(exactly: 3) == [1, 2, 3])
  }

  @Test func `data in one segment with greeting and request is delivered once, after success (A10)`() throws {
    let client = try Socket(to: sockeye.address)
    try client.send(SOCKS.noAuthentication + connect + Array("early".utf8))
    #expect(try client.receive(exactly: 2) == [5, 0])
    #expect(try client.receiveReply().code == 0)
    try client.send(" and late")
    client.finish()
    #expect(try client.receiveToEnd().bytes == Array("early and late".utf8))
  }

  @Test func `data sent early is dropped after a failure (A10)`() throws {
    let dead = try DeadPort()
    try conversation(
      with: sockeye.address, .client(SOCKS.noAuthentication + SOCKS.connect(to: dead.address) + [1, 2, 3]),
      .server(5, 0), .server(SOCKS.failure(5)), .closed)
  }

  @Test func `more than a buffer sent early arrives whole (A10)`() throws {
    let client = try Socket(to: sockeye.address)
    let data = [UInt8](repeating: 7, count: 100_000)
    try client.send(SOCKS.noAuthentication + connect + data)
    #expect(try client.receive(exactly: 2) == [5, 0])
    #expect(try client.receiveReply().code == 0)
    #expect(try client.receive(exactly: 100_000) == data)
  }

  @Test(arguments: ["", "hello", "auth", "request"])
  func `one deadline covers the whole handshake, however busy the client (A12)`(phase: String) throws {
    let sockeye = try Sockeye("timeouts: {handshake: 1s}\ndefault: direct\n")
    let client = try Socket(to: sockeye.address)
    client.sendWithoutDelay()
    // An octet now and then, so that no single silence is long: 256 of them would take far longer than a second.
    var octets: [UInt8] = []
    switch phase {
    case "hello": octets = [5, 255] + [UInt8](repeating: 0, count: 255)
    case "auth": octets = [5]
    case "request":
      try client.send(SOCKS.noAuthentication)
      #expect(try client.receive(exactly: 2) == [5, 0])
      octets = SOCKS.connect(toName: [UInt8](repeating: 0x61, count: 255), port: 80)
    default: break
    }
    for octet in octets where !client.hasSomethingToRead(within: 100) { try? client.send(octet) }
    let (answer, closing) = try client.receiveToEnd()
    #expect(answer == [] && closing != .bytes([]), "\(answer)")
  }

  /// Nothing reached the target before this one.
  private func expectOnlyConnection() throws {
    let client = try Socket(to: sockeye.address)
    #expect(try client.requestConnect(to: echo.address).code == 0)
    try client.send(1)
    _ = try client.receive(exactly: 1)
    #expect(echo.accepted.all.count == 1)
  }
}
