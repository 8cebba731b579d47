import Addresses
import Chance
import Config
import Routing
import Settings
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
    "2:17: error: 'a' is listed twice in this chain (a hop is passed once: remove one)"),
  Case(
    """
    upstreams: {a: "socks5://h:1", b: "socks5://h:2"}
    chains: {c: [a], d: [c, a]}
    default: direct
    """,
    "2:25: error: 'a' is listed twice in this chain (a hop is passed once: remove one)"),
  Case(
    """
    upstreams: {a: "socks5://h:1", b: "socks5://h:2"}
    chains: {c: [a, b], d: [b, c]}
    default: direct
    """,
    "2:28: error: 'b' is listed twice in this chain (a hop is passed once: remove one)"),
  Case(
    """
    upstreams: {a: "socks5://h:1", b: "socks5://h:2"}
    chains: {c: [], d: , e: {}, f: {hops: }}
    default: direct
    """,
    "2:13: error: the list is empty: expected a list of upstreams, groups and chains, in travel "
      + "order (write it like [office, tor])",
    "2:20: error: expected the name of an upstream, a group or a chain, and there is nothing "
      + "(write it like office)",
    "2:25: error: a chain needs its 'hops' (write {hops: [office, tor]})",
    "2:39: error: expected the name of an upstream, a group or a chain, and there is nothing "
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
    "2:26: error: expected the name of an upstream, a group or a chain, not a list (write it like "
      + "office)"),
  Case(
    """
    upstreams: {a: "socks5://h:1", b: "socks5://h:2"}
    chains: {c: {hops: [a], mode: random, length: 2, wram: auto}}
    default: direct
    """,
    "2:47: error: '2' is out of range: the chain has 1 positions (write 1 to 1)",
    "2:50: error: a chain has no key 'wram' (did you mean 'warm'?)"),
  Case(
    """
    upstreams: {a: "socks5://h:1", b: "socks5://h:2"}
    chains: {c: {hops: [a, b], warm: auto}, d: {hops: a, warm: 0}, e: {hops: [a, b], mode: dynamic, warm: 64}}
    default: [c]
    """),
  Case(
    """
    upstreams: {a: "socks5://h:1", b: "socks5://h:2"}
    chains:
      c: {hops: [a, b], warm: 65}
      d: {hops: [a, b], warm: yes}
      e: {hops: [a, b], warm: -1}
      f: {hops: [a, b], warm: [1]}
    default: direct
    """,
    "3:27: error: '65' is out of range (write 0 to 64, or auto)",
    "4:27: error: 'yes' is not a number of tunnels or 'auto' (write it like 2)",
    "5:27: error: '-1' is not a number of tunnels or 'auto' (write it like 2)",
    "6:27: error: expected a number of tunnels or 'auto', not a list (write it like 2)"),
  Case(
    """
    upstreams: {a: "socks5://h:1", b: "socks5://h:2"}
    chains:
      a1: {hops: [a, b], mode: dynamic}
      a2: {hops: [a, b], mode: random, length: 1-2}
      a3: {hops: [a, b], mode: round-robin, length: 1}
      a4: [{any: [a, b], optional: true}, {any: a, optional: true}]
      a5: [a, {any: [b]}]
    default: [a1]
    """),
  Case(
    """
    upstreams: {a: "socks5://h:1", b: "socks5://h:2"}
    chains:
      a1: {hops: [a], mode: strickt}
      a2: {hops: [a, b], mode: random}
      a3: {hops: [a, b], length: 2}
      a4: {hops: [a, b], mode: random, length: 2-1}
      a5: {hops: [a, b], mode: random, length: 0-2}
      a6: {hops: [a, b], mode: random, length: some}
      a7: [{optional: true}, {any: []}, {any: [a, a]}, {any: a, optional: maybe}, {one: a}]
      a8: {hops: [a, a], mode: round-robin, length: 1}
    default: direct
    """,
    "3:25: error: 'strickt' is not 'strict', 'dynamic', 'random' or 'round-robin' (did you mean 'strict'?)",
    "4:7: error: a random chain needs its 'length', how many of its hops a connection passes (write a number, "
      + "or a range like 2-3)",
    "5:22: error: 'length' is for 'random' and 'round-robin': a strict chain has no choice of it (remove it)",
    "6:44: error: '2-1' is not a number of hops or a range (write it like 2 or 2-3)",
    "7:44: error: '0-2' is out of range: the chain has 2 positions (write 1 to 2)",
    "8:44: error: 'some' is not a number of hops or a range (write it like 2 or 2-3)",
    "9:8: error: a position needs 'any', the list of its choices (write it like {any: [de, nl], optional: true})",
    "9:32: error: the list is empty: expected a list of upstreams, groups and chains, in travel order "
      + "(write it like [office, tor])",
    "9:47: error: 'a' is listed twice in this position (remove one)",
    "9:71: error: 'maybe' is not 'true' or 'false' (write it like true)",
    "9:79: error: a position needs 'any', the list of its choices (write it like {any: [de, nl], optional: true})",
    "9:80: error: a position has no key 'one' (it may have 'any', 'optional')",
    "10:18: error: 'a' is listed twice in this chain (a hop is passed once: remove one)"),
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
    "2:19: error: 'a' is listed twice in this chain (a hop is passed once: remove one)"),
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

/// What is kept ready for a destination, by the table.
@Test(arguments: [
  ("a", Warmth.auto), ("[a, b]", .auto), ("one", .count(3)), ("both", .count(2)), ("[both]", .count(2)),
  ("[one, b]", .count(3)), ("outer", .count(0)), ("quiet", .count(2)), ("[a, some]", .count(4)),
  ("some", .count(4)), ("exits", .count(3)), ("around", .count(1)),
])
func `the outermost chain that says how many tunnels are kept ready decides`(via: String, warm: Warmth) throws
{
  let table = """
    upstreams: {a: "socks5://h:1", b: "socks5://h:2", c: "socks5://h:3"}
    groups: {exits: {members: [one, c]}}
    chains:
      one: {hops: a, warm: 3}
      both: {hops: [a, b], warm: 2}
      outer: {hops: [both, c], warm: 0}
      quiet: [both, c]
      some: {hops: [b, c], mode: dynamic, warm: 4}
      around: {hops: [exits, b], warm: 1}
    default: \(via)
    """
  let result = load(table)
  #expect(result.diagnostics.map(\.description) == [])
  let outcome = try #require(result.configuration).table.fallback
  let request = Request(to: Endpoint(.unspecified4, port: 1))
  switch outcome {
  case .chain(let chain): #expect(chain.warm == warm)
  case .plan(let plan):
    var standings = Standings()
    var generator = SeededGenerator(seed: 1)
    let way = standings.choose(by: plan, for: request, at: 0, using: &generator)?.way
    if case .chain(let chain)? = way { #expect(chain.warm == warm) } else { Issue.record("no way") }
  case .direct, .reject, .drop: Issue.record("\(outcome)")
  }
}
