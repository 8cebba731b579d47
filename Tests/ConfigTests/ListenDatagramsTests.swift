import Testing

@Test(arguments: [
  Case(
    """
    listen:
    - {udp: false, bind: false}
    - {address: 127.0.0.1:1, udp: true, bind: true}
    - {address: 127.0.0.1:2, udp: {}, bind: {}}
    - {address: 127.0.0.1:3, udp: {advertise: 192.0.2.7, ports: 40000-40100, filtering: endpoint-independent}}
    - {address: 127.0.0.1:4, udp: {filtering: address}, bind: {advertise: "2001:db8::7", ports: 40000}}
    default: direct
    """),
  Case(
    """
    listen: {udp: no, bind: [false]}
    default: direct
    """,
    "1:15: error: 'no' is not 'true', 'false' or a map (write it like {ports: 40000-40100})",
    "1:25: error: expected 'true', 'false' or a map, not a list (write it like {ports: 40000-40100})"),
  Case(
    """
    listen: {udp: , bind: off}
    default: direct
    """,
    "1:15: error: expected 'true', 'false' or a map, and there is nothing (write it like {ports: 40000-40100})",
    "1:23: error: 'off' is not 'true', 'false' or a map (write it like {ports: 40000-40100})"),
  Case(
    """
    listen: {udp: {advertise: 0.0.0.0, ports: 0-9, filtering: endpoint}, bind: {advertise: nat.example, ports: 9-1}}
    default: direct
    """,
    "1:27: error: '0.0.0.0' is not an IP address that clients can reach (write it like 192.0.2.7)",
    "1:43: error: '0-9' is not a port from 1 to 65535 or a range of them (write it like 443 or 6000-6063)",
    "1:59: error: 'endpoint' is not 'address' or 'endpoint-independent' (did you mean "
      + "'endpoint-independent'?)",
    "1:88: error: 'nat.example' is not an IP address that clients can reach (write it like 192.0.2.7)",
    "1:108: error: '9-1' runs backwards (write 1-9)"),
  Case(
    """
    listen: [{protocols: socks4, udp: {ports: 9}}, {protocols: socks4, udp: false, address: 127.0.0.1:1}]
    default: direct
    """,
    "1:30: error: SOCKS4 has no UDP (remove 'udp', or add 'socks5' to 'protocols')"),
  Case(
    """
    listen:
    - {address: 127.0.0.1:1, protocols: http, udp: true, bind: true}
    - {address: 127.0.0.1:2, protocols: [socks4, http], udp: true, bind: true}
    - {address: 127.0.0.1:3, protocols: http, udp: false, bind: false}
    default: direct
    """,
    "2:43: error: HTTP has no UDP (remove 'udp', or add 'socks5' to 'protocols')",
    "2:54: error: HTTP has no BIND (remove 'bind', or add 'socks5' to 'protocols')",
    "3:53: error: SOCKS4 and HTTP have no UDP (remove 'udp', or add 'socks5' to 'protocols')"),
  Case(
    """
    listen: {udp: {port: 9, timeout: 1s}, bind: {filtering: address}}
    default: direct
    """,
    "1:16: error: the 'udp' map has no key 'port' (did you mean 'ports'?)",
    "1:25: error: the 'udp' map has no key 'timeout' (it may have 'advertise', 'ports', 'filtering')",
    "1:46: error: the 'bind' map has no key 'filtering' (it may have 'advertise', 'ports')"),
])
func `what may stand under 'udp' and 'bind' of a listener`(of: Case) {
  #expect(of.diagnostics == of.expected)
}
