import Testing

@Test(arguments: [
  Case(
    """
    upstreams: {a: "socks5://h:1", b: "socks5://h:2"}
    routes: []
    default: direct
    """),
  Case(
    """
    upstreams: {a: "socks5://h:1", b: "socks5://h:2"}
    routes: {via: a}
    default: direct
    """),
  Case(
    """
    upstreams: {a: "socks5://h:1", b: "socks5://h:2"}
    routes: [{domain: x}, {via: }, {via: {}}, a, ~]
    default: direct
    """,
    "2:10: error: a route needs its 'via' (write where it leads, such as 'via: direct')",
    "2:29: error: expected 'direct', 'reject', 'drop', the name of an upstream, a group or a "
      + "chain, or a list, and there is nothing (write it like direct)",
    "2:38: error: a map here is not supported yet (write the name of an upstream, a group or a "
      + "chain, or a list)",
    "2:43: error: 'a' is not a route (write it like {domain: corp.example, via: office})",
    "2:46: error: expected a route, and there is nothing (write it like {domain: "
      + "corp.example, via: office})"),
  Case(
    """
    upstreams: {a: "socks5://h:1", b: "socks5://h:2"}
    routes:
    - {via: offce}
    - {via: [a, offce]}
    - {via: table t}
    - {via: [direct]}
    - {via: A}
    - {via: []}
    default: direct
    """,
    "3:9: error: there is no upstream, group or chain named 'offce' (add it under "
      + "'upstreams')",
    "4:13: error: there is no upstream, group or chain named 'offce' (add it under "
      + "'upstreams')",
    "5:9: error: going on in another table is not supported yet (write the outcome "
      + "itself)",
    "6:10: error: 'direct' cannot stand in a chain (write it alone, or remove it)",
    "7:9: error: there is no upstream, group or chain named 'A' (did you mean 'a'?)",
    "8:9: error: the list is empty: expected a list of upstreams, groups and chains, in travel "
      + "order (write it like [office, tor])"),
  Case(
    """
    upstreams: {a: "socks5://h:1", b: "socks5://h:2"}
    routes: {domain: ["*.x.example", "*x", 10.0.0.1, 10.0.0.0/8, http://x, "x y", "x..y", "bücher.example", "", ~, 1.2, \(String(repeating: "x", count: 64))], via: a}
    default: direct
    """,
    "2:19: error: 'domain' covers everything below a name by itself (write 'x.example')",
    "2:34: error: '*x' is a pattern, not a name (write it under 'host')",
    "2:40: error: '10.0.0.1' is an address, not a name (write it under 'ip')",
    "2:50: error: '10.0.0.0/8' is an address, not a name (write it under 'ip')",
    "2:62: error: 'http://x' is not a domain name (write the host name alone)",
    "2:72: error: 'x y' is not a domain name (write it like corp.example)",
    "2:79: error: 'x..y' is not a domain name (write it like corp.example)",
    "2:87: error: 'bücher.example' has letters that names do not travel in (write its "
      + "xn-- form)",
    "2:105: error: '' is not a domain name (write it like corp.example)",
    "2:109: error: expected a domain name, and there is nothing (write it like "
      + "corp.example)",
    "2:112: error: '1.2' is not a domain name (write it like corp.example)",
    "2:117: error: a name has at most 253 octets, and 63 between two dots (shorten it)"),
  Case(
    """
    upstreams: {a: "socks5://h:1", b: "socks5://h:2"}
    routes: {domain: .x.example, via: a}
    default: direct
    """),
  Case(
    """
    routes: {domain: [], via: direct}
    default: direct
    """,
    "1:18: error: the list is empty: expected a domain name (write it like corp.example)"),
  Case(
    """
    routes: {domain: {a: b}, via: direct}
    default: direct
    """,
    "1:18: error: expected a domain name, not a map (write it like corp.example)"),
  Case(
    """
    routes: {host: [x, "*.x", /^x/, 10.0.0.1], via: direct}
    default: direct
    """),
  Case(
    """
    routes: {host: ["x y", /x, "/x(/", "10.0.0.*", ""], via: direct}
    default: direct
    """,
    "1:17: error: 'x y' is no host pattern: not a host name, an address, a pattern with "
      + "'*' or a /regular expression/ (write it like www.corp.example)",
    "1:24: error: '/x' is no host pattern: a regular expression stands between two "
      + "slashes (write it like www.corp.example)",
    "1:28: error: '/x(/' is no host pattern: missing closing parenthesis, at offset 2 "
      + "(write it like www.corp.example)",
    "1:36: error: '10.0.0.*' is no host pattern: patterns match names only; write a "
      + "prefix such as 10.0.0.0/8 under 'ip' (write it like www.corp.example)",
    "1:48: error: '' is not a host name, a pattern with '*' or a /regular expression/ "
      + "(write it like www.corp.example)"),
  Case(
    """
    routes: {ip: [10.0.0.0/8, "::1", "::ffff:10.0.0.0/104"], via: direct}
    default: direct
    """),
  Case(
    """
    routes: {ip: [10.0.0.1/8, 10.0.0.0/33, "fc00::1/7", office.example, 10.0.0, 10.0.0.0/, 10/8], via: direct}
    default: direct
    """,
    "1:15: error: '10.0.0.1/8' has bits behind its length (did you mean '10.0.0.0/8' or "
      + "'10.0.0.1'?)",
    "1:27: error: '10.0.0.0/33' has more than 32 bits (write a length up to that)",
    "1:40: error: 'fc00::1/7' has bits behind its length (did you mean 'fc00::/7' or "
      + "'fc00::1'?)",
    "1:53: error: 'office.example' is a name, not an address (write it under 'domain')",
    "1:69: error: '10.0.0' is not an address or a prefix (write it like 10.0.0.0/8)",
    "1:77: error: '10.0.0.0/' is not an address or a prefix (write it like 10.0.0.0/8)",
    "1:88: error: '10/8' is not an address or a prefix (write it like 10.0.0.0/8)"),
  Case(
    """
    routes: {port: [443, 6000-6063, "22"], via: direct}
    default: direct
    """),
  Case(
    """
    routes: {port: [0, 65536, 10-5, 1-, -1, http, 0x10, 1_000, 1-2-3, 5.0], via: direct}
    default: direct
    """,
    "1:17: error: '0' is not a port from 1 to 65535 or a range of them (write it like "
      + "443 or 6000-6063)",
    "1:20: error: '65536' is not a port from 1 to 65535 or a range of them (write it "
      + "like 443 or 6000-6063)",
    "1:27: error: '10-5' runs backwards (write 5-10)",
    "1:33: error: '1-' is not a port from 1 to 65535 or a range of them (write it like "
      + "443 or 6000-6063)",
    "1:37: error: '-1' is not a port from 1 to 65535 or a range of them (write it like "
      + "443 or 6000-6063)",
    "1:41: error: 'http' is not a port from 1 to 65535 or a range of them (write it like "
      + "443 or 6000-6063)",
    "1:47: error: '0x10' is not a port from 1 to 65535 or a range of them (write it like "
      + "443 or 6000-6063)",
    "1:53: error: '1_000' is not a port from 1 to 65535 or a range of them (write it "
      + "like 443 or 6000-6063)",
    "1:60: error: '1-2-3' is not a port from 1 to 65535 or a range of them (write it "
      + "like 443 or 6000-6063)",
    "1:67: error: '5.0' is not a port from 1 to 65535 or a range of them (write it like "
      + "443 or 6000-6063)"),
  Case(
    """
    routes: {network: [tcp, udp, icmp], command: [connect, bind, udp, conect], via: direct}
    default: direct
    """,
    "1:30: error: 'icmp' is not 'tcp' or 'udp' (write it like tcp)",
    "1:67: error: 'conect' is not 'connect', 'bind' or 'udp' (did you mean 'connect'?)"),
  Case(
    """
    routes: {client: [10.0.0.0/8, lan], user: [alice, "", [x]], via: direct}
    default: direct
    """,
    "1:31: error: 'lan' is not an address or a prefix (write it like 10.0.0.0/8)",
    "1:44: warning: no listener asks for user names, so that 'user' never holds (give one 'users' or"
      + " 'auth: optional', or remove this)",
    "1:51: error: '' is not a user name (write it like alice)",
    "1:55: error: expected a user name, not a list (write it like alice)"),
  Case(
    """
    listen: {name: office}
    routes: {listener: [office, 127.0.0.1:1080, ofice, xyz], via: direct}
    default: direct
    """,
    "2:45: error: there is no listener 'ofice' (did you mean 'office'?)",
    "2:52: error: there is no listener 'xyz' (write the name or the address of one under "
      + "'listen')"),
  Case(
    """
    routes: {any: [{port: 1}, {all: {not: {domain: x}}}], via: direct}
    default: direct
    """),
  Case(
    """
    routes: {any: [], all: {}, not: [{port: 1}], via: direct}
    default: direct
    """,
    "1:15: error: the list is empty: expected a condition (write it like {domain: "
      + "corp.example})",
    "1:24: error: expected a condition, not a map (write it like {domain: corp.example})",
    "1:33: error: 'not' takes one map (write {any: […]} in it for several)"),
  Case(
    """
    routes: {any: [{via: direct}, {port: 0}, x], via: direct}
    default: direct
    """,
    "1:17: error: a condition has no key 'via' (it may have 'domain', 'host', 'ip', "
      + "'port', 'network', 'command', 'client', 'user', 'listener', 'any', 'all', 'not')",
    "1:38: error: '0' is not a port from 1 to 65535 or a range of them (write it like "
      + "443 or 6000-6063)",
    "1:42: error: 'x' is not a condition (write it like {domain: corp.example})"),
  Case(
    """
    routes: {list: ads, country: DE, asn: 1, protocol: tls, sniff: true, process: curl, time: mon-fri, resolve: local, bind: 1.1.1.1, interface: eth0, mark: 1, via: direct}
    default: direct
    """,
    "1:10: error: 'list' is not supported yet (remove it)",
    "1:21: error: 'country' is not supported yet (remove it)",
    "1:34: error: 'asn' is not supported yet (remove it)",
    "1:42: error: 'protocol' is not supported yet (remove it)",
    "1:57: error: 'sniff' is not supported yet (remove it)",
    "1:70: error: 'process' is not supported yet (remove it)",
    "1:85: error: 'time' is not supported yet (remove it)",
    "1:100: error: 'resolve' is not supported yet (remove it)",
    "1:116: error: 'bind' is not supported yet (remove it)",
    "1:131: error: 'interface' is not supported yet (remove it)",
    "1:148: error: 'mark' is not supported yet (remove it)"),
  Case(
    """
    upstreams: {a: "socks5://h:1", b: {url: "socks5://h:2", udp: no}, c: "socks4://h:3"}
    routes:
    - {port: 1, via: b, udp: reject}
    - {port: 2, via: [a, b], udp: direct}
    - {port: 3, via: c, udp: a}
    - {port: 4, via: a, udp: [a]}
    - {port: 5, via: b, udp: drop}
    default: direct
    """),
  Case(
    """
    upstreams: {a: "socks5://h:1", b: {url: "socks5://h:2", udp: no}, c: "socks4://10.0.0.3:3"}
    routes:
    - {port: 1, via: direct, udp: reject}
    - {port: 2, via: reject, udp: a}
    - {port: 3, via: b, udp: c}
    - {port: 4, via: b, udp: [a, b]}
    - {port: 5, via: b, udp: offce}
    - {port: 6, via: b, udp: }
    - {port: 7, via: offce, udp: b}
    default: direct
    """,
    "3:31: error: 'udp' is for what a chain cannot carry, and 'via' is none (remove it, or write "
      + "a route with 'network: udp' before this one)",
    "4:31: error: 'udp' is for what a chain cannot carry, and 'via' is none (remove it, or write "
      + "a route with 'network: udp' before this one)",
    "5:26: error: 'c' does not carry UDP either (write 'reject', 'direct' or another chain)",
    "6:26: error: 'b' does not carry UDP either (write 'reject', 'direct' or another chain)",
    "7:26: error: there is no upstream, group or chain named 'offce' (add it under 'upstreams')",
    "8:26: error: expected 'direct', 'reject', 'drop', the name of an upstream, a group or a "
      + "chain, or a list, and there is nothing (write it like direct)",
    "9:18: error: there is no upstream, group or chain named 'offce' (add it under 'upstreams')",
    "9:30: error: 'b' does not carry UDP either (write 'reject', 'direct' or another chain)"),
  Case(
    """
    routes: {any: {country: DE}, via: direct}
    default: direct
    """,
    "1:16: error: 'country' is not supported yet (remove it)"),
  Case(
    """
    routes: {name: [x], note: , timeout: 10, idle: x, via: direct}
    default: direct
    """,
    "1:16: error: expected a name, not a list (write it like office)",
    "1:27: error: expected a note, and there is nothing (write it like for the night "
      + "shift)",
    "1:38: error: '10' is not a duration (write it like 500ms, 10s, 2m or 1h)",
    "1:48: error: 'x' is not a duration (write it like 500ms, 10s, 2m or 1h)"),
  Case(
    """
    routes: {dmain: x, xyz: y, via: direct}
    default: direct
    """,
    "1:10: error: a route has no key 'dmain' (did you mean 'domain'?)",
    "1:20: error: a route has no key 'xyz' (it may have 'via', 'udp', 'rewrite', 'name', "
      + "'note', 'timeout', 'idle', 'domain', 'host', 'ip', 'port', 'network', 'command', 'client', "
      + "'user', 'listener', 'any', 'all', 'not')"),
  Case(
    """
    routes: x
    default: direct
    """,
    "1:9: error: 'x' is not a route (write it like {domain: corp.example, via: office})"),
  Case(
    """
    upstreams: {a: "socks5://h:1", b: "socks5://h:2"}
    default: [a, b]
    """),
  Case(
    """
    upstreams: {a: "socks5://h:1", b: "socks5://h:2"}
    default: [a, direct]
    """,
    "2:14: error: 'direct' cannot stand in a chain (write it alone, or remove it)"),
  Case(
    "default: {a: b}",
    "1:10: error: a map here is not supported yet (write the name of an upstream, a group or a "
      + "chain, or a list)"),
  Case(
    "default:",
    "1:9: error: expected 'direct', 'reject', 'drop', the name of an upstream, a group or a "
      + "chain, or a list, and there is nothing (write it like direct)"),
  Case(
    "default: offce",
    "1:10: error: there is no upstream, group or chain named 'offce' (add it under "
      + "'upstreams')"),
  Case(
    """
    upstreams: {a: "socks5://h:1", b: "socks5://h:2"}
    routes: {ip: 10.0.0.0/8, via: a}
    default: direct
    """,
    "2:9: warning: a client that asks for a name passes this route by, and goes direct "
      + "to whatever address the name has (add a 'domain' route to 'a' for the names in "
      + "these ranges)"),
  Case(
    """
    upstreams: {a: "socks5://h:1", b: "socks5://h:2"}
    routes: [{ip: 10.0.0.0/8, via: a}, {domain: x.example, via: a}]
    default: direct
    """),
  Case(
    """
    upstreams: {a: "socks5://h:1", b: "socks5://h:2"}
    routes: [{ip: 10.0.0.0/8, via: a}, {domain: x.example, via: b}]
    default: direct
    """,
    "2:10: warning: a client that asks for a name passes this route by, and goes direct "
      + "to whatever address the name has (add a 'domain' route to 'a' for the names in "
      + "these ranges)"),
  Case(
    """
    upstreams: {a: "socks5://h:1", b: "socks5://h:2"}
    routes: {ip: 10.0.0.0/8, via: a}
    default: b
    """),
  Case(
    """
    upstreams: {a: "socks5://h:1", b: "socks5://h:2"}
    routes: {any: [{ip: 10.0.0.0/8}, {port: 1}], via: a}
    default: direct
    """),
  Case(
    """
    upstreams: {a: "socks5://h:1", b: "socks5://h:2"}
    routes: {ip: 10.0.0.0/8, port: 22, via: a}
    default: direct
    """,
    "2:9: warning: a client that asks for a name passes this route by, and goes direct "
      + "to whatever address the name has (add a 'domain' route to 'a' for the names in "
      + "these ranges)"),
  Case(
    """
    routes: {ip: 10.0.0.0/8, via: reject}
    default: direct
    """),
])
func `what may stand under 'routes' and 'default'`(of: Case) {
  #expect(of.diagnostics == of.expected)
}
