import Foundation
import Testing

/// What upstreams with `isolate` are told of whom they serve.
@Suite(.blocking)
struct IsolationTests: IsolatedHops {
  let target: Server

  init() throws {
    target = try Server.echo(on: "0.0.0.0:0")
  }

  @Test(arguments: ["socks5", "socks4a", "http"])
  func `each client has an identity of its own at a hop, and keeps it`(scheme: String) throws {
    let hop = try Self.hop()
    let sockeye = try Sockeye(
      """
      upstreams: {a: {url: "\(scheme)://\(hop.address)", isolate: client}}
      log: {level: debug}
      default: a

      """)
    let one = try identity(at: hop, sockeye, 1, from: "127.0.0.2")
    let other = try identity(at: hop, sockeye, 2, from: "127.0.0.3")
    #expect(one.wholeMatch(of: /[0-9a-f]{16}/) != nil && other.wholeMatch(of: /[0-9a-f]{16}/) != nil)
    #expect(one != other)
    #expect(try identity(at: hop, sockeye, 3, from: "127.0.0.2") == one)
    #expect(try identity(at: hop, sockeye, 4, from: "127.0.0.3") == other)
    // A client that speaks something else is the same client.
    let client = try Socket(to: sockeye.address, from: "127.0.0.2")
    #expect(try client.requestTunnel(HTTP.connect(to: address(5))) == 200)
    client.hangUp()
    #expect(try user(hop.session(to: address(5))) == one)
    _ = try sockeye.session(to: address(5))
    // Who knew it could join in.
    #expect(!sockeye.log.contains { $0.contains(one) || $0.contains(other) })
  }

  @Test func `the hop gets the name as user name and password, or where the user name has a place for it`()
    throws
  {
    let claims = Recorder<(user: String, password: String)>()
    let methods = Recorder<[UInt8]>()
    let hop = try Server { client in
      methods.record(try client.receiveGreeting())
      try client.send(5, 2)
      let (user, password) = try client.receiveCredentials()
      claims.record((String(decoding: user, as: UTF8.self), String(decoding: password, as: UTF8.self)))
      try client.send(1, 0)
      try client.receiveRequest()
      try client.send(SOCKS.failure(5))
    }
    let sockeye = try Sockeye(
      """
      upstreams:
        plain: {url: "socks5://\(hop.address)", isolate: destination}
        zone: {url: "socks5://customer-{session}-de:secret@\(hop.address)", isolate: destination}
      routes: [{port: 1, via: plain}]
      default: zone

      """)
    for port in [1, 2] {
      #expect(try Socket(to: sockeye.address).requestConnect(to: "127.0.0.1:\(port)").code == 5)
    }
    let plain = claims.all[0]
    #expect(plain.user.wholeMatch(of: /[0-9a-f]{16}/) != nil && plain.password == plain.user)
    let zone = claims.all[1]
    #expect(zone.user.wholeMatch(of: /customer-[0-9a-f]{16}-de/) != nil && zone.password == "secret")
    // A hop that may choose to ask nobody would put all into one.
    #expect(methods.all == [[2], [2]])
  }

