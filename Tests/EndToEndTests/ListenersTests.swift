import Testing

/// Where it listens, to whom, and what that decides.
@Suite(.blocking)
struct ListenersTests {
  @Test func `a Unix-domain socket`() throws {
    let target = try Server.echo()
    let directory = try TemporaryDirectory()
    let path = "unix:\(directory.path)/socks"
    let sockeye = try Sockeye("listen: \"\(path)\"\ndefault: direct\n")
    #expect(sockeye.addresses == [path])
    let client = try Socket(to: path)
    #expect(try client.requestConnect(to: target.address).code == 0)
    try client.send(1)
    #expect(try client.receive(exactly: 1) == [1])
    client.finish()
    _ = try client.receiveToEnd()
    _ = try sockeye.session(to: target.address)
  }

  @Test func `a Unix-domain socket left by one that died does not keep the next from starting`() throws {
    let directory = try TemporaryDirectory()
    let path = "unix:\(directory.path)/socks"
    do {
      let first = try Sockeye("listen: \"\(path)\"\ndefault: direct\n")
      first.signal(9)
      _ = try first.process.wait()
    }
    let second = try Sockeye("listen: \"\(path)\"\ndefault: direct\n")
    #expect(second.addresses == [path])
  }

  @Test func `IPv6`() throws {
    let target = try Server.silent()
    let sockeye = try Sockeye("listen: \"[::1]:0\"\ndefault: direct\n")
    #expect(sockeye.address.hasPrefix("[::1]:"))
    #expect(try Socket(to: sockeye.address).requestConnect(to: target.address).code == 0)
  }

  @Test func `several listeners, with routes, users and clients of their own`() throws {
    let target = try Server.silent()
    let sockeye = try Sockeye(
      """
      listen:
        - 127.0.0.1:0
        - {address: "127.0.0.1:0", name: guests}
        - {address: "127.0.0.1:0", name: locked, users: {alice: secret}}
        - {address: "127.0.0.1:0", name: narrow, clients: 127.0.0.2}
      routes:
        - {listener: guests, via: reject}
      default: direct

      """)
    #expect(sockeye.addresses.count == 4 && Set(sockeye.addresses).count == 4)
    func code(_ number: Int, from source: String? = nil) throws -> UInt8 {
      try Socket(to: sockeye.addresses[number], from: source).requestConnect(to: target.address).code
    }
    #expect(try code(0) == 0)
    #expect(try code(1) == 2)
    try conversation(with: sockeye.addresses[2], .client(5, 1, 0), .server(5, 0xFF), .closed)
    #expect(try code(3, from: "127.0.0.2") == 0)
    let stranger = try Socket(to: sockeye.addresses[3], from: "127.0.0.3")
    try? stranger.send(SOCKS.noAuthentication)
    #expect(try stranger.receiveToEnd().bytes == [])
  }

  @Test func `a Unix-domain socket before it does not lend its openness to a locked listener`() throws {
    let directory = try TemporaryDirectory()
    let sockeye = try Sockeye(
      """
      listen:
        - unix:\(directory.path)/socks
        - {address: "127.0.0.1:0", users: {alice: secret}}
      default: direct

      """, arguments: ["--workers", "4"])
    // The kernel spreads the connections over the workers.
    for _ in 0..<64 {
      try conversation(with: sockeye.addresses[1], .client(5, 1, 0), .server(5, 0xFF), .closed)
    }
  }

  @Test(arguments: [["0.0.0.0", "127.0.0.1"], ["127.0.0.1", "0.0.0.0"], ["[::]", "0.0.0.0", "127.0.0.1"]])
  func `beside a listener on all addresses, one on the same port of one address has settings of its own`(
    hosts: [String]
  ) throws {
    let target = try Server.silent()
    let port = FreePort.take()
    let entries = hosts.map {
      "{address: \"\($0):\(port)\", open: true\($0 == "127.0.0.1" ? ", name: one" : "")}"
    }
    let sockeye = try Sockeye(
      "listen: [\(entries.joined(separator: ", "))]\nroutes: [{listener: one, via: reject}]\ndefault: direct\n",
      arguments: ["--workers", "2"])
    try sockeye.process.waitForListeners(2 * hosts.count)
    for _ in 0..<16 {
      #expect(try Socket(to: "127.0.0.1:\(port)").requestConnect(to: target.address).code == 2)
      #expect(try Socket(to: "127.0.0.2:\(port)").requestConnect(to: target.address).code == 0)
    }
  }

  @Test func `routes see the client's address`() throws {
    let target = try Server.silent()
    let sockeye = try Sockeye("routes:\n  - {client: 127.0.0.8/29, via: reject}\ndefault: direct\n")
    func code(from source: String) throws -> UInt8 {
      try Socket(to: sockeye.address, from: source).requestConnect(to: target.address).code
    }
    #expect(try code(from: "127.0.0.9") == 2)
    #expect(try code(from: "127.0.0.7") == 0)
  }

  @Test(arguments: [
    "0.0.0.0:0", "\"[::]:0\"", "{address: \"0.0.0.0:0\"}", "{address: \"192.0.2.1:0\", auth: optional}",
  ])
  func `an open proxy must be meant (T39)`(listener: String) throws {
    let directory = try TemporaryDirectory()
    let file = try directory.write("listen:\n  - \(listener)\ndefault: direct\n", to: "table.yaml")
    for command in ["check", "serve"] {
      let exit = try Sockeye.run(command, file)
      #expect(exit.status == 1)
      #expect(
        (exit.output + exit.errors).contains { $0.hasPrefix("\(file):2:") && $0.contains("open") }, "\(exit)")
    }
  }

  @Test(arguments: ["open: true", "clients: 127.0.0.0/8", "users: {a: b}"])
  func `a listener others can reach is fine with a lock, or when it is meant`(lock: String) throws {
    let sockeye = try Sockeye("listen:\n  - {address: \"0.0.0.0:0\", \(lock)}\ndefault: direct\n")
    #expect(sockeye.port > 0)
  }

  @Test func `the command line replaces the table's listeners`() throws {
    let target = try Server.silent()
    let sockeye = try Sockeye(
      "listen: 127.0.0.1:1\ndefault: direct\n", arguments: ["--listen", "127.0.0.1:0"])
    #expect(try Socket(to: sockeye.address).requestConnect(to: target.address).code == 0)
  }

  @Test func `a port that is taken is an error`() throws {
    let taken = try Server.silent()
    let directory = try TemporaryDirectory()
    let file = try directory.write("listen: \(taken.address)\ndefault: direct\n", to: "table.yaml")
    let exit = try Sockeye.run("serve", file)
    #expect(exit.status == 1)
    #expect(exit.errors.contains { $0.contains(taken.address) }, "\(exit)")
  }

  @Test func `a port that another Sockeye serves is an error, not half of its clients`() throws {
    let first = try Sockeye("default: direct\n", arguments: ["--workers", "2"])
    let directory = try TemporaryDirectory()
    let file = try directory.write("listen: \(first.address)\ndefault: direct\n", to: "table.yaml")
    let exit = try Sockeye.run("serve", file)
    #expect(exit.status == 1)
    #expect(exit.errors.contains { $0.contains("address already in use") }, "\(exit)")
  }
}
