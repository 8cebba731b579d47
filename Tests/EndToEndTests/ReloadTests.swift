import Foundation
import Testing

/// SIGHUP: another table for new sessions, the old one for those that run.
@Suite(.blocking)
struct ReloadTests {
  @Test func `new sessions obey the new table, old ones live on`() throws {
    let target = try Server.echo()
    let sockeye = try Sockeye("default: direct\n")
    let old = try Socket(to: sockeye.address)
    #expect(try old.requestConnect(to: target.address).code == 0)

    try sockeye.reload("default: reject\n")
    try eventually("the new table rejects") {
      try Socket(to: sockeye.address).requestConnect(to: target.address).code == 2
    }
    try old.send("old")
    #expect(try old.receive(exactly: 3) == Array("old".utf8))

    try sockeye.reload("default: direct\n")
    try eventually("and the next does not") {
      try Socket(to: sockeye.address).requestConnect(to: target.address).code == 0
    }
  }

  @Test(arguments: [
    "default: nowhere\n", "default: [\n", "",
    "default: direct\ntests:\n  - {to: \"a.test:1\", expect: reject}\n",
  ])
  func `a table that does not check is refused with its errors, and the old one stays`(bad: String) throws {
    let sockeye = try Sockeye("default: reject\n")
    let lines = sockeye.log.count
    try sockeye.reload(bad)
    try sockeye.process.line(matching: #/table\.yaml:\d+:\d+: error: /#, after: lines)
    #expect(try Socket(to: sockeye.address).requestConnect(to: "127.0.0.1:80").code == 2)
    #expect(!sockeye.process.hasExited)
  }

  @Test func `users come and go with the table`() throws {
    let sockeye = try Sockeye(
      "listen:\n  - {address: \"127.0.0.1:0\", users: {alice: one}}\ndefault: reject\n")
    func status(_ password: String) throws -> UInt8? {
      let client = try Socket(to: sockeye.address)
      try client.send(5, 1, 2)
      _ = try client.receive(exactly: 2)
      try client.send(SOCKS.credentials("alice", password))
      return try client.receive(exactly: 2).last
    }
    #expect(try status("one") == 0)
    try sockeye.reload(
      "listen:\n  - {address: \"127.0.0.1:0\", users: {alice: two}}\ndefault: reject\n")
    try eventually("the new password opens") { try status("two") == 0 }
    #expect(try status("one") == 1)
  }

  @Test func `a client that connected before a reload logs in as the new table says`() throws {
    let removed = "127.0.0.1:\(FreePort.take())"
    let controlled = try ControlledSockeye(
      """
      listen:
        - {address: "127.0.0.1:0", users: {alice: one}}
        - {address: "\(removed)", users: {alice: one}}
      default: reject

      """)
    let clients = try [controlled.sockeye.address, controlled.sockeye.address, removed].map { address in
      let client = try Socket(to: address)
      try client.send(5, 1, 2)
      #expect(try client.receive(exactly: 2) == [5, 2])
      return client
    }
    try controlled.write("listen: [{address: \"127.0.0.1:0\", users: {alice: two}}]\ndefault: reject\n")
    #expect(try controlled.ask("reload").status == 0)
    // The log tells of each user once a minute.
    let logins: [(user: String, password: String, status: UInt8)] = [
      ("alice", "one", 1), ("alice", "two", 0), ("bob", "one", 1),
    ]
    for (client, login) in zip(clients, logins) {
      try client.send(SOCKS.credentials(login.user, login.password))
      #expect(try client.receive(exactly: 2) == [1, login.status])
    }
    try controlled.sockeye.process.line(
      containing: "end=\"not authenticated: the listener was removed from the table\"")
  }

  // The connection keeps the routes of the table under which it began.
  @Test func `a connection that began where a login was required needs one after any reload`() throws {
    let target = try Server.echo()
    let address = "127.0.0.1:\(FreePort.take())"
    let controlled = try ControlledSockeye(
      """
      listen: {address: "\(address)", users: {admin: secret}}
      routes: [{user: admin, via: direct}]
      default: reject

      """)
    let (silent, chosen, old) = (try Socket(to: address), try Socket(to: address), try Socket(to: address))
    try chosen.send(5, 1, 2)
    #expect(try chosen.receive(exactly: 2) == [5, 2])
    try controlled.write("listen: \"\(address)\"\ndefault: reject\n")
    #expect(try controlled.ask("reload").status == 0)
    try silent.send(SOCKS.noAuthentication)
    #expect(try silent.receiveToEnd().bytes == [5, 0xFF])
    try chosen.send(SOCKS.credentials("admin", "wrong") + SOCKS.connect(to: target.address))
    #expect(try chosen.receiveToEnd().bytes == [1, 1])
    try old.send([4, 1] + SOCKS.bigEndian(target.port) + [127, 0, 0, 1] + Array("admin".utf8) + [0])
    #expect(try old.receiveToEnd().bytes == [0, 0x5B, 0, 0, 0, 0, 0, 0])
    #expect(target.accepted.all.isEmpty)
  }

  @Test func `without a login no request is served where a reload has added users`()
    throws
  {
    let target = try Server.echo()
    let (open, labelled) = ("127.0.0.1:\(FreePort.take())", "127.0.0.1:\(FreePort.take())")
    let controlled = try ControlledSockeye(
      """
      listen:
        - "\(open)"
        - {address: "\(labelled)", auth: optional}
      default: direct

      """)
    let (nameless, named, old) = (
      try Socket(to: open), try Socket(to: labelled), try Socket(to: open)
    )
    try nameless.send(SOCKS.noAuthentication)
    #expect(try nameless.receive(exactly: 2) == [5, 0])
    try named.send([5, 1, 2] + SOCKS.credentials("alice", "anything"))
    #expect(try named.receive(exactly: 4) == [5, 2, 1, 0])
    try old.send(4)
    let tunnel = try Socket(to: open)
    #expect(try tunnel.requestConnect(to: target.address).code == 0)
    try controlled.write(
      """
      listen:
        - {address: "\(open)", users: {alice: secret}}
        - {address: "\(labelled)", users: {alice: secret}}
      default: direct

      """)
    #expect(try controlled.ask("reload").status == 0)
    for client in [nameless, named] {
      try client.send(SOCKS.connect(to: target.address))
      #expect(try client.receiveReply().code == 2)
      #expect(try client.receiveToEnd() == ([], .end))
    }
    try old.send([1] + SOCKS.bigEndian(target.port) + [127, 0, 0, 1, 0])
    #expect(try old.receiveToEnd().bytes == [0, 0x5B, 0, 0, 0, 0, 0, 0])
    try controlled.sockeye.process.line(
      containing: "end=\"not authenticated: the table requires a login since a reload, and")
    #expect(target.accepted.all.count == 1)
    try tunnel.send("old")
    #expect(try tunnel.receive(exactly: 3) == Array("old".utf8))
  }

  // MARK: Listeners

  private func isRefused(_ address: String) throws -> Bool {
    do {
      _ = try Socket(to: address)
      return false
    } catch let error as SocketError {
      return error.code == ECONNREFUSED || error.code == ENOENT
    }
  }

  @Test func `listeners follow the table: removed ones close, new ones open, changed ones change`() throws {
    let target = try Server.echo()
    let directory = try TemporaryDirectory()
    let (first, second, third) = (FreePort.take(), FreePort.take(), FreePort.take())
    let controlled = try ControlledSockeye(
      """
      listen:
        - {address: "127.0.0.1:\(first)", name: kept}
        - {address: "127.0.0.1:\(second)", name: gone}
        - unix:\(directory.path)/gone
      default: direct

      """)
    func code(_ address: String, from source: String? = nil) throws -> UInt8 {
      try Socket(to: address, from: source).requestConnect(to: target.address).code
    }
    let old = try Socket(to: "127.0.0.1:\(second)")
    #expect(try old.requestConnect(to: target.address).code == 0)
    try controlled.write(
      """
      listen:
        - {address: "127.0.0.1:\(third)", name: new}
        - {address: "127.0.0.1:\(first)", name: changed}
        - unix:\(directory.path)/new
      routes: [{listener: changed, via: reject}]
      default: direct

      """)
    let exit = try controlled.ask("reload")
    #expect(exit.status == 0 && exit.errors == [], "\(exit)")
    #expect(
      exit.output.dropLast() == [
        "no longer listening on 127.0.0.1:\(second)", "no longer listening on unix:\(directory.path)/gone",
        "listening on 127.0.0.1:\(third)", "listening on unix:\(directory.path)/new",
      ])

    for address in ["127.0.0.1:\(second)", "unix:\(directory.path)/gone"] {
      #expect(try isRefused(address), "\(address)")
    }
    for address in ["127.0.0.1:\(third)", "unix:\(directory.path)/new"] {
      #expect(try code(address) == 0, "\(address)")
    }
    // Both loops have changed.
    for _ in 0..<16 { #expect(try code("127.0.0.1:\(first)") == 2) }
    // A tunnel lives on.
    try old.send("old")
    #expect(try old.receive(exactly: 3) == Array("old".utf8))
    #expect(
      try controlled.status().listeners.map(\.address) == [
        "127.0.0.1:\(third)", "127.0.0.1:\(first)", "unix:\(directory.path)/new",
      ])
    #expect(try controlled.status().listeners.map(\.ever) == [1, 16, 1])
    // What was a listener of ours is a destination like any other, and the new one is none.
    let client = try Socket(to: "127.0.0.1:\(third)")
    #expect(try client.requestConnect(to: "127.0.0.1:\(second)").code == 5)
    #expect(try Socket(to: "127.0.0.1:\(third)").requestConnect(to: "127.0.0.1:\(third)").code == 2)
  }

