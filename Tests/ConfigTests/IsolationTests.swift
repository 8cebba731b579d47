import Routing
import Testing

/// `isolate` of an upstream.
@Suite struct IsolationTests {
  private func isolation(_ text: String, _ url: String = "socks5://h:1") throws -> Isolation? {
    let result = load(
      """
      listen: [{address: 0.0.0.0:1, auth: optional, clients: 10.0.0.0/8, udp: false}]
      upstreams: {a: {url: "\(url)", isolate: \(text)}}
      default: a
      """)
    #expect(result.diagnostics.map(\.description) == [])
    guard case .chain(let chain)? = result.configuration?.table.fallback else { return nil }
    return chain.hops[0].isolation
  }

  @Test func `a word, a list or a map says what keeps connections apart`() throws {
    #expect(try isolation("client") == Isolation(by: [.client], for: .seconds(600)))
    #expect(try isolation("[port, user]") == Isolation(by: [.user, .port]))
    #expect(try isolation("{by: destination}") == Isolation(by: [.destination]))
    #expect(
      try isolation("{by: [client, destination], for: 30s}")
        == Isolation(by: [.client, .destination], for: .seconds(30)))
  }

  @Test(arguments: [
    "socks5://h:1", "socks4://10.0.0.1:1", "socks4a://h:1", "http://h:1", "socks5://z-{session}:pw@h:1",
    "socks4a://{session}@h:1", "http://z-{session}-{session}:pw@h:1", "socks5://z-%7Bsession%7D@h:1",
  ])
  func `it is for upstreams of any kind`(url: String) throws {
    #expect(try isolation("client", url) == Isolation(by: [.client]))
  }

  @Test(arguments: [
    Case(
      """
      upstreams:
        a: {url: "socks5://h:1", isolate: clients}
        b: {url: "socks5://h:1", isolate: []}
        c: {url: "socks5://h:1", isolate: {for: 1m}}
        d: {url: "socks5://h:1", isolate: {by: destination, for: 10}}
        e: {url: "socks5://h:1", isolate: {by: destination, every: 10m}}
        f: {url: "socks5://h:1", isolate: yes}
        g: {url: "socks5://h:1", isolate: }
        h: {url: "socks5://h:1", isolate: {by: destination, for: 0s}}
      default: direct
      """,
      "2:37: error: 'clients' is not 'client', 'user', 'destination' or 'port' (did you mean 'client'?)",
      "3:37: error: the list is empty: expected what keeps connections apart (write it like [client, destination])",
      "4:37: error: an 'isolate' map needs 'by', what keeps connections apart (write {by: [client, destination], for: 10m})",
      "5:60: error: '10' is not a duration (write it like 500ms, 10s, 2m or 1h)",
      "6:55: error: an 'isolate' map has no key 'every' (it may have 'by', 'for')",
      "7:37: error: 'yes' is not 'client', 'user', 'destination' or 'port' (write it like client)",
      "8:37: error: expected 'client', 'user', 'destination' or 'port', and there is nothing (write it like client)",
      "9:60: error: '0s' is out of range (write 1ms to 8760h)"),
    Case(
      """
      upstreams:
        a: {url: "socks5://alice@h:1", isolate: destination}
        b: {url: "http://h:1", username: alice, password: secret, isolate: destination}
        c: socks5://alice-{session}:secret@h:1
        d: {url: "socks5://h:1", username: "x{session}"}
        e: {url: "socks5://h:1", password: secret, isolate: destination}
      default: direct
      """,
      "2:34: error: 'isolate' makes up the user name, and one is written (write '{session}' in it where it may vary, or remove it)",
      "3:61: error: 'isolate' makes up the user name, and one is written (write '{session}' in it where it may vary, or remove it)",
      "4:6: error: '{session}' in a user name is where an identity goes, and there are none (add 'isolate: client')",
      "5:6: error: '{session}' in a user name is where an identity goes, and there are none (add 'isolate: client')",
      "6:6: error: a password needs a user name (add 'username')"),
    Case(
      """
      upstreams:
        a: {url: "socks5://h:1", username: "\(String(repeating: "x", count: 239)){session}", isolate: destination}
        b: {url: "socks5://h:1", username: "\(String(repeating: "x", count: 240)){session}", isolate: destination}
      default: direct
      """,
      "3:12: error: with 16 octets for each '{session}' the user name has more than 255 (shorten it)"),
  ])
  func `what is wrong with it is told`(example: Case) {
    #expect(example.diagnostics == example.expected)
  }

  private static let nobody =
    "no listener asks for user names, so that 'user' keeps nobody apart"
    + " (give one 'users' or 'auth: optional', or isolate by something else)"
  private static let oneAddress =
    "all clients are on this machine and have one address, so that 'client' keeps nobody apart"
    + " (isolate by 'destination' too, or by 'user' with 'auth: optional' at the listener)"

  @Test(
    arguments: [
      ("127.0.0.1:1", "user", nobody), ("127.0.0.1:1", "[user, destination]", nobody),
      ("{auth: optional}", "user", nil),
      ("[127.0.0.1:1, {address: 127.0.0.1:2, auth: optional}]", "user", nil),
      ("{users: {alice: x}}", "{by: user}", nil), ("127.0.0.1:1", "client", oneAddress),
      ("unix:/s", "client", oneAddress), ("\"[::1]:1\"", "{by: [client]}", oneAddress),
      ("127.0.0.1:1", "[client, destination]", nil), ("127.0.0.1:1", "port", nil),
      ("[127.0.0.1:1, {address: 10.0.0.1:1, clients: 10.0.0.0/8}]", "client", nil),
    ] as [(String, String, String?)])
  func `where it keeps nobody apart, check says so`(listen: String, text: String, warning: String?) {
    let found = diagnostics(
      of: """
        listen: \(listen)
        upstreams:
          a: {url: "socks5://h:1", isolate: \(text)}
        default: direct
        """)
    #expect(found == warning.map { ["3:37: warning: \($0)"] } ?? [])
  }

  @Test func `listeners of the command line are no matter of the table`() {
    let table = """
      listen: {auth: optional}
      upstreams: {a: {url: "socks5://h:1", isolate: user}}
      default: direct
      """
    #expect(diagnostics(of: table, listen: ["127.0.0.1:0"]) == [])
  }
}
