import Addresses
import Routing
import Testing

@testable import sockeye

/// What is explained of UDP and BIND, and of hops that cannot carry everything.
@Suite struct ServiceExplanationTests {
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
    #expect(try explained(destination, by: Self.datagrams, command).text == expected)
  }

  @Test(arguments: [Request.Command.udp, .bind])
  func `what a listener does not serve is refused before any route is asked`(command: Request.Command) throws
  {
    let explanation = try explained(
      "a.example:53", by: Self.datagrams, command,
      listener: ListenerID(address: "127.0.0.1:1081", name: "tcp"), all: true)
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
      try explained("a.example:53", by: Self.datagrams, .udp).json.description
        == #"{"destination":"a.example:53","network":"udp","command":"udp","outcome":"chain","#
        + #""by_udp_key":true,"udp_otherwise":"drop","#
        + #""hops":[{"name":"office","protocol":"socks5","endpoint":"10.0.0.1:1080","user":null,"isolated_by":null}],"#
        + #""route":{"name":null,"note":null,"file":"t.yaml","line":10,"judgement":"taken","#
        + #""reason":"domain a.example"},"resolved_by":"office"}"#)
    #expect(
      try explained("10.0.0.9:53", by: Self.datagrams, .udp).json.description
        == #"{"destination":"10.0.0.9:53","network":"udp","command":"udp","outcome":"drop","#
        + #""obstacle":"tor carries no UDP","hops":[],"route":null,"resolved_by":null}"#)
    #expect(
      try explained("d.example:53", by: Self.datagrams).json.description
        == #"{"destination":"d.example:53","network":"tcp","command":"connect","outcome":"chain","#
        + #""obstacle":"old takes no names","#
        + #""hops":[{"name":"old","protocol":"socks4","endpoint":"10.0.0.3:1080","user":"bob","isolated_by":null}],"#
        + #""route":{"name":null,"note":null,"file":"t.yaml","line":13,"judgement":"taken","#
        + #""reason":"domain d.example"},"resolved_by":null}"#)
  }
}
