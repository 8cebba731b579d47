import Testing

/// The tests' own servers and the real peers, without Sockeye: when one of these fails, look here first.
@Suite(.blocking)
struct PeersTests {
  @Test func `curl reaches the target through microsocks`() throws {
    let target = try HTTPTarget()
    let hop = try Microsocks()
    let exit = try Client.curl("--socks5", hop.address, target.url)
    #expect(exit.output == [HTTPTarget.greeting], "\(exit)")
    try hop.waitForConnection(to: target.address)
  }

  @Test func `microsocks asks for its password`() throws {
    let target = try HTTPTarget()
    let hop = try Microsocks(user: "alice", password: "secret")
    let url = target.url
    #expect(try Client.curl("--socks5", hop.address, url).status != 0)
    #expect(try Client.curl("--socks5", hop.address, "--proxy-user", "alice:secret", url).status == 0)
  }

  @Test func `curl reaches the target through Dante`() throws {
    let target = try HTTPTarget()
    let hop = try Dante()
    let exit = try Client.curl("--socks5", hop.address, target.url)
    #expect(exit.output == [HTTPTarget.greeting], "\(exit)")
    try hop.waitForConnection(to: target.address)
  }

  @Test func `proxychains leads curl through two hops`() throws {
    let target = try HTTPTarget()
    let one = try Microsocks()
    let two = try Dante()
    let exit = try Client.proxychains(
      [one.address, two.address], ["/usr/bin/curl", "-q", "-sS", target.url])
    #expect(exit.output.contains(HTTPTarget.greeting), "\(exit)")
    try two.waitForConnection(to: target.address)
  }

  @Test func `netcat and PySocks reach the target through microsocks`() throws {
    let target = try HTTPTarget()
    let hop = try Microsocks()
    let netcat = try Client.netcat(
      through: hop.address, to: "127.0.0.1", target.port, input: "GET / HTTP/1.0\r\n\r\n")
    #expect(netcat.output.last == HTTPTarget.greeting, "\(netcat)")
    let python = try Client.pySocks(
      "'127.0.0.1', \(portNumber(of: hop.address))", host: "127.0.0.1", port: target.port)
    #expect(python.output.last == HTTPTarget.greeting, "\(python)")
  }

  @Test func `a conversation by bytes goes as written`() throws {
    let target = try Server.echo()
    let hop = try Microsocks()
    try conversation(
      with: hop.address,
      .client(5, 1, 0), .server(5, 0),
      .client(SOCKS.connect(to: target.address)), .server(5, 0, 0, 1, 0, 0, 0, 0, 0, 0),
      .client(1, 2, 3), .server(1, 2, 3))
  }

  @Test func `the name server answers as it was told`() throws {
    let names = try NameServer(["both.test": .addresses(["127.0.0.7", "::7"])])
    let script = """
      import socket, sys
      q = lambda t: b"\\x12\\x34\\x01\\0\\0\\1\\0\\0\\0\\0\\0\\0\\4both\\4test\\0\\0" + bytes([t]) + b"\\0\\1"
      s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
      s.settimeout(30)
      for t in (1, 28):
        s.sendto(q(t), ("127.0.0.1", \(portNumber(of: names.address))))
        print(s.recv(512)[-4:].hex())
      """
    let exit = try ChildProcess.run(try Program("python3", package: "python3"), ["-c", script])
    #expect(exit.output == ["7f000007", "00000007"], "\(exit)")
    #expect(names.questions.all.map(\.description) == ["A both.test", "AAAA both.test"])
  }
}
