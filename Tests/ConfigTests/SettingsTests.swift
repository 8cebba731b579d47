import Config
import Testing

@Test(arguments: [
  Case(
    """
    hosts: {a.example: 127.0.0.1, "*.test": ["::1", 127.0.0.1]}
    default: direct
    """),
  Case(
    """
    hosts: {a.example: x, "*": 127.0.0.1, "a.*": 127.0.0.1, 10.0.0.1: 127.0.0.1, b.example: [], "x y": 127.0.0.1}
    default: direct
    """,
    "1:20: error: 'x' is not an IP address (write it like 127.0.0.1)",
    "1:23: error: '*' is neither a host name nor one behind '*.' (write dev.example or "
      + "'*.test')",
    "1:39: error: 'a.*' is neither a host name nor one behind '*.' (write dev.example or "
      + "'*.test')",
    "1:57: error: '10.0.0.1' is neither a host name nor one behind '*.' (write "
      + "dev.example or '*.test')",
    "1:89: error: the list is empty: expected an IP address (write it like 127.0.0.1)",
    "1:93: error: 'x y' is neither a host name nor one behind '*.' (write dev.example or "
      + "'*.test')"),
  Case(
    """
    hosts: {a.example: 127.0.0.1, A.EXAMPLE.: 127.0.0.2}
    default: direct
    """,
    "1:31: error: 'A.EXAMPLE.' stands here a second time, first in line 1 (remove one)"),
  Case(
    """
    hosts: []
    default: direct
    """,
    "1:8: error: expected a map from names to addresses, not a list (write it like "
      + "{dev.example: 127.0.0.1})"),
  Case(
    """
    dns: {servers: [9.9.9.9, "[::1]:53", 1.1.1.1:5353], cache: 0}
    default: direct
    """),
  Case(
    """
    dns: {servers: [tls://1.1.1.1, dns.example, 1.1.1.1:0, 9.9.9], cache: -1}
    default: direct
    """,
    "1:17: error: encrypted DNS is not supported yet (write a name server's address, "
      + "such as 9.9.9.9)",
    "1:32: error: 'dns.example' is not a name server's address (write it like 9.9.9.9 or "
      + "[2620:fe::fe]:53)",
    "1:45: error: '1.1.1.1:0' is not a name server's address (write it like 9.9.9.9 or "
      + "[2620:fe::fe]:53)",
    "1:56: error: '9.9.9' is not a name server's address (write it like 9.9.9.9 or "
      + "[2620:fe::fe]:53)",
    "1:71: error: '-1' is not a number from 0 to 10000000 (write it like 0)"),
  Case(
    """
    dns: {server: 9.9.9.9}
    default: direct
    """,
    "1:7: error: the 'dns' map has no key 'server' (did you mean 'servers'?)"),
  Case(
    """
    dns: 9.9.9.9
    default: direct
    """,
    "1:6: error: '9.9.9.9' is not the 'dns' map (write it like {servers: 9.9.9.9})"),
  Case(
    """
    dns: {cache: lots}
    default: direct
    """,
    "1:14: error: 'lots' is not a number from 0 to 10000000 (write it like 0)"),
  Case(
    """
    timeouts: {handshake: 1ms, dns: 8760h, dial: 1m, idle: 1h, half_closed: 1s, drain: 0s}
    default: direct
    """),
  Case(
    """
    timeouts: {handshake: 0s, dns: 10, dial: 1d, idle: -1s, half_closed: [1s], drain: 99999999999999999999s}
    default: direct
    """,
    "1:23: error: '0s' is out of range (write 1ms to 8760h)",
    "1:32: error: '10' is not a duration (write it like 500ms, 10s, 2m or 1h)",
    "1:42: error: '1d' is not a duration (write it like 500ms, 10s, 2m or 1h)",
    "1:52: error: '-1s' is not a duration (write it like 500ms, 10s, 2m or 1h)",
    "1:70: error: expected a duration, not a list (write it like 500ms, 10s, 2m or 1h)",
    "1:83: error: '99999999999999999999s' is not a duration (write it like 500ms, 10s, "
      + "2m or 1h)"),
  Case(
    """
    timeouts: {udp_idle: 1s, bind: 1s, dail: 1s}
    default: direct
    """,
    "1:36: error: the 'timeouts' map has no key 'dail' (did you mean 'dial'?)"),
  Case(
    """
    timeouts: []
    default: direct
    """,
    "1:11: error: expected the 'timeouts' map, not a list (write it like {dial: 30s})"),
  Case(
    """
    limits: {connections: 1, per_client: 2, handshakes: 3}
    default: direct
    """),
  Case(
    """
    limits: {connections: 0, per_client: many, handshakes: 99999999999999999999}
    default: direct
    """,
    "1:23: error: '0' is not a number from 1 to 10000000 (write it like 1)",
    "1:38: error: 'many' is not a number from 1 to 10000000 (write it like 1)",
    "1:56: error: '99999999999999999999' is not a number from 1 to 10000000 (write it "
      + "like 1)"),
  Case(
    """
    timeouts: {udp_idle: 0s, bind: 2}
    limits: {associations: 0, paths_per_association: -1}
    default: direct
    """,
    "1:22: error: '0s' is out of range (write 1ms to 8760h)",
    "1:32: error: '2' is not a duration (write it like 500ms, 10s, 2m or 1h)",
    "2:24: error: '0' is not a number from 1 to 10000000 (write it like 1)",
    "2:50: error: '-1' is not a number from 1 to 10000000 (write it like 1)"),
  Case(
    """
    limits: {associations: 1, paths_per_association: 1, conections: 1}
    default: direct
    """,
    "1:53: error: the 'limits' map has no key 'conections' (did you mean 'connections'?)"),
  Case(
    """
    log: {level: warn, format: xml}
    default: direct
    """,
    "1:14: error: 'warn' is not 'error', 'warning', 'info' or 'debug' (did you mean "
      + "'warning'?)",
    "1:28: error: 'xml' is not 'text' or 'json' (write it like text)"),
  Case(
    """
    log: {level: warning, format: json}
    default: direct
    """),
  Case(
    """
    log: info
    default: direct
    """,
    "1:6: error: 'info' is not the 'log' map (write it like {level: info})"),
  Case(
    """
    control: unix:/run/sockeye/control.sock
    default: direct
    """),
  Case(
    """
    control: /run/sockeye/control.sock
    default: direct
    """,
    "1:10: error: '/run/sockeye/control.sock' is not 'unix:' and a path that starts with '/' and has at most "
      + "107 octets (write unix:/run/sockeye/control.sock)"),
  Case(
    """
    listen: unix:/run/s
    control: unix:/run/s
    default: direct
    """,
    "2:10: error: 'unix:/run/s' is listened on for clients (choose another path)"),
  Case(
    """
    listen: unix:/run/s
    control: unix:/run//./s
    default: direct
    """,
    "2:10: error: 'unix:/run//./s' is listened on for clients (choose another path)"),
  Case(
    """
    control: [unix:/run/s]
    default: direct
    """,
    "1:10: error: expected where the program is asked things, not a list (write it like "
      + "unix:/run/sockeye/control.sock)"),
  Case(
    "default: dirct",
    "1:10: error: there is no upstream, group or chain named 'dirct' (did you mean "
      + "'direct'?)"),
  Case(
    "default: ${NOPE}",
    "1:10: error: the environment variable 'NOPE' is not set (set it, or write $$ for a "
      + "dollar)"),
  Case(
    "default: ${",
    "1:10: error: '${' has no closing brace (write ${NAME}, or $$ for a dollar)"),
  Case(
    "default: ${1x}",
    "1:10: error: '${1x}' is not a variable's name (write ${NAME}, or $$ for a dollar)"),
  Case(
    "default: \"${D}\""),
  Case(
    """
    hosts: {a.example: "${BAD}"}
    default: direct
    """,
    "1:20: error: what this variable holds is not an IP address (write it like 127.0.0.1)"),
  Case(
    """
    listen: {users: {alice: "a$$b$c"}}
    default: direct
    """),
])
func `hosts, dns, timeouts, limits, log, control and variables`(of: Case) {
  #expect(of.diagnostics == of.expected)
}

