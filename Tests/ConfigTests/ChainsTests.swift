import Testing

@Test(arguments: [
  Case(
    """
    upstreams: {a: "socks5://h:1", b: "socks5://h:2"}
    chains: {c: [a, b], d: {hops: [a], mode: strict}, e: a}
    default: direct
    """),
  Case(
    """
    upstreams: {a: "socks5://h:1", b: "socks5://h:2"}
    chains: {c: [a, c]}
    default: direct
    """,
    "2:17: error: the chain 'c' stands inside itself (remove it here)"),
  Case(
    """
    upstreams: {a: "socks5://h:1", b: "socks5://h:2"}
    chains: {c: [d], d: [e], e: [c]}
    default: direct
    """,
    "2:30: error: the chain 'c' stands inside itself (remove it here)"),
  Case(
    """
    upstreams: {a: "socks5://h:1", b: "socks5://h:2"}
    chains: {c: [a, a]}
    default: direct
    """,
    "2:17: error: 'a' stands twice in this chain (a hop is passed once: remove one)"),
  Case(
    """
    upstreams: {a: "socks5://h:1", b: "socks5://h:2"}
    chains: {c: [a], d: [c, a]}
    default: direct
    """,
    "2:25: error: 'a' stands twice in this chain (a hop is passed once: remove one)"),
  Case(
    """
    upstreams: {a: "socks5://h:1", b: "socks5://h:2"}
    chains: {c: [a, b], d: [b, c]}
    default: direct
    """,
    "2:28: error: 'b' stands twice in this chain (a hop is passed once: remove one)"),
  Case(
    """
    upstreams: {a: "socks5://h:1", b: "socks5://h:2"}
    chains: {c: [], d: , e: {}, f: {hops: }}
    default: direct
    """,
    "2:13: error: the list is empty: expected a list of upstreams and chains, in travel "
      + "order (write it like [office, tor])",
    "2:20: error: expected the name of an upstream or a chain, and there is nothing "
      + "(write it like office)",
    "2:25: error: a chain needs its 'hops' (write {hops: [office, tor]})",
    "2:39: error: expected the name of an upstream or a chain, and there is nothing "
      + "(write it like office)"),
  Case(
    """
    upstreams: {a: "socks5://h:1", b: "socks5://h:2"}
    chains: {c: [aa, direct, [a], {any: [a, b]}]}
    default: direct
    """,
    "2:14: error: there is no upstream, group or chain named 'aa' (add it under "
      + "'upstreams')",
    "2:18: error: 'direct' cannot stand in a chain (write it alone, or remove it)",
    "2:26: error: expected the name of an upstream or a chain, not a list (write it like "
      + "office)",
    "2:31: error: a map in a chain is not supported yet (write the name of an upstream "
      + "or a chain)"),
  Case(
    """
    upstreams: {a: "socks5://h:1", b: "socks5://h:2"}
    chains: {c: {hops: [a], mode: random, length: 2, warm: auto}}
    default: direct
    """,
    "2:31: error: the mode 'random' is not supported yet (use 'strict', or leave it out)",
    "2:39: error: 'length' is not supported yet (remove it)",
    "2:50: error: 'warm' is not supported yet (remove it)"),
  Case(
    """
    upstreams: {a: "socks5://h:1", b: "socks5://h:2"}
    chains: {c: {hops: [a], mode: dynamic}, d: {hops: [a], mode: strickt}}
    default: direct
    """,
    "2:31: error: the mode 'dynamic' is not supported yet (use 'strict', or leave it out)",
    "2:62: error: 'strickt' is not a chain's mode (write it like strict)"),
  Case(
    """
    upstreams: {a: "socks5://h:1", b: "socks5://h:2"}
    chains: {c: [d]}
    routes: {via: c}
    default: c
    """,
    "2:14: error: there is no upstream, group or chain named 'd' (add it under "
      + "'upstreams')"),
  Case(
    """
    upstreams: {a: "socks5://h:1", b: "socks5://h:2"}
    routes: {via: [a, a]}
    default: direct
    """,
    "2:19: error: 'a' stands twice in this chain (a hop is passed once: remove one)"),
  Case(
    """
    upstreams:
      old: socks4://10.0.0.1:1
      new: socks4a://10.0.0.2:1
      name: socks5://h:1
      here: {url: "socks5://h:1", resolve: local}
      six: socks5://[2001:db8::1]:1
    chains: {a: [old, here], b: [new, name], c: [name, six], d: [name, old], e: [old, new], f: new}
    routes: {network: tcp, via: [f, name, six]}
    default: direct
    """),
  Case(
    """
    upstreams:
      old: socks4://10.0.0.1:1
      new: socks4a://10.0.0.2:1
      name: socks5://h:1
      six: {url: "socks5://[2001:db8::1]:1", resolve: local}
    chains: {a: [old, name], b: [name, old], c: [b, six]}
    routes: {via: [new, six]}
    default: [old, a]
    """,
    "6:19: error: 'old' speaks SOCKS4 and cannot resolve the name of 'name' (write 'resolve: local' "
      + "at 'name', its address, or socks4a:// at 'old')",
    "6:49: error: 'old' speaks SOCKS4 and cannot connect to the IPv6 address of 'six' (write an "
      + "IPv4 address, or put a socks5 proxy before it)",
    "7:21: error: 'new' speaks SOCKS4 and cannot connect to the IPv6 address of 'six' (write an "
      + "IPv4 address, or put a socks5 proxy before it)"),
])
func `what may stand under 'chains'`(of: Case) {
  #expect(of.diagnostics == of.expected)
}
