import Addresses
import Routing
import TLS
import Testing
import Transport
import Wire

@testable import Proxy

/// Conversations with hops whose tunnels are made before anybody asks for them.
@Suite(.timeLimit(.minutes(10)))
struct WarmChainsTests {
  private static let there = Endpoint(.v4(0xc633_6407), port: 443)

  @Test func `the next connection finds the last hop waiting, and another takes its place`() async throws {
    try await withWarmChains { warm in
      let hop = try WaitingHop(on: warm.loop)
      let chain = hop.chain(warm: .count(1))
      let client = warm.dial(chain)
      let first = try await hop.nextGuest()
      try await first.admit()
      #expect(try await first.hearRequest().destination == Self.there)
      try await first.grant()
      #expect(try await client.value == .reached(isWarm: false))

      let second = try await hop.nextGuest()
      try await second.admit()
      try await warm.waitUntil { $0 == [1] }
      let next = warm.dial(chain)
      #expect(try await second.hearRequest().destination == Self.there)
      try await second.grant()
      #expect(try await next.value == .reached(isWarm: true))
      try await hop.nextGuest().admit()
      try await warm.waitUntil { $0 == [1] }
    }
  }

  @Test func `a hop that is near gets none unless the table says so, and never with 0`() async throws {
    for warmth in [Warmth.auto, .count(0)] {
      try await withWarmChains { warm in
        let hop = try WaitingHop(on: warm.loop)
        for _ in 0..<3 { try await warm.pass(hop.chain(warm: warmth), hop) }
        #expect(warm.chains.counts.isEmpty)
      }
    }
  }

  @Test func `auto keeps one where the last hop is far`() async throws {
    try await withWarmChains(WarmStock.Terms(nearby: .zero)) { warm in
      let hop = try WaitingHop(on: warm.loop)
      try await warm.pass(hop.chain(warm: .auto), hop)
      try await hop.nextGuest().admit()
      try await warm.waitUntil { $0 == [1] }
    }
  }

  // MARK: Use

  @Test func `one that went away before it was asked costs nobody anything`() async throws {
    try await withWarmChains { warm in
      let hop = try WaitingHop(on: warm.loop)
      let chain = hop.chain(warm: .count(1))
      let gone = try await warm.rest(chain, hop)
      let client = warm.dial(chain)
      _ = try await gone.hearRequest()
      gone.close()
      let everybody = hop.serveEverybody()
      defer { everybody.cancel() }
      #expect(try await client.value == .reached(isWarm: false))
    }
  }

  @Test func `a slow destination is asked for once, and has all the time there is`() async throws {
    try await withWarmChains { warm in
      let hop = try WaitingHop(on: warm.loop)
      let chain = hop.chain(warm: .count(1))
      let slow = try await warm.rest(chain, hop)
      let mute = [try WaitingHop(on: warm.loop), try WaitingHop(on: warm.loop)]
      let client = warm.dial(chain, budget: .seconds(8))
      _ = try await slow.hearRequest()
      let everybody = hop.serveEverybody()
      defer { everybody.cancel() }
      // The first of two members has half of the time. When it is over for a dial that came later, it is over for this one.
      let later = warm.dial(WaitingHop.failover(mute), budget: .seconds(8))
      defer { later.cancel() }
      _ = try await mute[0].nextGuest()
      _ = try await mute[1].nextGuest()
      try await slow.grant()
      #expect(try await client.value == .reached(isWarm: true))
    }
  }

  @Test func `a tunnel that is lost to a request has another of its age asked, before that teaches anything`()
    async throws
  {
    try await withWarmChains { warm in
      let hop = try WaitingHop(on: warm.loop)
      let chain = hop.chain(warm: .count(1))
      let lost = try await warm.rest(chain, hop)
      let client = warm.dial(chain)
      _ = try await lost.hearRequest()
      // As a filter does that knows the destination.
      lost.close()
      var asked: [Endpoint] = []
      while asked.count < 2 {
        let guest = try await hop.nextGuest()
        try await guest.admit()
        asked.append(try await guest.hearRequest().destination)
        try await guest.grant()
      }
      #expect(Set(asked) == [Self.there, try #require(Endpoint("pipelining.invalid:9"))])
      #expect(try await client.value == .reached(isWarm: false))
    }
  }

  // MARK: Identities

  @Test func `a tunnel that waits is its identity's alone`() async throws {
    try await withWarmChains { warm in
      let hop = try WaitingHop(on: warm.loop)
      let chain = hop.chain(warm: .count(1))
      let guest = try await warm.rest(chain, hop)
      var other = chain.hops[0]
      other.credentials = Credentials(username: [97], password: [98])
      try await warm.pass(Chain([other], warm: .count(1)), hop)
      let client = warm.dial(chain)
      _ = try await guest.hearRequest()
      try await guest.grant()
      #expect(try await client.value == .reached(isWarm: true))
    }
  }

  @Test func `what a hop says of the destination is final`() async throws {
    try await withWarmChains { warm in
      let hop = try WaitingHop(on: warm.loop)
      let chain = hop.chain(warm: .count(1))
      let guest = try await warm.rest(chain, hop)
      let client = warm.dial(chain)
      _ = try await guest.hearRequest()
      try await guest.refuse(.connectionRefused)
      #expect(try await client.value == .failed(.reply(.connectionRefused)))
    }
  }

