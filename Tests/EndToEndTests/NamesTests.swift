import Foundation
import Testing

/// Names that are resolved here, because their destination is dialled directly.
@Suite(.blocking)
struct NamesTests {
  private func code(_ sockeye: Sockeye, _ destination: String) throws -> UInt8 {
    try Socket(to: sockeye.address).requestConnect(to: destination).code
  }

  @Test func `an address that is dead does not hide one that lives (RFC 8305)`() throws {
    // The same port number on ::1 is bound by nobody who listens.
    let target = try Server.silent(on: "127.0.0.1:0")
    let names = try NameServer([
      "both.test": .addresses(["::1", "127.0.0.1"]), "two.test": .addresses(["127.0.0.2", "127.0.0.1"]),
    ])
    let sockeye = try Sockeye(names.table + "default: direct\n")
    #expect(try code(sockeye, "both.test:\(target.port)") == 0)
    #expect(try code(sockeye, "two.test:\(target.port)") == 0)
    #expect(names.questions.all.contains { $0.description == "AAAA both.test" })
  }

  @Test func `an address that never answers does not hold up one that does (RFC 8305)`() throws {
    let full = try FullListener(on: "127.0.0.2")
    let target = try Server.silent(on: "127.0.0.1:\(portNumber(of: full.address))")
    let names = try NameServer(["slow.test": .addresses(["127.0.0.2", "127.0.0.1"])])
    // The first attempt would last longer than the whole test.
    let sockeye = try Sockeye(names.table + "timeouts: {dial: 600s}\ndefault: direct\n")
    #expect(try code(sockeye, "slow.test:\(target.port)") == 0)
    withExtendedLifetime(full) {}
  }

  @Test func `IPv6 alone is enough`() throws {
    let target = try Server.silent(on: "[::1]:0")
    let names = try NameServer(["six.test": .addresses(["::1"])])
    let sockeye = try Sockeye(names.table + "default: direct\n")
    #expect(try code(sockeye, "six.test:\(target.port)") == 0)
  }

  @Test func `an AAAA answer that never comes does not hold up the A`() throws {
    let target = try Server.silent()
    let names = try NameServer(["a.test": .addressesOf(type: 1, ["127.0.0.1"])])
    let sockeye = try Sockeye(names.table + "timeouts: {dns: 600s, dial: 600s}\ndefault: direct\n")
    #expect(try code(sockeye, "a.test:\(target.port)") == 0)
  }

