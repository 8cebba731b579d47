import Testing

@Test(arguments: [
  Case(
    """
    upstreams: {tor: {url: "socks5://h:1", udp: no}}
    default: tor
    """,
    "2:10: warning: 'tor' carries no UDP: what no route takes of it is dropped (add a route that says "
      + "so, {network: udp, via: reject})"),
  Case(
    """
    upstreams: {a: "socks5://h:1", old: socks4://10.0.0.1:1, b: "socks5://10.0.0.2:1"}
    routes: {domain: corp.example, via: [a, old, b]}
    default: direct
    """,
    "2:9: warning: 'old' carries no UDP: this route drops it (write 'udp: reject' to say so, 'udp: direct' "
      + "if it may go around the chain, or 'network: tcp' to leave it to later routes)"),
  Case(
    """
    upstreams: {tor: {url: "socks5://h:1", udp: no}, old: socks4://10.0.0.1:1}
    routes:
    - {domain: onion, via: tor}
    - {port: 80, via: old}
    - {port: 81, via: tor, udp: reject}
    - {port: [82, 53], via: tor}
    - {port: 83, via: tor}
    default: tor
    """,
    "3:3: warning: 'tor' carries no UDP: this route drops it, and so do 2 more, next that at line 6 (write "
      + "'udp: reject' to say so, 'udp: direct' if it may go around the chain, or 'network: tcp' to leave it to "
      + "later routes)",
    "4:3: warning: 'old' carries no UDP: this route drops it (write 'udp: reject' to say so, 'udp: direct' "
      + "if it may go around the chain, or 'network: tcp' to leave it to later routes)",
    "8:10: warning: 'tor' carries no UDP: what no route takes of it is dropped (add a route that says "
      + "so, {network: udp, via: reject})"),
  Case(
    """
    upstreams: {a: "socks5://h:1", b: {url: "socks5://h:2", udp: yes}}
    routes: {port: 80, via: [a, b]}
    default: a
    """),
  Case(
    """
    upstreams: {tor: {url: "socks5://h:1", udp: no}}
    routes: [{network: tcp, domain: onion, via: tor}, {command: [connect, bind], via: tor}, {via: direct}]
    default: tor
    """),
  Case(
    """
    upstreams: {tor: {url: "socks5://h:1", udp: no}}
    routes: [{any: [{network: udp}, {port: 25}], via: reject}, {domain: onion, via: tor}]
    default: tor
    """),
  Case(
    """
    listen: {udp: false}
    upstreams: {tor: {url: "socks5://h:1", udp: no}}
    default: tor
    """),
  Case(
    """
    listen: [{name: a, udp: false}, {name: b, address: 127.0.0.1:1, protocols: socks4}, {name: c, address: 127.0.0.1:2, auth: optional}]
    upstreams: {tor: {url: "socks5://h:1", udp: no}}
    routes: [{listener: [a, b], via: tor}, {user: u, listener: "127.0.0.1:1080", via: tor}]
    default: direct
    """),
  Case(
    """
    listen: [{name: a, udp: false}, {name: b, address: 127.0.0.1:1}]
    upstreams: {tor: {url: "socks5://h:1", udp: no}}
    routes: [{listener: [a, b], via: tor}]
    default: direct
    """,
    "3:10: warning: 'tor' carries no UDP: this route drops it (write 'udp: reject' to say so, 'udp: direct' "
      + "if it may go around the chain, or 'network: tcp' to leave it to later routes)"),
])
func `a table says beforehand which UDP it drops`(of: Case) {
  #expect(of.diagnostics == of.expected)
}
