import Foundation
import Testing

/// A route's `rewrite`: what is asked for is not what is dialled.
@Suite(.blocking)
struct RewriteTests {
  private let target: HTTPTarget

  init() throws {
    target = try HTTPTarget()
  }

  @Test(arguments: ["--socks5-hostname", "--socks4a", "--proxy"])
  func `clients of every protocol get to the rewritten destination`(option: String) throws {
    let hop = try Sockeye("hosts: {far.test: 127.0.0.1}\ndefault: direct\n")
    let sockeye = try Sockeye(
      """
      upstreams: {hop: "socks5://\(hop.address)"}
      hosts: {near.test: 127.0.0.1}
      routes:
        - {host: both.test, command: connect, via: direct, rewrite: "near.test:\(target.port)"}
        - {host: name.test, command: connect, via: direct, rewrite: near.test}
        - {ip: 127.0.0.1, port: 81, command: connect, via: direct, rewrite: \(target.port)}
        - {host: address.test, command: connect, via: direct, rewrite: "127.0.0.1:\(target.port)"}
        - {ip: 192.0.2.0/24, command: connect, via: hop, rewrite: "far.test:\(target.port)"}
      default: reject

      """)
    for (asked, dialled) in [
      ("both.test:81", "near.test:\(target.port)"), ("name.test:\(target.port)", "near.test:\(target.port)"),
      ("127.0.0.1:81", "127.0.0.1:\(target.port)"), ("address.test:81", "127.0.0.1:\(target.port)"),
      ("192.0.2.7:81", "far.test:\(target.port)"),
    ] {
      let proxy = option == "--proxy" ? "http://\(sockeye.address)" : sockeye.address
      let answer = try Client.curl(option, proxy, "--proxytunnel", "http://\(asked)/")
      #expect(answer.output == [HTTPTarget.greeting], "\(asked): \(answer)")
      let line = try sockeye.session(to: asked)
      #expect(line.contains(" to=\(asked) rewritten_to=\(dialled) route="), "\(line)")
    }
    // What the hop is asked for is the rewritten name, unresolved.
    #expect(try hop.session(to: "far.test:\(target.port)").contains(" via=direct "))
  }

  @Test func `a rewritten name cannot get around a range, nor can an address (T16)`() throws {
    let names = try NameServer(["inside.test": .addresses(["127.0.0.1"])])
    let sockeye = try Sockeye(
      """
      \(names.table)routes:
        - {host: name.test, command: connect, via: direct, rewrite: "inside.test:\(target.port)"}
        - {host: address.test, command: connect, via: direct, rewrite: "127.0.0.1:\(target.port)"}
        - {ip: 127.0.0.0/8, port: \(target.port), via: reject}
      default: direct

      """)
    for asked in ["name.test:80", "address.test:80"] {
      let client = try Socket(to: sockeye.address)
      #expect(try client.requestConnect(to: asked).code == 2)
      #expect(try client.receiveToEnd() == ([], .end))
    }
    #expect(try sockeye.session(to: "address.test:80").hasSuffix(" via=reject end=rejected"))
    #expect(target.accepted.all == [])
  }

  @Test func `our own listeners are out of reach by rewriting, too (T18)`() throws {
    let port = FreePort.take()
    let sockeye = try Sockeye(
      """
      listen: 127.0.0.1:\(port)
      hosts: {own.test: 127.0.0.1}
      routes:
        - {host: name.test, command: connect, via: direct, rewrite: "own.test:\(port)"}
        - {host: address.test, command: connect, via: direct, rewrite: "127.0.0.1:\(port)"}
      default: direct

      """)
    for asked in ["name.test:80", "address.test:80"] {
      let client = try Socket(to: "127.0.0.1:\(port)")
      #expect(try client.requestConnect(to: asked).code == 2, "\(asked)")
      let line = try sockeye.session(to: asked)
      #expect(line.contains(" error=(one of our own listeners) "), "\(line)")
    }
  }

  @Test func `the same destination keeps to the same member, whatever it was asked as`() throws {
    let hops = try (0..<4).map { _ in try Sockeye("default: direct\n") }
    let names = (0..<20).map { "n\($0).test" }
    let sockeye = try Sockeye(
      """
      upstreams:
      \(hops.enumerated().map { "  h\($0): socks5://\($1.address)" }.joined(separator: "\n"))
      groups: {all: {members: [h0, h1, h2, h3], strategy: sticky, sticky: destination}}
      routes:
        - {domain: test, command: connect, via: all, rewrite: "\(target.address)"}
      default: reject

      """)
    var ways: Set<Substring> = []
    for name in names {
      let client = try Socket(to: sockeye.address)
      #expect(try client.requestConnect(to: "\(name):80").code == 0)
      client.hangUp()
      let line = try sockeye.session(to: "\(name):80")
      ways.insert(try #require(line.firstMatch(of: #/ via=(\S+) /#)).1)
    }
    #expect(ways.count == 1, "\(ways)")
  }

  @Test func `RESOLVE tells where the client would get to, RESOLVE_PTR what it was asked`() throws {
    let names = try NameServer([
      "old.test": .addresses(["192.0.2.1"]), "new.test": .addresses(["192.0.2.2"]),
      "9.2.0.192.in-addr.arpa": .name("nine.test"),
    ])
    let sockeye = try Sockeye(
      """
      \(names.table)routes:
        - {host: old.test, command: connect, via: direct, rewrite: "new.test:81"}
        - {ip: 192.0.2.9, command: connect, via: direct, rewrite: new.test}
      default: direct

      """)
    func ask(_ command: UInt8, _ destination: String) throws -> [UInt8] {
      let client = try Socket(to: sockeye.address)
      try client.send(SOCKS.noAuthentication + SOCKS.request(command: command, to: destination))
      #expect(try client.receive(exactly: 2) == [5, 0])
      return try client.receiveToEnd().bytes
    }
    #expect(try ask(0xF0, "old.test:0") == [5, 0, 0, 1, 192, 0, 2, 2, 0, 0])
    #expect(try ask(0xF1, "192.0.2.9:0") == [5, 0, 0, 3, 9] + Array("nine.test".utf8) + [0, 0])
    #expect(try sockeye.session(to: "old.test:0").contains(" rewritten_to=new.test:81 "))
    #expect(!(try sockeye.session(to: "192.0.2.9:0").contains("rewritten")))
  }

  @Test func `trace dials the rewritten destination, and says so`() throws {
    let directory = try TemporaryDirectory()
    try directory.write(
      "routes: [{host: a.test, command: connect, via: direct, rewrite: \"\(target.address)\"}]\n"
        + "default: reject\n",
      to: "table.yaml")
    let exit = try Sockeye.run("trace", "table.yaml", "a.test:80", directory: directory.path)
    #expect(exit.status == 0, "\(exit)")
    #expect(exit.output.first == "a.test:80  tcp  →  direct  (route line 1)")
    #expect(exit.output.dropFirst().first == "  rewritten to \(target.address)")
    let json = try Sockeye.run("trace", "table.yaml", "a.test:80", "--json", directory: directory.path)
    let object = try JSONObject(json.output.joined(), of: "trace")
    #expect(object.string("destination") == "a.test:80" && object.string("rewritten_to") == target.address)
  }
}
