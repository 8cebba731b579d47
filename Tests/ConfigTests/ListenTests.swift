import Testing

@Test(arguments: [
  Case(
    """
    listen: 127.0.0.1:0
    default: direct
    """),
  Case(
    """
    listen: "[::1]:1080"
    default: direct
    """),
  Case(
    """
    listen: unix:/run/s.sock
    default: direct
    """),
  Case(
    """
    listen: 1080
    default: direct
    """,
    "1:9: error: '1080' names no address (write 127.0.0.1:1080 for this machine only, "
      + "0.0.0.0:1080 for all of its addresses)"),
  Case(
    """
    listen: :1080
    default: direct
    """,
    "1:9: error: ':1080' names no address (write 127.0.0.1:1080 for this machine only, "
      + "0.0.0.0:1080 for all of its addresses)"),
  Case(
    """
    listen: localhost:1080
    default: direct
    """,
    "1:9: error: a listener needs an address, not a name (write 127.0.0.1:1080)"),
  Case(
    """
    listen: example.com:1080
    default: direct
    """,
    "1:9: error: 'example.com:1080' is not an address to listen on, an IP address and a "
      + "port or unix:/path (write it like 127.0.0.1:1080)"),
  Case(
    """
    listen: unix:s.sock
    default: direct
    """,
    "1:9: error: a socket's path starts with '/' and has at most 107 octets (write "
      + "unix:/run/sockeye.sock)"),
  Case(
    """
    listen: unix:/\(String(repeating: "x", count: 107))
    default: direct
    """,
    "1:9: error: a socket's path starts with '/' and has at most 107 octets (write "
      + "unix:/run/sockeye.sock)"),
  Case(
    """
    listen: []
    default: direct
    """,
    "1:9: error: the list is empty: expected an address to listen on, an IP address and "
      + "a port or unix:/path (write it like 127.0.0.1:1080)"),
  Case(
    """
    listen:
    default: direct
    """,
    "1:8: error: expected an address to listen on, an IP address and a port or "
      + "unix:/path, and there is nothing (write it like 127.0.0.1:1080)"),
  Case(
    """
    listen: [~, {}]
    default: direct
    """,
    "1:10: error: expected an address to listen on, an IP address and a port or "
      + "unix:/path, and there is nothing (write it like 127.0.0.1:1080)"),
  Case(
    """
    listen: 127.0.0.1:99999
    default: direct
    """,
    "1:9: error: '127.0.0.1:99999' is not an address to listen on, an IP address and a "
      + "port or unix:/path (write it like 127.0.0.1:1080)"),
  Case(
    """
    listen: 224.0.0.1:1080
    default: direct
    """,
    "1:9: error: '224.0.0.1:1080' is not an address to listen on, an IP address and a "
      + "port or unix:/path (write it like 127.0.0.1:1080)"),
  Case(
    """
    listen: 0.0.0.0:1080
    default: direct
    """,
    "1:9: error: everyone who reaches '0.0.0.0:1080' could use it (add 'users' or "
      + "'clients', listen on 127.0.0.1, or write 'open: true' if that is meant)"),
  Case(
    """
    listen: "[::]:1080"
    default: direct
    """,
    "1:9: error: everyone who reaches '[::]:1080' could use it (add 'users' or "
      + "'clients', listen on 127.0.0.1, or write 'open: true' if that is meant)"),
  Case(
    """
    listen: {address: 192.0.2.1:1080}
    default: direct
    """,
    "1:19: error: everyone who reaches '192.0.2.1:1080' could use it (add 'users' or "
      + "'clients', listen on 127.0.0.1, or write 'open: true' if that is meant)"),
  Case(
    """
    listen: {address: 0.0.0.0:1080, open: true}
    default: direct
    """),
  Case(
    """
    listen: {address: 0.0.0.0:1080, open: false}
    default: direct
    """,
    "1:19: error: everyone who reaches '0.0.0.0:1080' could use it (add 'users' or "
      + "'clients', listen on 127.0.0.1, or write 'open: true' if that is meant)"),
  Case(
    """
    listen: {address: 0.0.0.0:1080, open: yes}
    default: direct
    """,
    "1:39: error: 'yes' is not 'true' or 'false' (write it like true)"),
  Case(
    """
    listen: {address: 0.0.0.0:1080, auth: optional}
    default: direct
    """,
    "1:19: error: everyone who reaches '0.0.0.0:1080' could use it (add 'users' or "
      + "'clients', listen on 127.0.0.1, or write 'open: true' if that is meant)"),
  Case(
    """
    listen: {address: 0.0.0.0:1080, clients: 10.0.0.0/8}
    default: direct
    """),
  Case(
    """
    listen: {address: 0.0.0.0:1080, users: {a: b}}
    default: direct
    """),
  Case(
    """
    listen: [127.0.0.1:1080, 127.0.0.1:1080]
    default: direct
    """,
    "1:26: error: '127.0.0.1:1080' is listened on twice (remove one)"),
  Case(
    """
    listen: ["127.0.0.1:1080", "[::ffff:127.0.0.1]:1080"]
    default: direct
    """,
    "1:28: error: '[::ffff:127.0.0.1]:1080' is '127.0.0.1:1080', which is listened on already (remove one)"),
  Case(
    """
    listen: [unix:/run/a, unix:/run//./a]
    default: direct
    """,
    "1:23: error: 'unix:/run//./a' is 'unix:/run/a', which is listened on already (remove one)"),
  Case(
    """
    listen: [{address: 0.0.0.0:1080, open: true}, {address: "[::]:1080", open: true}, 127.0.0.1:1080]
    default: direct
    """),
  Case(
    """
    listen: [{name: a}, {name: a, address: 127.0.0.1:1}]
    default: direct
    """,
    "1:21: error: two listeners have the name 'a' (choose another for this one)"),
  Case(
    """
    listen: [127.0.0.1:0, 127.0.0.1:0]
    default: direct
    """),
  Case(
    """
    listen: {table: t, tls: {}, proxy_protocol: true}
    default: direct
    """,
    "1:10: error: 'table' is not supported yet (remove it)",
    "1:20: error: 'tls' is not supported yet (remove it)",
    "1:29: error: 'proxy_protocol' is not supported yet (remove it)"),
  Case(
    """
    listen: [{protocols: socks4, auth: optional}, {address: 127.0.0.1:1, protocols: [socks4, socks5], users: {a: b}}, {address: 127.0.0.1:2, protocols: http, users: {a: b}}]
    default: direct
    """),
  Case(
    """
    listen: [{protocols: []}, {address: 127.0.0.1:1, protocols: [socks6, https, socks4a, ~]}]
    default: direct
    """,
    "1:22: error: the list is empty: expected a protocol (write it like socks5)",
    "1:62: error: 'socks6' is not 'socks5', 'socks4' or 'http' (did you mean 'socks5'?)",
    "1:70: error: 'https' is not 'socks5', 'socks4' or 'http' (did you mean 'http'?)",
    "1:77: error: 'socks4a' is not 'socks5', 'socks4' or 'http' (did you mean 'socks4'?)",
    "1:86: error: expected 'socks5', 'socks4' or 'http', and there is nothing (write it like socks5)"),
  Case(
    """
    listen: {protocols: socks4, users: {a: b}}
    default: direct
    """,
    "1:21: error: SOCKS4 has no passwords, so that nobody could pass (add 'socks5', or remove 'users')"),
  Case(
    """
    listen: {adress: 127.0.0.1:1080}
    default: direct
    """,
    "1:10: error: a listener has no key 'adress' (did you mean 'address'?)"),
  Case(
    """
    listen: {clients: [10.0.0.1/8, 10.0.0.0/33, lan, "fc00::/129"]}
    default: direct
    """,
    "1:20: error: '10.0.0.1/8' has bits behind its length (did you mean '10.0.0.0/8' or "
      + "'10.0.0.1'?)",
    "1:32: error: '10.0.0.0/33' has more than 32 bits (write a length up to that)",
    "1:45: error: 'lan' is not an address or a prefix (write it like 10.0.0.0/8)",
    "1:50: error: 'fc00::/129' has more than 128 bits (write a length up to that)"),
])
func `what may stand under 'listen'`(of: Case) {
  #expect(of.diagnostics == of.expected)
}