  @Test func `a hop that asks nobody for a name cannot keep anybody apart, and is not passed`() throws {
    let hop = try Sockeye("default: direct\n")
    let sockeye = try Sockeye(
      """
      upstreams: {a: {url: "socks5://\(hop.address)", isolate: client}}
      default: a

      """)
    #expect(try Socket(to: sockeye.address).requestConnect(to: address(1)).code == 1)
    let line = try sockeye.session(to: address(1))
    #expect(
      line.contains(" failed hop=1/1 a phase=greet error=(no acceptable authentication method)"), "\(line)")
    #expect(target.accepted.all == [])
  }

  @Test func `a user is the same for every command`() throws {
    let hop = try Self.hop("hosts: {site.test: 192.0.2.7}\ndefault: direct")
    let sockeye = try Sockeye(
      """
      listen: {address: "127.0.0.1:0", auth: optional}
      upstreams: {a: {url: "socks5://\(hop.address)", isolate: user}}
      default: a

      """)
    func client(_ name: String) throws -> Socket {
      let client = try Socket(to: sockeye.address)
      try client.send(5, 1, 2)
      _ = try client.receive(exactly: 2)
      try client.send(SOCKS.credentials(name, ""))
      _ = try client.receive(exactly: 2)
      return client
    }
    for name in ["alice", "bob"] {
      let connecting = try client(name)
      #expect(try connecting.request(SOCKS.connect(to: address(name.utf8.count))).code == 0)
      connecting.hangUp()
      let asking = try client(name)
      #expect(try asking.request(SOCKS.request(command: 0xf0, to: "site.test:0")).bound == "192.0.2.7:0")
      let binding = try client(name)
      #expect(try binding.request(SOCKS.request(command: 2, to: "127.0.0.1:1")).code == 0)
      binding.hangUp()
      let echo = try DatagramServer.echo()
      let association = try Association(through: sockeye.address, as: (name, ""))
      try association.expectEcho("hello", from: echo.address)
      _ = try sockeye.closing(association)
    }
    try hop.process.lines.wait(for: "two lines of each command") { lines in
      ["connect", "resolve", "bind", "udp"].allSatisfy { command in
        lines.count { $0.contains(" \(command) client=") } == 2
      } ? () : nil
    }
    var users: [String: [String]] = [:]
    for line in hop.log {
      guard let match = line.firstMatch(of: #/ (\w+) client=\S+ user=(\S+) /#) else { continue }
      users[String(match.1), default: []].append(String(match.2))
    }
    let expected = try #require(users["connect"])
    #expect(Set(expected).count == 2)
    for command in ["resolve", "bind", "udp"] { #expect(users[command] == expected, "\(users)") }
  }

  @Test func `each hop of a chain has identities of its own, and so has whoever takes a hop's place`() throws
  {
    let dead = try DeadPort()
    let entry = try Self.hop()
    let exit = try Self.hop()
    let sockeye = try Sockeye(
      """
      upstreams:
        dead: {url: "socks5://\(dead.address)", isolate: client}
        entry: {url: "socks5://\(entry.address)", isolate: client}
        exit: {url: "http://\(exit.address)", isolate: [client, destination]}
      groups: {entries: {members: [dead, entry]}}
      default: [entries, exit]

      """)
    let identities = try (1...3).map { try identity(at: exit, sockeye, $0) }
    #expect(Set(identities).count == 3)
    try entry.process.lines.wait(for: "three sessions") { lines in
      lines.count { $0.contains(" to=\(exit.address) ") } == 3 ? () : nil
    }
    let users = try entry.log.filter { $0.contains(" to=\(exit.address) ") }.map(user)
    #expect(Set(users).count == 1 && !identities.contains(users[0]))
    // What is known of an upstream is known of all identities.
    #expect(try sockeye.session(to: address(1)).contains(" via=entry,exit tried="))
    #expect(!(try sockeye.session(to: address(2)).contains(" tried=")))
  }

  // MARK: Telling

  @Test func `explain and trace say what is isolated, and by what`() throws {
    let hop = try Self.hop()
    let directory = try TemporaryDirectory()
    try directory.write(
      """
      upstreams: {a: {url: "socks5://zone-{session}:secret@\(hop.address)", isolate: [destination, user]}}
      listen: {address: "127.0.0.1:1080", auth: optional}
      groups: {exits: {members: [a]}}
      routes: [{ip: 127.0.0.2, via: exits}]
      default: a

      """, to: "table.yaml")
    let explained = try Sockeye.run("explain", "table.yaml", address(0), directory: directory.path)
    #expect(
      explained.output.contains(
        "  hop 1  a  socks5://\(hop.address)  (user zone-{session}; isolated by user, destination)"),
      "\(explained)")
    for number in 0...1 {
      let traced = try Sockeye.run("trace", "table.yaml", address(number), directory: directory.path)
      let line =
        #/^  hop 1  a  connect \S+  authenticate \S+  request \S+  \(isolated by user, destination\)$/#
      #expect(traced.output.contains { $0.contains(line) }, "\(traced)")
    }
    let users = try (0...1).map { try user(hop.session(to: address($0))) }
    #expect(Set(users).count == 2 && users.allSatisfy { $0.wholeMatch(of: /zone-[0-9a-f]{16}/) != nil })
  }

  // MARK: Rotating

  @Test func `after a rotation everybody is somebody else, and what is connected stays`() throws {
    let hops = try (0..<2).map { _ in try Self.hop() }
    let echo = try DatagramServer.echo()
    let controlled = try ControlledSockeye(
      """
      upstreams:
        a: {url: "socks5://\(hops[0].address)", isolate: client}
        b: {url: "socks5://\(hops[1].address)", isolate: client}
        plain: socks5://\(hops[1].address)
      routes: [{ip: 127.0.0.128/25, network: tcp, via: b}]
      default: a

      """)
    let sockeye = controlled.sockeye
    let first = try (identity(at: hops[0], sockeye, 1), identity(at: hops[1], sockeye, 201))
    let open = try Socket(to: sockeye.address)
    #expect(try open.requestConnect(to: address(2)).code == 0)
    let association = try Association(through: sockeye.address)
    try association.expectEcho("before", from: echo.address)

    let one = try controlled.ask("rotate", "a")
    #expect(one == ChildProcess.Exit(status: 0, output: ["rotated a"], errors: []))
    let second = try (identity(at: hops[0], sockeye, 3), identity(at: hops[1], sockeye, 203))
    #expect(second.0 != first.0 && second.1 == first.1)
    #expect(try identity(at: hops[0], sockeye, 4) == second.0)

    #expect(try controlled.ask("rotate").output == ["rotated a, b"])
    let third = try (identity(at: hops[0], sockeye, 5), identity(at: hops[1], sockeye, 205))
    #expect(third.0 != second.0 && third.0 != first.0 && third.1 != second.1)

    try open.send("hello")
    #expect(try open.receive(exactly: 5) == Array("hello".utf8))
    open.hangUp()
    #expect(try user(hops[0].session(to: address(2))) == first.0)
    try association.expectEcho("after", from: echo.address)
    _ = try sockeye.closing(association)
    #expect(try user(hops[0].process.line(containing: " datagrams_up=2 ")) == first.0)
  }

  @Test func `what is not isolated is not rotated`() throws {
    let dead = try DeadPort()
    let controlled = try ControlledSockeye(
      """
      upstreams: {a: {url: "socks5://\(dead.address)", isolate: destination}, plain: "socks5://\(dead.address)"}
      default: a

      """)
    for name in ["plain", "nobody"] {
      let exit = try controlled.ask("rotate", "a", name)
      #expect(exit.status == 1 && exit.output == [])
      #expect(
        exit.errors == [
          "sockeye: no upstream '\(name)' of the table that runs has an 'isolate' (these have: a): nothing was rotated"
        ])
    }
    #expect(!controlled.sockeye.log.contains { $0.contains("rotated a") })
    try controlled.write("default: direct\n")
    #expect(try controlled.ask("reload").status == 0)
    let exit = try controlled.ask("rotate")
    #expect(exit.status == 1 && exit.errors.first?.contains("nothing was rotated") == true, "\(exit)")
  }
}
