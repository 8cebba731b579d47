import Testing

@Test(arguments: [
  Case(
    """
    tests: []
    default: direct
    """),
  Case(
    """
    tests: {to: "a:1", expect: direct}
    default: direct
    """),
  Case(
    """
    tests: [{to: "a:1", expect: reject}]
    default: direct
    """,
    "1:9: error: this test fails: a:1 was to go to 'reject', but the default sends it to "
      + "'direct' (mend the routes or the test)"),
  Case(
    """
    upstreams: {a: "socks5://h:1", b: "socks5://h:2"}
    routes: {domain: a, via: [a, b], name: x}
    tests: [{to: "a:1", expect: a}, {to: "a:1", expect: [b, a]}, {to: "a:1", expect: [a, b]}]
    default: direct
    """,
    "3:9: error: this test fails: a:1 was to go to 'a', but the route 'x' (t.yaml:2) "
      + "sends it to 'a,b' (mend the routes or the test)",
    "3:33: error: this test fails: a:1 was to go to 'b,a', but the route 'x' (t.yaml:2) "
      + "sends it to 'a,b' (mend the routes or the test)"),
  Case(
    """
    tests: [{to: "a:1"}, {expect: direct}, {to: a, expect: direct}, {to: "a:0", expect: direct}, {to: "a:1", expect: offce}, x]
    default: direct
    """,
    "1:9: error: a test needs 'expect' (write it like {to: \"wiki.corp.example:443\", "
      + "expect: office})",
    "1:22: error: a test needs 'to' (write it like {to: \"wiki.corp.example:443\", expect: "
      + "office})",
    "1:45: error: 'a' is not a host and a port (write it like wiki.corp.example:443)",
    "1:70: error: 'a:0' is not a host and a port (write it like wiki.corp.example:443)",
    "1:114: error: there is no upstream, group or chain named 'offce' (add it under "
      + "'upstreams')",
    "1:122: error: 'x' is not a test (write it like {to: \"wiki.corp.example:443\", "
      + "expect: office})"),
  Case(
    """
    tests: [{to: "a:1", expect: direct, network: icmp, command: x, client: lan, user: "", listener: x, foo: bar}]
    default: direct
    """,
    "1:46: error: 'icmp' is not 'tcp' or 'udp' (write it like tcp)",
    "1:61: error: 'x' is not 'connect', 'bind' or 'udp' (write it like connect)",
    "1:72: error: 'lan' is not a client's address (write it like 192.168.1.7)",
    "1:83: error: '' is not a user name (write it like alice)",
    "1:97: error: there is no listener 'x' (write the name or the address of one under "
      + "'listen')",
    "1:100: error: a test has no key 'foo' (it may have 'to', 'expect', 'network', "
      + "'command', 'client', 'user', 'listener')"),
  Case(
    """
    tests: [{to: "a:1", expect: direct, network: udp, command: connect}]
    default: direct
    """,
    "1:46: error: 'command: connect' is not made over udp (remove one of the two)"),
  Case(
    """
    routes: [{client: 10.0.0.0/8, via: reject}, {user: alice, via: drop}, {command: bind, via: reject}, {network: udp, via: reject}]
    tests:
    - {to: "a:1", client: 10.1.1.1, expect: reject}
    - {to: "a:1", user: alice, expect: drop}
    - {to: "a:1", command: bind, expect: reject}
    - {to: "a:1", network: udp, expect: reject}
    listen: {auth: optional}
    default: direct
    """),
  Case(
    """
    upstreams: {a: {url: "socks5://h:1", udp: no}, b: "socks5://h:2"}
    routes: [{port: 1, via: a, udp: b}, {port: 2, via: b}, {network: tcp, via: a}, {port: 3, via: a}]
    tests:
    - {to: "a:1", expect: a}
    - {to: "a:1", network: udp, expect: b}
    - {to: "a:2", command: udp, expect: b}
    - {to: "a:3", command: bind, expect: a}
    - {to: "a:3", network: udp, expect: drop}
    - {to: "a:3", network: udp, expect: a}
    - {to: "a:1", network: udp, expect: a}
    default: direct
    """,
    "2:80: warning: 'a' carries no UDP: this route drops it (write 'udp: reject' to say so, 'udp: direct' "
      + "if it may go around the chain, or 'network: tcp' to leave it to later routes)",
    "9:3: error: this test fails: a:3 was to go to 'a', but the route 'line 2' (t.yaml:2) drops it, "
      + "since 'a' carries no UDP (mend the routes or the test)",
    "10:3: error: this test fails: a:1 was to go to 'a', but the route 'line 2' (t.yaml:2) "
      + "sends it to 'b' (mend the routes or the test)"),
])
func `what may stand under 'tests', and whether it holds`(of: Case) {
  #expect(of.diagnostics == of.expected)
}