  // MARK: Plans

  @Test func `tunnels at rest keep no table that a reload has replaced`() async throws {
    // Nothing else makes the tunnels be looked at.
    let later = Duration.seconds(3600)
    let terms = WarmStock.Terms(disuse: later, season: later, longestLife: later, round: later)
    try await withWarmChains(terms) { warm in
      let hop = try WaitingHop(on: warm.loop)
      let chain = hop.chain(warm: .count(1))
      let guest = try await warm.rest(chain, hop)
      weak let replaced = warm.policy
      warm.reload([.chain(chain)])
      // What made the tunnel may not have ended yet.
      let end = Deadline.after(patience)
      while replaced != nil, .now < end { try await warm.loop.sleep(until: .after(.milliseconds(1))) }
      #expect(replaced == nil)
      withExtendedLifetime(guest) {}
    }
  }

  @Test func `of a plan that standbys were looked for, nothing is kept but when that was`() async throws {
    try await withWarmChains { warm in
      weak var context: TLSContext?
      do {
        let only = try TLSContext(TLSContext.Demands(trust: .anything))
        context = only
        let endpoint = Endpoint(.loopback4, port: 1)
        let taken = Upstream(name: "taken", endpoint: endpoint)
        let other = Upstream(name: "other", endpoint: endpoint, tls: only)
        let plan = Plan(.group(Group(name: "g", members: [taken, other].map { .init(.upstream($0)) })))
        let chain = Chain([taken], warm: .count(1))
        #expect(warm.chains.wantsStandbys(for: chain, by: plan, nil))
        #expect(!warm.chains.wantsStandbys(for: chain, by: plan, nil))
      }
      #expect(context == nil)
    }
  }

  @Test func `a failover group has its next member ready`() async throws {
    try await withWarmChains(WarmStock.Terms(nearby: .zero)) { warm in
      let hops = [try WaitingHop(on: warm.loop), try WaitingHop(on: warm.loop)]
      let plan = WaitingHop.failover(hops)
      try await warm.pass(plan, hops[0])
      let guest = try await hops[0].nextGuest()
      try await guest.admit()
      let standby = try await hops[1].nextGuest()
      try await standby.admit()
      try await warm.waitUntil { $0 == [1, 1] }
      hops[0].stopListening()
      guest.close()
      let client = warm.dial(plan)
      _ = try await standby.hearRequest()
      try await standby.grant()
      #expect(try await client.value == .reached(isWarm: true))
    }
  }

  @Test(
    arguments: [
      (.socks5, SOCKS5.Reply(.connectionRefused).bytes, true),
      (.socks5, SOCKS5.Reply(.generalFailure).bytes, false),
      (.http, HTTP.Response(.badGateway).bytes, false),
    ] as [(Upstream.Kind, [UInt8], Bool)])
  func `what an entry says of the next hop counts for a tunnel that is made ready as for a client`(
    kind: Upstream.Kind, answer: [UInt8], isDown: Bool
  ) async throws {
    try await withWarmChains(WarmStock.Terms(nearby: .zero)) { warm in
      let (first, second) = (try WaitingHop(on: warm.loop), try WaitingHop(on: warm.loop))
      var entry = second.upstream
      entry.kind = kind
      let next = Upstream(name: "next", endpoint: Self.there, pipeline: .no)
      let way = Stop.itinerary(Itinerary([entry, next].map { Itinerary.Position([.upstream($0)]) }))
      let members = [Group.Member(.upstream(first.upstream)), Group.Member(way)]
      try await warm.pass(.plan(Plan(.group(Group(name: "g", members: members)))), first)
      let tunnel = try await second.nextGuest()
      if kind == .http {
        _ = try await tunnel.hearHTTPRequest()
      } else {
        try await tunnel.admit()
        #expect(try await tunnel.hearRequest().destination == Self.there)
      }
      try await tunnel.send(answer)
      // It is made again after a pause.
      _ = try await second.nextGuest()
      #expect(warm.health.standings[next].failures == (isDown ? 1 : 0))
      #expect(warm.health.standings[entry].failures == 0)
    }
  }

  @Test func `a member that comes back is found by its tunnel, and not by a client`() async throws {
    try await withWarmChains(WarmStock.Terms(nearby: .zero)) { warm in
      let hops = [try WaitingHop(on: warm.loop), try WaitingHop(on: warm.loop)]
      let plan = WaitingHop.failover(hops)
      let client = warm.dial(plan)
      try await hops[0].nextGuest().close()
      let second = try await hops[1].nextGuest()
      try await second.admit()
      _ = try await second.hearRequest()
      try await second.grant()
      #expect(try await client.value == .reached(isWarm: false))
      let tried = try await hops[0].nextGuest()
      #expect(warm.health.pauseEnd(of: hops[0].chain(warm: .auto)) <= .now)
      try await tried.admit()
      try await hops[1].nextGuest().admit()
      try await warm.waitUntil { $0.sorted() == [1, 1] }
      let next = warm.dial(plan)
      _ = try await tried.hearRequest()
      try await tried.grant()
      #expect(try await next.value == .reached(isWarm: true))
    }
  }
}