  @Test func `a listener that cannot be opened refuses the reload, and everything is as it was`() throws {
    let target = try Server.echo()
    let (kept, new) = (FreePort.take(), FreePort.take())
    let controlled = try ControlledSockeye("listen: 127.0.0.1:\(kept)\ndefault: direct\n")
    let sockets = try controlled.sockeye.process.listenerCount
    try controlled.write("listen: [\"127.0.0.1:\(new)\", \"\(target.address)\"]\ndefault: reject\n")
    let exit = try controlled.ask("reload")
    #expect(exit.status == 1 && exit.output == [])
    #expect(exit.errors.first == "cannot listen on \(target.address): address already in use", "\(exit)")
    #expect(exit.errors.last?.hasSuffix("was not reloaded: the table that runs stays") == true)
    #expect(try controlled.sockeye.process.listenerCount == sockets)
    #expect(try isRefused("127.0.0.1:\(new)"))
    #expect(try Socket(to: "127.0.0.1:\(kept)").requestConnect(to: target.address).code == 0)
  }

  @Test(arguments: [("0.0.0.0", "127.0.0.1"), ("127.0.0.1", "0.0.0.0"), ("127.0.0.1", "127.0.0.2")])
  func `a listener moves to another address of the same port`(old: String, new: String) throws {
    let target = try Server.echo()
    let port = FreePort.take()
    func table(_ host: String) -> String {
      "listen: {address: \"\(host):\(port)\", clients: 127.0.0.0/8}\ndefault: direct\n"
    }
    let controlled = try ControlledSockeye(table(old))
    try controlled.write(table(new))
    let exit = try controlled.ask("reload")
    #expect(exit.status == 0, "\(exit)")
    let reached = new == "0.0.0.0" ? "127.0.0.1" : new
    #expect(try Socket(to: "\(reached):\(port)").requestConnect(to: target.address).code == 0)
    #expect(try isRefused("127.0.0.3:\(port)") == (new != "0.0.0.0"))
  }

