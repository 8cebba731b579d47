import Addresses
import Routing
import Testing

@testable import Proxy

/// Tunnels that wait for a request: what ends them, and how many there are.
@Suite(.timeLimit(.minutes(10)))
struct RestingTunnelTests {
  @Test(arguments: [[], [5, 0], Array("HTTP/1.1 408 Request Timeout\r\n\r\n".utf8)])
  func `what ends at rest, or speaks unasked, is handed to nobody`(saying bytes: [UInt8]) async throws {
    try await withWarmChains(WarmStock.Terms(firstPause: .milliseconds(10))) { warm in
      let hop = try WaitingHop(on: warm.loop)
      let chain = hop.chain(warm: .count(1))
      try await warm.pass(chain, hop)
      let resting = try await hop.nextGuest()
      try await resting.admit()
      try await warm.waitUntil { $0 == [1] }
      if bytes.isEmpty {
        resting.close()
      } else {
        try await resting.send(bytes)
        try await resting.waitForEnd()
      }
      let other = try await hop.nextGuest()
      try await other.admit()
      try await warm.waitUntil { $0 == [1] }
      let client = warm.dial(chain)
      _ = try await other.hearRequest()
      try await other.grant()
      #expect(try await client.value == .reached(isWarm: true))
    }
  }

  @Test func `what spoke a moment before it is needed is not handed out`() async throws {
    try await withWarmChains { warm in
      let hop = try WaitingHop(on: warm.loop)
      let chain = hop.chain(warm: .count(1))
      let noisy = try await warm.rest(chain, hop)
      // The loop has no time to look between the two.
      try await noisy.send([5, 0, 0, 1, 0, 0, 0, 0, 0, 0])
      let client = warm.dial(chain)
      let everybody = hop.serveEverybody()
      defer { everybody.cancel() }
      #expect(try await client.value == .reached(isWarm: false))
    }
  }

  @Test func `a hop that talks as soon as it has admitted us is left alone for a while`() async throws {
    try await withWarmChains(WarmStock.Terms(firstPause: .seconds(60))) { warm in
      let hop = try WaitingHop(on: warm.loop)
      let chain = hop.chain(warm: .count(1))
      try await warm.pass(chain, hop)
      let noisy = try await hop.nextGuest()
      try await noisy.admit(saying: [5, 0, 5])
      try await noisy.waitForEnd()
      // The next one who comes is a client.
      try await warm.pass(chain, hop)
      #expect(warm.chains.counts.map(\.resting) == [0])
    }
  }

  @Test func `before it grows too old it is replaced`() async throws {
    try await withWarmChains(WarmStock.Terms(longestLife: .milliseconds(300))) { warm in
      let hop = try WaitingHop(on: warm.loop)
      try await warm.pass(hop.chain(warm: .count(1)), hop)
      let old = try await hop.nextGuest()
      try await old.admit()
      let young = try await hop.nextGuest()
      try await young.admit()
      try await old.waitForEnd()
      try await warm.waitUntil { $0 == [1] }
    }
  }

  @Test func `no more are made than a hop lets stand`() async throws {
    try await withWarmChains { warm in
      let hop = try WaitingHop(on: warm.loop)
      try await warm.pass(hop.chain(warm: .count(4)), hop)
      let guests = try await [hop.nextGuest(), hop.nextGuest(), hop.nextGuest(), hop.nextGuest()]
      for guest in guests.prefix(2) { try await guest.admit() }
      try await warm.waitUntil { $0 == [2] }
      for guest in guests.suffix(2) { guest.close() }
      try await warm.waitUntil(wanted: [2])
      #expect(warm.chains.counts.map(\.resting) == [2])
    }
  }

  @Test func `all are closed when the server drains, or the process is short of descriptors`() async throws {
    for drains in [true, false] {
      try await withWarmChains { warm in
        let hop = try WaitingHop(on: warm.loop)
        let chain = hop.chain(warm: .count(2))
        try await warm.pass(chain, hop)
        let guests = try await [hop.nextGuest(), hop.nextGuest()]
        for guest in guests { try await guest.admit() }
        try await warm.waitUntil { $0 == [2] }
        if drains { warm.chains.close() } else { #expect(warm.chains.giveUp()) }
        for guest in guests { try await guest.waitForEnd() }
        #expect(!warm.chains.giveUp())
        // The next one who comes is a client.
        try await warm.pass(chain, hop)
      }
    }
  }

  @Test func `a failure of this machine that is no shortage closes none`() async throws {
    try await withWarmChains { warm in
      let hop = try WaitingHop(on: warm.loop)
      let guest = try await warm.rest(hop.chain(warm: .count(1)), hop)
      let lookups = try warm.takeAllLookups()
      let endpoint = try #require(Endpoint("hop.test:1"))
      let unknown = Chain([Upstream(name: "u", endpoint: endpoint)], warm: .count(1))
      #expect(Failure.Cause.resolution(.overloaded(limit: 1024)).isOurs)
      #expect(try await warm.dial(unknown).value == .failed(.resolution(.overloaded(limit: 1024))))
      withExtendedLifetime(lookups) {}
      #expect(warm.chains.counts.map(\.resting).filter { $0 > 0 } == [1])
      let client = warm.dial(hop.chain(warm: .count(1)))
      _ = try await guest.hearRequest()
      try await guest.grant()
      #expect(try await client.value == .reached(isWarm: true))
    }
  }

  @Test func `after a reload, one whose hop is another now is closed`() async throws {
    try await withWarmChains(WarmStock.Terms(round: .milliseconds(50))) { warm in
      let hop = try WaitingHop(on: warm.loop)
      let chain = hop.chain(warm: .count(1))
      warm.reload([.chain(chain)])
      try await warm.pass(chain, hop)
      let guest = try await hop.nextGuest()
      try await guest.admit()
      try await warm.waitUntil { $0 == [1] }
      var changed = chain.hops[0]
      changed.credentials = Credentials(username: [97], password: [98])
      warm.reload([.chain(Chain([changed], warm: .count(1)))])
      try await guest.waitForEnd()
    }
  }
}