  @Test func `a name server's silence is 04, and told as such, even if the dial may last no longer`() throws {
    let names = try NameServer(["silent.test": .held(Gate(), then: [])])
    let sockeye = try Sockeye(names.table + "timeouts: {dns: 600s, dial: 1s}\ndefault: direct\n")
    #expect(try code(sockeye, "silent.test:80") == 4)
    #expect(
      try sockeye.session(to: "silent.test:80").contains(
        " failed destination phase=resolve host=silent.test server=\(names.address) error=(timed out)"))
  }

  @Test func `a name that was not resolved is told with the name server, a hop's too`() throws {
    let names = try NameServer(["broken.test": .failure])
    let sockeye = try Sockeye(
      """
      \(names.table)upstreams: {de: "socks5://hop.test:1"}
      routes: [{host: by-hop.test, via: de}]
      default: direct

      """)
    let json = try Sockeye(names.table + "log: {format: json}\ndefault: direct\n")
    #expect(try code(sockeye, "broken.test:80") == 4)
    #expect(
      try sockeye.session(to: "broken.test:80").contains(
        " failed destination phase=resolve host=broken.test server=\(names.address) error=(server failure)"))
    #expect(try code(sockeye, "by-hop.test:80") == 1)
    #expect(
      try sockeye.session(to: "by-hop.test:80").contains(
        " failed hop=1/1 de phase=resolve host=hop.test server=\(names.address) error=(no such name)"))
    #expect(try code(json, "missing.test:80") == 4)
    let event = try JSONObject(json.process.line(containing: "missing.test:80"), of: "serve")
    #expect(
      event.object("failed") as? [String: String] == [
        "at": "destination", "phase": "resolve", "host": "missing.test", "server": names.address,
        "error": "no such name",
      ])
  }

  @Test func `names that a client's associations asked for hold nobody up once these have ended`() throws {
    let target = try Server.silent()
    // It is asked each time.
    let names = try NameServer(["good.test": .inTurn([["127.0.0.1"]])], otherwise: .never)
    let directory = try TemporaryDirectory()
    let sockeye = try Sockeye(
      Sockeye.listen(directory) + names.table
        + "timeouts: {dns: 600s, dial: 600s}\ndefault: direct\n",
      arguments: ["--workers", "1"])
    func code(_ listener: String) throws -> UInt8 {
      try Socket(to: listener).requestConnect(to: "good.test:\(target.port)").code
    }
    // Each name is two questions: more than the 1,024 that one client can have open.
    for round in 0..<2 {
      let associations = try (0..<5).map { number in
        let association = try Association(through: sockeye.address)
        for index in 0..<256 { try association.send("?", to: "n\(round)-\(number)-\(index).test:53") }
        return association
      }
      // The programs of this machine, which are one client, have used up their quarter, and no other client's.
      try eventually("the client's questions are open") { try code(sockeye.address) != 0 }
      #expect(try code(sockeye.userAddress) == 0)
      for association in associations { _ = try sockeye.closing(association) }
      #expect(try code(sockeye.address) == 0)
    }
  }

  @Test func `an answer is remembered as long as it may be`() throws {
    let target = try Server.silent()
    let names = try NameServer([
      "long.test": .addresses(["127.0.0.1"]), "zero.test": .inTurn([["127.0.0.1"]]),
    ])
    let sockeye = try Sockeye(names.table + "default: direct\n", arguments: ["--workers", "1"])
    for _ in 0..<3 {
      #expect(try code(sockeye, "long.test:\(target.port)") == 0)
      #expect(try code(sockeye, "zero.test:\(target.port)") == 0)
    }
    #expect(names.questions.all.filter { $0.description == "A long.test" }.count == 1)
    #expect(names.questions.all.filter { $0.description == "A zero.test" }.count == 3)
  }

  @Test func `a slow name stalls nobody else (E6, T23)`() throws {
    let target = try Server.echo()
    let gate = Gate()
    let names = try NameServer([
      "slow.test": .held(gate, then: ["127.0.0.1"]), "fast.test": .addresses(["127.0.0.1"]),
    ])
    let sockeye = try Sockeye(names.table + "timeouts: {dns: 600s, dial: 600s}\ndefault: direct\n")
    let open = try Socket(to: sockeye.address)
    #expect(try open.requestConnect(to: target.address).code == 0)
    let waiting = try (0..<50).map { _ in try Socket(to: sockeye.address) }
    for client in waiting {
      try client.send(SOCKS.noAuthentication + SOCKS.connect(to: "slow.test:\(target.port)"))
    }
    _ = try names.questions.wait(for: "the slow question") { $0.first { $0.name == "slow.test" } }

    #expect(try code(sockeye, "fast.test:\(target.port)") == 0)
    #expect(try code(sockeye, target.address) == 0)
    try open.send(1, 2, 3)
    #expect(try open.receive(exactly: 3) == [1, 2, 3])
    #expect(waiting.allSatisfy { (try? $0.receive(exactly: 2)) == [5, 0] && !$0.hasSomethingToRead() })

    gate.open()
    for client in waiting { #expect(try client.receiveReply().code == 0) }
  }

  @Test func `the address that was checked is the address that is dialled (T16)`() throws {
    let target = try HTTPTarget(on: "0.0.0.0:0")
    let names = try NameServer([
      // First the harmless address, then the forbidden one: a second look-up would be fooled.
      "rebind.test": .inTurn([["127.0.0.1"], ["127.0.0.66"]]),
      "mixed.test": .inTurn([["127.0.0.66", "127.0.0.1"]]),
      "bad.test": .inTurn([["127.0.0.66"]]), "wrapped.test": .addresses(["64:ff9b::7f00:42"]),
    ])
    let sockeye = try Sockeye(
      """
      \(names.table)hosts: {override.test: 127.0.0.66}
      routes:
        - {ip: 127.0.0.66, via: reject}
      default: direct

      """, arguments: ["--workers", "1"])
    let first = try Socket(to: sockeye.address).requestConnect(to: "rebind.test:\(target.port)")
    #expect(first.code == 0 && first.bound.hasPrefix("127.0.0.1:"), "\(first)")
    #expect(try code(sockeye, "rebind.test:\(target.port)") == 2)
    #expect(try code(sockeye, "bad.test:\(target.port)") == 2)
    #expect(try code(sockeye, "wrapped.test:\(target.port)") == 2)
    #expect(try code(sockeye, "override.test:\(target.port)") == 2)
    let mixed = try Socket(to: sockeye.address).requestConnect(to: "mixed.test:\(target.port)")
    #expect(mixed.code == 2 || mixed.bound.hasPrefix("127.0.0.1:"), "\(mixed)")
    #expect(!target.localAddresses.contains("127.0.0.66"))
  }

  @Test(arguments: [
    "localhost", "LOCALHOST", "localhost.", "ip6-localhost", "sub.localhost", "127.0.0.1", "[::1]",
  ])
  func `no spelling of this machine gets around a rule on loopback (T15)`(host: String) throws {
    let target = try Server.silent(on: "[::]:0")
    let names = try NameServer([
      "ip6-localhost": .addresses(["::1"]), "sub.localhost": .addresses(["127.0.0.1"]),
      "localhost": .addresses(["127.0.0.1", "::1"]),
    ])
    let sockeye = try Sockeye(
      "\(names.table)routes:\n  - {ip: [127.0.0.0/8, \"::1\"], via: reject}\ndefault: direct\n")
    #expect(try code(sockeye, "\(host):\(target.port)") == 2)
    #expect(target.accepted.all == [])
  }

  @Test(arguments: ["0.0.0.0", "::", "::ffff:0.0.0.0", "255.255.255.255", "224.0.0.1", "ff02::1"])
  func `a name of nobody, everybody or many is dialled no more than its address (C13, T15)`(
    address: String
  ) throws {
    let target = try Server.silent(on: "[::]:0")
    let names = try NameServer(["name.test": .addresses([address])])
    let sockeye = try Sockeye(names.table + "hosts: {here.test: \"\(address)\"}\ndefault: direct\n")
    #expect(try code(sockeye, "name.test:\(target.port)") == 2)
    #expect(try code(sockeye, "here.test:\(target.port)") == 2)
    #expect(target.accepted.all == [])
  }

  @Test func `the hosts file of the system is asked first`() throws {
    let target = try Server.silent()
    let names = try NameServer(["localhost": .addresses(["127.0.0.9"])])
    let sockeye = try Sockeye(names.table + "default: direct\n")
    #expect(try code(sockeye, "localhost:\(target.port)") == 0)
    #expect(names.questions.all == [])
  }

  @Test func `the table's own hosts need no name server`() throws {
    let target = try Server.silent()
    let names = try NameServer()
    let sockeye = try Sockeye(
      "\(names.table)hosts: {dev.example: 127.0.0.1, \"*.wild.test\": 127.0.0.1}\ndefault: direct\n")
    #expect(try code(sockeye, "dev.example:\(target.port)") == 0)
    #expect(try code(sockeye, "a.b.wild.test:\(target.port)") == 0)
    #expect(names.questions.all == [])
    #expect(try code(sockeye, "wild.test:\(target.port)") == 4)
  }
}