  /// As many as a loop accepts before it looks up, and more.
  @Test(arguments: ["reload", "stop"])
  func `clients that wait at a listener that closes are served`(how: String) throws {
    let target = try Server.echo()
    let directory = try TemporaryDirectory()
    let addresses = ["127.0.0.1:\(FreePort.take())", "unix:\(directory.path)/socks"]
    let sockeye = try Sockeye(
      "listen: [\"\(addresses[0])\", \"\(addresses[1])\"]\nlimits: {handshakes: 4000}\n"
        + "timeouts: {drain: 600s}\ndefault: direct\n", arguments: ["--workers", "1"])
    sockeye.signal(SIGSTOP)
    let clients = try addresses.flatMap { address in
      try (0..<300).map { _ in
        let client = try Socket(to: address)
        try client.send(SOCKS.noAuthentication + SOCKS.connect(to: target.address) + [7])
        return client
      }
    }
    if how == "reload" {
      try sockeye.reload("listen: 127.0.0.1:0\ndefault: direct\n")
    } else {
      sockeye.signal(SIGTERM)
    }
    sockeye.signal(SIGCONT)
    for client in clients {
      #expect(try client.receive(exactly: 2) == [5, 0])
      #expect(try client.receiveReply().code == 0)
      #expect(try client.receive(exactly: 1) == [7])
    }
    for address in addresses { #expect(try isRefused(address)) }
  }

  /// In each table two sections depend on each other: a listener's name and the routes, the routes and `hosts`. With parts
  /// of two tables, the request is refused.
  @Test func `two hundred reloads under load let nobody in and nobody out wrongly (T40)`() throws {
    let target = try HTTPTarget(on: "0.0.0.0:0")
    func table(_ number: Int) -> String {
      let (here, there) = number.isMultiple(of: 2) ? ("127.0.0.2", "127.0.0.3") : ("127.0.0.3", "127.0.0.2")
      return """
        listen:
          - {address: "127.0.0.1:0", name: n\(number), users: {alice: right, "user\(number)": other}}
        hosts: {site.test: \(here)}
        routes:
          - {ip: \(there), via: reject}
          - {listener: n\(number), host: site.test, via: direct}
        default: reject

        """
    }
    let sockeye = try Sockeye(table(0))
    let stop = Recorder<Void>()
    let wrong = Recorder<String>()
    let tries = Recorder<Void>()
    let finished = Recorder<Void>()
    for (password, expected) in [("right", 0), ("wrong", 1), ("right", 0), ("", 1)] as [(String, UInt8)] {
      Thread.detachNewThread {
        while stop.all.isEmpty {
          do {
            let client = try Socket(to: sockeye.address)
            try client.send(5, 1, 2)
            guard try client.receive(exactly: 2) == [5, 2] else {
              throw NeverHappened(description: "method 02")
            }
            try client.send(SOCKS.credentials("alice", password))
            let answer = try client.receive(exactly: 2)
            if answer != [1, expected] { wrong.record("\(password): \(answer)") }
            if expected == 0 {
              let code = try client.request(SOCKS.connect(to: "site.test:\(target.port)")).code
              if code != 0 { wrong.record("reply \(code)") }
            }
          } catch {
            wrong.record("\(error)")
          }
          tries.record(())
        }
        finished.record(())
      }
    }
    for number in 1...200 {
      try sockeye.reload(table(number))
      try tries.wait(forCount: tries.all.count + 4)
    }
    stop.record(())
    try finished.wait(forCount: 4)
    #expect(wrong.all == [])
    try eventually("the last table is the one that holds") {
      let client = try Socket(to: sockeye.address)
      try client.send(5, 1, 2)
      _ = try client.receive(exactly: 2)
      try client.send(SOCKS.credentials("user200", "other"))
      return try client.receive(exactly: 2) == [1, 0]
    }
    // Tables of both kinds have held.
    #expect(Set(target.localAddresses) == ["127.0.0.2", "127.0.0.3"])
  }

  @Test func `what was admitted under the old table goes on under it, and what comes later is refused`()
    throws
  {
    let (target, other) = (try Server.echo(), try Server.echo())
    let (echo, late) = (try DatagramServer.echo(), try DatagramServer.echo())
    let controlled = try ControlledSockeye("listen: 127.0.0.1:0\ndefault: direct\n")
    let address = controlled.sockeye.address
    let tunnel = try Socket(to: address)
    #expect(try tunnel.requestConnect(to: target.address).code == 0)
    let association = try Association(through: address)
    try association.expectEcho("before", from: echo.address)
    // It is a session, and has asked for nothing yet.
    let admitted = try Socket(to: address)
    try admitted.send(SOCKS.noAuthentication)
    #expect(try admitted.receive(exactly: 2) == [5, 0])

    try controlled.write("listen: 127.0.0.1:0\ndefault: reject\n")
    #expect(try controlled.ask("reload").status == 0)
    // Both loops have changed.
    for _ in 0..<16 { #expect(try Socket(to: address).requestConnect(to: target.address).code == 2) }
    #expect(try Socket(to: address).requestAssociation().code == 2)

    try tunnel.send("after")
    #expect(try tunnel.receive(exactly: 5) == Array("after".utf8))
    try association.expectEcho("after", from: echo.address)
    try association.expectEcho("elsewhere", from: late.address)
    #expect(try admitted.request(SOCKS.connect(to: other.address)).code == 0)
    try admitted.send("late")
    #expect(try admitted.receive(exactly: 4) == Array("late".utf8))
  }
}
