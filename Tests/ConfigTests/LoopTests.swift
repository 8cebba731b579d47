import Testing

@Test(arguments: [
  Case(
    """
    upstreams: {a: "socks5://127.0.0.1:1080"}
    default: a
    """,
    "1:16: error: 'a' is a listener of this program itself: a connection would run in a "
      + "circle (write the address of another proxy)"),
  Case(
    """
    upstreams: {a: "socks5://127.0.0.1:1080"}
    default: direct
    """),
  Case(
    """
    upstreams: {a: "socks5://localhost:1080"}
    routes: [{port: 1, via: a}, {port: 2, via: a}]
    default: direct
    """,
    "1:16: error: 'a' is a listener of this program itself: a connection would run in a "
      + "circle (write the address of another proxy)"),
  Case(
    """
    listen: {address: 0.0.0.0:1080, open: true}
    upstreams: {a: "socks5://127.0.0.2:1080"}
    default: a
    """,
    "2:16: error: 'a' is a listener of this program itself: a connection would run in a "
      + "circle (write the address of another proxy)"),
  Case(
    """
    listen: {address: "[::]:1080", open: true}
    upstreams: {a: "socks5://[::1]:1080", b: "socks5://127.0.0.1:1081"}
    default: [b, a]
    """,
    "2:16: error: 'a' is a listener of this program itself: a connection would run in a "
      + "circle (write the address of another proxy)"),
  Case(
    """
    upstreams: {a: "socks5://127.0.0.1:1080", b: "socks5://h.example:1080"}
    default: [b, a]
    """),
  Case(
    """
    upstreams: {a: "socks5://127.0.0.1:1080", b: "socks5://127.0.0.1:1081"}
    default: [b, a]
    """,
    "1:16: error: 'a' is a listener of this program itself: a connection would run in a "
      + "circle (write the address of another proxy)"),
  Case(
    """
    listen: {address: 192.0.2.1:1080, open: true}
    upstreams: {a: "socks5://192.0.2.1:1080", b: "socks5://h.example:1080"}
    default: [b, a]
    """,
    "2:16: error: 'a' is a listener of this program itself: a connection would run in a "
      + "circle (write the address of another proxy)"),
  Case(
    """
    upstreams: {a: "socks5://127.0.0.1:1081"}
    default: a
    """),
])
func `a hop that is one of our own listeners is refused`(of: Case) {
  #expect(of.diagnostics == of.expected)
}
