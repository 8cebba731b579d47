import Addresses
import Routing
import Testing

@testable import sockeye

@Suite struct ExplanationTests {
  private static let table = """
    upstreams:
      office: socks5://alice:secret@proxy.office.example:1080
      tor: socks5://127.0.0.1:9050
    routes:
      - {name: corp, note: "ask \\u001b first", domain: [corp.example, b.example], via: office}
      - {ip: [10.0.0.0/8, 169.254.0.0/16], via: reject}
      - {any: [{port: 22}, {user: bob}], via: direct}
      - {host: dev.example, via: direct}
    default: [office, tor]
    hosts: {dev.example: [127.0.0.1, "::1"]}
    """

  @Test(arguments: [
    (
      "wiki.corp.example:443",
      """
      wiki.corp.example:443  tcp  →  office
        route 'corp'  t.yaml:5   domain corp.example
        note: ask \\u{1b} first
        hop 1  office  socks5://proxy.office.example:1080  (user alice)
        the name is resolved by: office
      """
    ),
    (
      "10.1.2.3:22",
      """
      10.1.2.3:22  tcp  →  reject
        route  t.yaml:6   ip 10.0.0.0/8
      """
    ),
    (
      "example.org:22",
      """
      example.org:22  tcp  →  direct
        route  t.yaml:7   port 22
        the name is resolved by: this machine
        an address of it may still be refused by: route 'line 6'
      """
    ),
    (
      "dev.example:80",
      """
      dev.example:80  tcp  →  direct
        route  t.yaml:8   host dev.example
        the name is resolved by: hosts (127.0.0.1, ::1)
        an address of it may still be refused by: route 'line 6'
      """
    ),
    (
      "[2001:db8::1]:443",
      """
      [2001:db8::1]:443  tcp  →  office,tor
        no route holds: the default decides
        hop 1  office  socks5://proxy.office.example:1080  (user alice)
        hop 2  tor  socks5://127.0.0.1:9050
      """
    ),
  ])
  func `a verdict and its reason`(destination: String, expected: String) throws {
    #expect(try explained(destination, by: Self.table).text == expected)
  }

  @Test func `what an address may still be refused by is told, the default too`() throws {
    let table = """
      listen: 127.0.0.1:1080
      routes:
        - {ip: 10.0.0.0/8, via: reject}
        - {not: {ip: 192.168.0.0/16}, port: 443, via: direct}
        - {port: 443, via: drop}
        - {not: {ip: 192.168.0.0/16}, port: 80, via: direct}
        - {domain: a.test, via: direct}
      default: reject
      """
    for (destination, refusers) in [
      ("a.test:443", "route 'line 3', 'line 5', the default"), ("a.test:80", "route 'line 3', the default"),
      ("a.test:22", "route 'line 3'"),
    ] {
      let text = try explained(destination, by: table).text
      #expect(text.hasSuffix("\n  an address of it may still be refused by: \(refusers)"), "\(text)")
    }
    #expect(
      try explained("a.test:80", by: table).json.description.contains(
        #""may_be_refused_by":["line 3","default"]"#))
  }

  @Test func `all routes, and why they were not taken`() throws {
    #expect(
      try explained("example.org:80", by: Self.table, user: "bob", all: true).text == """
        example.org:80  tcp  →  direct
          route 'corp'  t.yaml:5   not taken: not domain corp.example or b.example
          route  t.yaml:6   not taken: not ip 10.0.0.0/8 or 169.254.0.0/16: the destination is a name
          route  t.yaml:7   taken: user bob
          route  t.yaml:8   not reached
          the name is resolved by: this machine
          an address of it may still be refused by: route 'line 6'
        """)
  }

  @Test func `as JSON`() throws {
    #expect(
      try explained("corp.example:443", by: Self.table).json.description
        == #"{"destination":"corp.example:443","network":"tcp","command":"connect","outcome":"chain","#
        + #""hops":[{"name":"office","protocol":"socks5","endpoint":"proxy.office.example:1080","user":"alice","isolated_by":null}],"#
        + #""route":{"name":"corp","note":"ask \u001b first","file":"t.yaml","line":5,"judgement":"taken","#
        + #""reason":"domain corp.example"},"resolved_by":"office"}"#)
    #expect(
      try explained("10.1.2.3:80", by: Self.table).json.description
        == #"{"destination":"10.1.2.3:80","network":"tcp","command":"connect","outcome":"reject","hops":[],"#
        + #""route":{"name":null,"note":null,"file":"t.yaml","line":6,"judgement":"taken","reason":"ip 10.0.0.0/8"},"#
        + #""resolved_by":null}"#)
  }

  @Test func `no form shows a password`() throws {
    let explanation = try explained("example.org:80", by: Self.table, all: true)
    #expect(!explanation.text.contains("secret"))
    #expect(!explanation.json.description.contains("secret"))
  }
}
