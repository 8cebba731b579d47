import Addresses
import Config
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

  /// Of a table that leaves choices.
  private static let plans = """
    upstreams: {a: "socks5://alice:secret@h:1", b: "socks5://h:2", c: {url: "socks5://h:3", udp: no}}
    groups:
      exits: {members: [a, [b, c], direct], strategy: fastest, check: {to: "x.example:443"}}
      same: {members: [a, b], strategy: sticky, sticky: user}
      some: {members: [a, b], strategy: random, weights: {a: 3}}
      tcp: {members: [c]}
    chains:
      tour: {hops: [a, b, same], mode: random, length: 1-2}
      careful: [{any: [a, b], optional: true}, c]
    routes:
      - {port: 1, via: exits}
      - {port: 2, via: [c, same]}
      - {port: 3, via: tour}
      - {port: 4, via: careful}
      - {port: 5, via: some}
      - {port: 6, via: tcp, udp: same}
    default: reject
    """

  /// Of a table with UDP in it.
  private static let datagrams = """
    listen: [127.0.0.1:1080, {name: tcp, address: 127.0.0.1:1081, udp: false, bind: false}]
    upstreams:
      office: socks5://10.0.0.1:1080
      sure: {url: "socks5://10.0.0.2:1080", udp: yes}
      tor: {url: "socks5://127.0.0.1:9050", udp: no}
      old: socks4://bob@10.0.0.3:1080
      older: socks4a://10.0.0.4:1080
      web: http://bob:secret@10.0.0.5:8080
    routes:
      - {domain: a.example, via: [office, tor], udp: office}
      - {domain: b.example, via: office, udp: direct}
      - {domain: c.example, via: sure}
      - {domain: d.example, via: old, udp: reject}
      - {port: 4, via: [sure, old], udp: sure}
      - {port: 5, via: older, udp: direct}
      - {port: 6, via: [older, web], udp: reject}
    default: [office, tor]
    """

  private func explanation(
    of destination: String, _ command: Request.Command = .connect, user: String? = nil,
    listener: ListenerID = ListenerID(address: "127.0.0.1:1080"), all: Bool = false,
    table: String = Self.table
  ) throws -> Explanation {
    let surroundings = Surroundings(
      file: { _ throws(Surroundings.ReadFailure) in throw Surroundings.ReadFailure(message: "is not there") },
      variable: { _ in nil })
    let result = ConfigurationLoader(surroundings)
      .load(Surroundings.File(bytes: Array(table.utf8)), named: "t.yaml")
    let configuration = try #require(result.configuration, "\(result.diagnostics)")
    let request = Request(
      command, to: try #require(Endpoint(destination)), user: user, listener: listener)
    return Explanation(of: request, by: configuration, all: all)
  }

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
    #expect(try explanation(of: destination).text == expected)
  }

  @Test(
    arguments: [
      (
        "x.a.example:53", .udp,
        """
        x.a.example:53  udp  →  office
          route  t.yaml:10   domain a.example
          by its 'udp' key: 'tor' does not carry UDP
          hop 1  office  socks5://10.0.0.1:1080
          if a hop turns out to carry no UDP: drop
          the name is resolved by: office
        """
      ),
      (
        "b.example:53", .udp,
        """
        b.example:53  udp  →  office
          route  t.yaml:11   domain b.example
          hop 1  office  socks5://10.0.0.1:1080
          if a hop turns out to carry no UDP: direct
          the name is resolved by: office
        """
      ),
      (
        "c.example:53", .udp,
        """
        c.example:53  udp  →  sure
          route  t.yaml:12   domain c.example
          hop 1  sure  socks5://10.0.0.2:1080
          the name is resolved by: sure
        """
      ),
      (
        "d.example:53", .udp,
        """
        d.example:53  udp  →  reject
          route  t.yaml:13   domain d.example
          by its 'udp' key: 'old' does not carry UDP
        """
      ),
      (
        "e.example:5", .udp,
        """
        e.example:5  udp  →  direct
          route  t.yaml:15   port 5
          by its 'udp' key: 'older' does not carry UDP
          the name is resolved by: this machine
        """
      ),
      (
        "e.example:53", .udp,
        """
        e.example:53  udp  →  drop
          no route holds: the default decides
          UDP is dropped: 'tor' does not carry it
        """
      ),
      (
        "d.example:21", .bind,
        """
        d.example:21  tcp  →  old
          route  t.yaml:13   domain d.example
          hop 1  old  socks4://10.0.0.3:1080  (user bob)
          fails: 'old' speaks SOCKS4, which takes no names (socks4a does)
        """
      ),
      (
        "10.1.2.3:4", .bind,
        """
        10.1.2.3:4  tcp  →  sure,old
          route  t.yaml:14   port 4
          hop 1  sure  socks5://10.0.0.2:1080
          hop 2  old  socks4://10.0.0.3:1080  (user bob)
        """
      ),
      (
        "[2001:db8::1]:5", .connect,
        """
        [2001:db8::1]:5  tcp  →  older
          route  t.yaml:15   port 5
          hop 1  older  socks4a://10.0.0.4:1080
          fails: 'older' speaks SOCKS4, which knows no IPv6 addresses
        """
      ),
      (
        "e.example:5", .connect,
        """
        e.example:5  tcp  →  older
          route  t.yaml:15   port 5
          hop 1  older  socks4a://10.0.0.4:1080
          the name is resolved by: older
        """
      ),
      (
        "e.example:6", .connect,
        """
        e.example:6  tcp  →  older,web
          route  t.yaml:16   port 6
          hop 1  older  socks4a://10.0.0.4:1080
          hop 2  web  http://10.0.0.5:8080  (user bob)
          the name is resolved by: web
        """
      ),
      (
        "[2001:db8::1]:6", .bind,
        """
        [2001:db8::1]:6  tcp  →  older,web
          route  t.yaml:16   port 6
          hop 1  older  socks4a://10.0.0.4:1080
          hop 2  web  http://10.0.0.5:8080  (user bob)
          fails: 'web' speaks HTTP, which knows no bind
        """
      ),
      (
        "e.example:6", .udp,
        """
        e.example:6  udp  →  reject
          route  t.yaml:16   port 6
          by its 'udp' key: 'older' does not carry UDP
        """
      ),
    ] as [(String, Request.Command, String)])
  func `where UDP goes, and what SOCKS4 and HTTP cannot reach`(
    destination: String, command: Request.Command, expected: String
  ) throws {
    #expect(try explanation(of: destination, command, table: Self.datagrams).text == expected)
  }

  @Test(arguments: [Request.Command.udp, .bind])
  func `what a listener does not serve is refused before any route is asked`(command: Request.Command) throws
  {
    let explanation = try explanation(
      of: "a.example:53", command, listener: ListenerID(address: "127.0.0.1:1081", name: "tcp"), all: true,
      table: Self.datagrams)
    #expect(
      explanation.text == """
        a.example:53  \(command.network)  →  reject
          the listener 'tcp' does not serve \(command)
        """)
    #expect(
      explanation.json.description
        == #"{"destination":"a.example:53","network":"\#(command.network)","command":"\#(command)","#
        + #""outcome":"reject","obstacle":"the listener does not serve the command","hops":[],"route":null,"#
        + #""resolved_by":null,"routes":[]}"#)
  }

  @Test func `UDP as JSON`() throws {
    #expect(
      try explanation(of: "a.example:53", .udp, table: Self.datagrams).json.description
        == #"{"destination":"a.example:53","network":"udp","command":"udp","outcome":"chain","#
        + #""by_udp_key":true,"udp_otherwise":"drop","#
        + #""hops":[{"name":"office","protocol":"socks5","endpoint":"10.0.0.1:1080","user":null}],"#
        + #""route":{"name":null,"note":null,"file":"t.yaml","line":10,"judgement":"taken","#
        + #""reason":"domain a.example"},"resolved_by":"office"}"#)
    #expect(
      try explanation(of: "10.0.0.9:53", .udp, table: Self.datagrams).json.description
        == #"{"destination":"10.0.0.9:53","network":"udp","command":"udp","outcome":"drop","#
        + #""obstacle":"tor carries no UDP","hops":[],"route":null,"resolved_by":null}"#)
    #expect(
      try explanation(of: "d.example:53", table: Self.datagrams).json.description
        == #"{"destination":"d.example:53","network":"tcp","command":"connect","outcome":"chain","#
        + #""obstacle":"old takes no names","#
        + #""hops":[{"name":"old","protocol":"socks4","endpoint":"10.0.0.3:1080","user":"bob"}],"#
        + #""route":{"name":null,"note":null,"file":"t.yaml","line":13,"judgement":"taken","#
        + #""reason":"domain d.example"},"resolved_by":null}"#)
  }

  @Test func `all routes, and why they were not taken`() throws {
    #expect(
      try explanation(of: "example.org:80", user: "bob", all: true).text == """
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
      try explanation(of: "corp.example:443").json.description
        == #"{"destination":"corp.example:443","network":"tcp","command":"connect","outcome":"chain","#
        + #""hops":[{"name":"office","protocol":"socks5","endpoint":"proxy.office.example:1080","user":"alice"}],"#
        + #""route":{"name":"corp","note":"ask \u001b first","file":"t.yaml","line":5,"judgement":"taken","#
        + #""reason":"domain corp.example"},"resolved_by":"office"}"#)
    #expect(
      try explanation(of: "10.1.2.3:80").json.description
        == #"{"destination":"10.1.2.3:80","network":"tcp","command":"connect","outcome":"reject","hops":[],"#
        + #""route":{"name":null,"note":null,"file":"t.yaml","line":6,"judgement":"taken","reason":"ip 10.0.0.0/8"},"#
        + #""resolved_by":null}"#)
  }

  @Test func `no form shows a password`() throws {
    let explanation = try explanation(of: "example.org:80", all: true)
    #expect(!explanation.text.contains("secret"))
    #expect(!explanation.json.description.contains("secret"))
  }

  @Test(
    arguments: [
      (
        1, .connect,
        """
        h.example:1  tcp  →  exits
          route  t.yaml:11   port 1
          group exits  fastest; checked with x.example:443 while in use
            a  socks5://h:1  (user alice)
            chain strict
              hop 1  b  socks5://h:2
              hop 2  c  socks5://h:3
            direct
          the name is resolved by: the last hop, or by this machine where there is none
        """
      ),
      (
        2, .connect,
        """
        h.example:2  tcp  →  c,same
          route  t.yaml:12   port 2
          chain strict
            hop 1  c  socks5://h:3
            hop 2  group same  sticky by user
              a  socks5://h:1  (user alice)
              b  socks5://h:2
          the name is resolved by: the last hop
        """
      ),
      (
        3, .connect,
        """
        h.example:3  tcp  →  tour
          route  t.yaml:13   port 3
          chain tour  random: 1-2 of these in any order
            a  socks5://h:1  (user alice)
            b  socks5://h:2
            group same  sticky by user
              a  socks5://h:1  (user alice)
              b  socks5://h:2
          the name is resolved by: the last hop
        """
      ),
      (
        4, .connect,
        """
        h.example:4  tcp  →  a|b?,c
          route  t.yaml:14   port 4
          chain strict
            hop 1  if up  the first of these that is up
              a  socks5://h:1  (user alice)
              b  socks5://h:2
            hop 2  c  socks5://h:3
          the name is resolved by: the last hop
        """
      ),
      (
        5, .udp,
        """
        h.example:5  udp  →  some
          route  t.yaml:15   port 5
          group some  random
            weight 3  a  socks5://h:1  (user alice)
            weight 1  b  socks5://h:2
          if a hop turns out to carry no UDP: drop
          the name is resolved by: the last hop
        """
      ),
      (
        6, .udp,
        """
        h.example:6  udp  →  same
          route  t.yaml:16   port 6
          by its 'udp' key: 'c' does not carry UDP
          group same  sticky by user
            a  socks5://h:1  (user alice)
            b  socks5://h:2
          if a hop turns out to carry no UDP: drop
          the name is resolved by: the last hop
        """
      ),
    ] as [(Int, Request.Command, String)])
  func `a plan is shown with all its choices`(port: Int, command: Request.Command, text: String) throws {
    #expect(try explanation(of: "h.example:\(port)", command, table: Self.plans).text == text)
  }

  @Test func `a plan as JSON`() throws {
    let json = try explanation(of: "h.example:2", table: Self.plans).json.description
    for part in [
      #""outcome":"plan","hops":[],"plan":{"chain":null,"mode":"strict","length":null,"positions":["#,
      #"{"optional":false,"any":[{"name":"c","protocol":"socks5","endpoint":"h:3","user":null}]},"#,
      #"{"optional":false,"any":[{"group":"same","strategy":"sticky","sticky":"user","members":["#,
      #"{"weight":1,"member":{"name":"a","protocol":"socks5","endpoint":"h:1","user":"alice"}},"#,
    ] {
      #expect(json.contains(part), "\(json)")
    }
    #expect(!json.contains("secret"))
  }
}
