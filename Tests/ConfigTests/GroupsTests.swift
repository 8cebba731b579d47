import Testing

@Test(arguments: [
  Case(
    """
    upstreams: {a: "socks5://h:1", b: "socks5://h:2", c: "socks5://h:3"}
    groups:
      g1: {members: [a, b, [c, a], direct]}
      g2: {members: [g1, long], strategy: sticky, sticky: destination}
      g3: {members: [a, b], strategy: random, weights: {a: 3}}
      g4: {members: a, strategy: round-robin, check: off}
      g5: {members: [a, b], strategy: fastest, check: {to: "x.example:443", every: 1m, timeout: 2s}}
      g6: {members: [a, b], strategy: least-connections, check: {to: "[2001:db8::1]:443"}}
      g7: {members: [a, b], strategy: sticky}
    chains: {long: [g3, c], pair: [g5, g5]}
    routes:
      - {port: 1, via: g1}
      - {port: 2, via: [c, g3]}
    default: g2
    tests:
      - {to: "h:1", expect: g1}
      - {to: "h:2", expect: [c, g3]}
      - {to: "h:3", expect: g2}
    """),
  Case(
    """
    upstreams: {a: "socks5://h:1", b: "socks5://h:2"}
    groups:
      g1: {}
      g2: [a, b]
      g3: {members: []}
      g4: {members: [a, a, c]}
      g5: {members: [a, reject], strategy: fast}
      a: {members: [a]}
    default: direct
    """,
    "3:7: error: a group needs its 'members' (write {members: [de, nl]})",
    "4:7: error: expected a group, not a list (write it like {members: [de, nl]})",
    "5:17: error: the list is empty: expected a list of upstreams, groups and chains (write it like [de, nl])",
    "6:21: error: 'a' is listed twice in this group (remove one)",
    "6:24: error: there is no upstream, group or chain named 'c' (add it under 'upstreams')",
    "7:21: error: 'reject' cannot be a member of a group (remove it, or write a route)",
    "7:40: error: 'fast' is not 'failover', 'round-robin', 'random', 'fastest', 'least-connections' or 'sticky' "
      + "(did you mean 'fastest'?)",
    "8:3: error: the name 'a' is already taken in line 1 (choose another)"),
  Case(
    """
    upstreams: {a: "socks5://h:1", b: "socks5://h:2"}
    groups:
      g1: {members: [a, g2]}
      g2: {members: [b, c]}
      g3: {members: [g3]}
    chains: {c: [g1]}
    default: direct
    """,
    "5:18: error: the group 'g3' stands inside itself (remove it here)",
    "6:14: error: the group 'g1' stands inside itself (remove it here)"),
  Case(
    """
    upstreams: {a: "socks5://h:1", b: "socks5://h:2"}
    groups:
      g1: {members: [a, b], sticky: client}
      g2: {members: [a, b], strategy: sticky, sticky: clients}
      g3: {members: [a, b], weights: {a: 1}}
      g4: {members: [a, b], strategy: random, weights: {aa: 1, b: 0}}
      g5: {members: [a, b], strategy: random, weights: [a]}
      g6: {members: [a, b], warm: 3}
    default: direct
    """,
    "3:25: error: 'sticky' is for 'strategy: sticky', and this group's is 'failover' (write 'strategy: sticky', or "
      + "remove it)",
    "4:51: error: 'clients' is not 'client', 'user' or 'destination' (did you mean 'client'?)",
    "5:25: error: 'weights' are for 'strategy: random' (write that, or remove them)",
    "6:53: error: the group has no member 'aa' (add it to 'members', or remove it)",
    "6:63: error: '0' is not a number from 1 to 1000 (write it like 1)",
    "7:52: error: expected a map from members to numbers, not a list (write it like {de: 3, nl: 1})",
    "8:25: error: a group has no key 'warm' (it may have 'members', 'strategy', 'weights', 'sticky', 'check')"
  ),
  Case(
    """
    upstreams: {a: "socks5://h:1"}
    groups:
      g1: {members: a, check: on}
      g2: {members: a, check: {every: 1s}}
      g3: {members: a, check: {to: x.example}}
      g4: {members: a, check: {to: "x:1", every: 5, timeout: 0s}}
      g5: {members: a, check: {to: "x:1", evry: 5s}}
    default: direct
    """,
    "3:27: error: 'on' is not 'off' or a map (write it like {to: \"www.example.com:443\", every: 30s, timeout: 5s})",
    "4:27: error: a check needs 'to', what is dialled through each member (write {to: \"www.example.com:443\", "
      + "every: 30s, timeout: 5s})",
    "5:32: error: 'x.example' is not a host and a port (write it like www.example.com:443)",
    "6:46: error: '5' is not a duration (write it like 500ms, 10s, 2m or 1h)",
    "6:58: error: '0s' is out of range (write 1ms to 8760h)",
    "7:39: error: a check has no key 'evry' (did you mean 'every'?)"),
  Case(
    """
    upstreams: {a: "socks5://h:1", b: "socks5://h:2"}
    groups: {g: {members: [a, direct]}, h: {members: [g, b]}}
    chains: {c: [b, g], d: [h, b], e: {hops: [g, b], mode: dynamic}}
    routes: {port: 1, via: [a, h]}
    default: g
    """,
    "3:17: error: 'g' may go direct, and a chain passes hops (take 'direct' out of it, or write it alone)",
    "3:25: error: 'h' may go direct, and a chain passes hops (take 'direct' out of it, or write it alone)",
    "3:43: error: 'g' may go direct, and a chain passes hops (take 'direct' out of it, or write it alone)",
    "4:28: error: 'h' may go direct, and a chain passes hops (take 'direct' out of it, or write it alone)"),
  Case(
    """
    upstreams: {a: "socks5://h:1", b: "socks5://h:2", old: "socks4://10.0.0.1:1"}
    groups: {g: {members: [a, b]}, one: {members: a}}
    chains: {c: [a, g], d: [g, g, g], e: [a, one], f: [old, g]}
    default: direct
    """,
    "3:24: error: there is no way through this chain that passes no hop twice and that its hops can go "
      + "(add choices)",
    "3:38: error: there is no way through this chain that passes no hop twice and that its hops can go "
      + "(add choices)",
    "3:51: error: there is no way through this chain that passes no hop twice and that its hops can go "
      + "(add choices)"),
  Case(
    """
    upstreams: {a: "socks5://127.0.0.1:1080", b: "socks5://127.0.0.1:1081", far: "socks5://h:1"}
    groups: {g: {members: [b, [far, a]]}, h: {members: [far, b]}}
    routes: {port: 1, via: g}
    default: direct
    """),
  Case(
    """
    upstreams: {a: "socks5://127.0.0.1:1080", b: "socks5://127.0.0.1:1081", far: "socks5://h:1"}
    groups: {h: {members: [far, b]}}
    routes: {port: 1, via: [h, a]}
    default: direct
    """,
    "1:16: error: 'a' is a listener of this program itself: a connection would run in a circle (write the address "
      + "of another proxy)"),
  Case(
    """
    upstreams: {a: {url: "socks5://h:1", udp: no}, b: {url: "socks5://h:2", udp: no}, c: "socks5://h:3"}
    groups: {g: {members: [a, b]}, h: {members: [a, c]}}
    routes: [{port: 1, via: g}, {port: 2, via: h}, {port: 3, via: g, udp: h}, {port: 4, via: h, udp: g}]
    default: direct
    """,
    "3:98: error: 'a' does not carry UDP either (write 'reject', 'direct' or another chain)"),
  Case(
    """
    upstreams: {a: {url: "socks5://h:1", udp: no}, b: {url: "socks5://h:2", udp: no}, c: "socks5://h:3"}
    groups: {g: {members: [a, b]}, h: {members: [a, c]}}
    routes: [{port: 1, via: g}, {port: 2, via: h}]
    default: direct
    """,
    "3:10: warning: 'a' carries no UDP: this route drops it (write 'udp: reject' to say so, 'udp: direct' if it may "
      + "go around the chain, or 'network: tcp' to leave it to later routes)"),
])
func `what may stand under 'groups', and where a group may stand`(of: Case) {
  #expect(of.diagnostics == of.expected)
}

@Test func `groups of groups that multiply are refused before they do`() {
  var groups = "  g0: {members: [a, b]}\n"
  for level in 1...20 {
    groups += "  c\(level): {members: [g\(level - 1)]}\n  g\(level): {members: [g\(level - 1), c\(level)]}\n"
  }
  let messages = diagnostics(
    of: "default: direct\nupstreams: {a: \"socks5://h:1\", b: \"socks5://h:2\"}\ngroups:\n\(groups)")
  #expect(messages.count == 1)
  #expect(
    messages.first?.hasSuffix("error: this stands for more than 4096 proxies, all told (remove some)") == true
  )
}
