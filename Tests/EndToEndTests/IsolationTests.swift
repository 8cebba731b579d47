import Foundation
import Testing

/// What upstreams with `isolate` are told of whom they serve.
@Suite(.blocking)
struct IsolationTests {
  private let target: Server

  init() throws {
    target = try Server.echo(on: "0.0.0.0:0")
  }

  /// A name of the target that tells one session from others.
  private func address(_ number: Int) -> String { "127.0.0.\(number + 1):\(target.port)" }

  /// A hop that takes any user name, and says in its log which.
  private static func hop(_ rest: String = "default: direct") throws -> Sockeye {
    try Sockeye("listen: {address: \"127.0.0.1:0\", auth: optional}\n\(rest)\n")
  }

  private func user(_ line: String) throws -> String {
    String(try #require(line.firstMatch(of: #/ user=(\S+) /#), "\(line)").1)
  }

  /// Opens a tunnel; which identity the hop saw.
  private func identity(
    at hop: Sockeye, _ sockeye: Sockeye, _ number: Int, from source: String? = nil
  ) throws -> String {
    do {
      let client = try Socket(to: sockeye.address, from: source)
      #expect(try client.requestConnect(to: address(number)).code == 0)
    }
    return try user(hop.session(to: address(number)))
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

  // MARK: Datagrams

  private func datagramUsers(_ hop: Sockeye) throws -> [String] {
    try hop.log.filter { $0.contains(" udp client=") }.map(user)
  }

  @Test func `datagrams to each destination leave as somebody else`() throws {
    let hop = try Self.hop()
    let echoes = try (0..<3).map { _ in try DatagramServer.echo() }
    let sockeye = try Sockeye(
      """
      upstreams: {a: {url: "socks5://\(hop.address)", isolate: [client, port]}}
      default: a

      """)
    let association = try Association(through: sockeye.address)
    // It has shown that the hop carries datagrams, and is nobody's.
    _ = try hop.process.line(containing: " udp client=")
    for _ in 0..<2 {
      for echo in echoes { try association.expectEcho("hello", from: echo.address) }
    }
    _ = try sockeye.closing(association)
    try hop.process.lines.wait(for: "four associations") { lines in
      lines.count { $0.contains(" udp client=") } == 4 ? () : nil
    }
    let users = try datagramUsers(hop)
    #expect(Set(users).count == 4)
    #expect(hop.log.count { $0.contains(" datagrams_up=2 datagrams_down=2 ") } == 3, "\(hop.log)")
  }

  @Test func `datagrams of one client leave as one`() throws {
    let hop = try Self.hop()
    let echoes = try (0..<3).map { _ in try DatagramServer.echo() }
    let sockeye = try Sockeye(
      """
      upstreams: {a: {url: "socks5://\(hop.address)", isolate: client}}
      groups: {exits: {members: [a]}}
      routes: [{port: \(echoes[0].port), via: a}]
      default: exits

      """)
    let first = try Association(through: sockeye.address, from: "127.0.0.2")
    let second = try Association(through: sockeye.address, from: "127.0.0.3")
    for association in [first, second] {
      for echo in echoes { try association.expectEcho("hello", from: echo.address) }
      _ = try sockeye.closing(association)
    }
    try hop.process.lines.wait(for: "two associations") { lines in
      lines.count { $0.contains(" datagrams_up=3 datagrams_down=3 ") } == 2 ? () : nil
    }
    #expect(try Set(datagramUsers(hop)).count == 2)
  }

  @Test(arguments: [false, true])
  func `an association has no more identities at a time than destinations`(isPlan: Bool) throws {
    let hop = try Self.hop()
    let echoes = try (0..<6).map { _ in try DatagramServer.echo() }
    let controlled = try ControlledSockeye(
      """
      upstreams: {a: {url: "socks5://\(hop.address)", isolate: port}}
      groups: {exits: {members: [a]}}
      limits: {paths_per_association: 2}
      routes: [{port: 9, via: direct}]
      default: \(isPlan ? "exits" : "a")

      """)
    let sockeye = controlled.sockeye
    let association = try Association(through: sockeye.address)
    for (number, echo) in echoes.enumerated() {
      try association.expectEcho("hello", from: echo.address)
      let ended = max(0, number - 1)
      try hop.process.lines.wait(for: "the end of \(ended)") { lines in
        lines.count { $0.contains(" udp client=") } >= ended ? () : nil
      }
      #expect(hop.log.count { $0.contains(" udp client=") } == ended)
    }
    // Whoever made room comes back as who he was.
    try association.expectEcho("again", from: echoes[0].address)
    try sockeye.process.line(
      containing: "limit reached: paths_per_association 2: a UDP path was closed or not opened, "
        + "the last of 127.0.0.1 at \(sockeye.address) (raise limits.paths_per_association; ")
    #expect(try controlled.refusals("paths_per_association") == echoes.count - 1)
    _ = try sockeye.closing(association)
    try hop.process.lines.wait(for: "all ends") { lines in
      lines.count { $0.contains(" udp client=") } == echoes.count + 1 ? () : nil
    }
    #expect(try Set(datagramUsers(hop)).count == echoes.count)
  }

  @Test func `a hop that fails is left alone by all identities, and the log says so once`() throws {
    let mute = try Server { _ in }
    let echo = try DatagramServer.echo()
    let others = try (0..<3).map { _ in try DatagramServer.echo() }
    let sockeye = try Sockeye(
      """
      upstreams: {a: {url: "socks5://\(mute.address)", isolate: port}}
      routes: [{port: \(echo.port), via: direct}]
      default: a

      """)
    let association = try Association(through: sockeye.address)
    for (number, other) in others.enumerated() {
      try association.send("lost", to: other.address)
      if number == 0 { _ = try sockeye.process.line(containing: " udp via=a failed hop=1/1 a ") }
    }
    try association.expectEcho("hello", from: echo.address)
    #expect(try sockeye.closing(association).contains(" dropped=no-path:3 "))
    #expect(mute.accepted.all.count == 1)
    #expect(sockeye.log.count { $0.contains(" udp via=a failed ") } == 1)
  }

  @Test func `that no identity could send datagrams is told at once`() throws {
    let hop = try Self.hop()
    try hop.reload("listen: {address: \"127.0.0.1:0\", auth: optional, udp: false}\ndefault: direct\n")
    try hop.process.line(containing: "reloaded")
    let sockeye = try Sockeye(
      """
      upstreams: {a: {url: "socks5://\(hop.address)", isolate: destination}}
      default: a

      """)
    #expect(try Socket(to: sockeye.address).requestAssociation().code == 7)
    _ = try hop.process.line(containing: "udp associate not supported")
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