@Test(
  arguments: [
    ("default: direct", nil, []),
    ("control: unix:/c\ndefault: direct", "/c", []),
    // Whatever else is wrong with it.
    (
      "control: unix:/c\nupstreams: {a: \"socks5://u:${UNSET}@h:1\"}\nnonsense: 1\ndefault: nowhere", "/c", []
    ),
    ("default: ${UNSET}", nil, []),
    ("control: c\ndefault: nowhere", nil, [1]), ("default: ${UNSET}\ncontrol: unix:${UNSET}", nil, [2]),
    ("control: unix:/c\nx: }", "/c", []), ("x: }\ncontrol:\n  unix:/c\ny: z", "/c", []),
    ("control: unix:/c\nx: }\ncontrol: unix:/d", nil, [2]), ("x: }\n", nil, [1]), ("", nil, [1]),
  ] as [(String, String?, [Int])])
func `where the program is asked is read from any table`(text: String, socket: String?, lines: [Int]) {
  let file = Surroundings.File(bytes: Array(text.utf8))
  let found = loader(files: ["t.yaml": file]).control(of: "t.yaml")
  #expect(found.socket == socket)
  #expect(found.diagnostics.map { $0.position?.line } == lines)
}

@Test func `a table that cannot be read tells nobody where the program is asked`() {
  let found = loader().control(of: "t.yaml")
  #expect(found.socket == nil)
  #expect(
    found.diagnostics.map(\.description) == [
      "t.yaml: error: the file cannot be read: No such file or directory (name a route table file that this "
        + "user can read)"
    ])
}
