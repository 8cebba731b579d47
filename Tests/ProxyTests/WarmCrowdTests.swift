import Addresses
import Routing
import Testing

@testable import Proxy

/// Whose tunnels wait when there are more than can.
@Suite(.timeLimit(.minutes(10)))
struct WarmCrowdTests {
  @Test
  func `one client's identities crowd out neither a number that the table asks for, nor another client's`()
    async throws
  {
    try await withWarmChains { warm in
      let hop = try WaitingHop(on: warm.loop)
      let everybody = hop.serveEverybody()
      defer { everybody.cancel() }
      let promised = hop.chain(warm: .count(4))
      let clients = ["192.0.2.1", "2001:db8::1", "2001:db8:0:0:ffff::1"].compactMap {
        IPAddress($0).map { Client(at: $0) }
      }
      #expect(try await warm.dial(promised).value == .reached(isWarm: false))
      #expect(try await warm.dial(hop.identity(0), for: clients[0]).value == .reached(isWarm: false))
      try await warm.waitUntil { $0.sorted() == [1, 4] }
      for number in 1...200 {
        #expect(
          try await warm.dial(hop.identity(number), for: clients[1 + number % 2]).value
            == .reached(isWarm: false))
      }
      // A client has a share of 16: both addresses are in one network, which is one client's.
      try await warm.waitUntil { $0.sorted() == Array(repeating: 1, count: 17) + [4] }
      #expect(try await warm.dial(hop.identity(0), for: clients[0]).value == .reached(isWarm: true))
      #expect(try await warm.dial(promised).value == .reached(isWarm: true))
    }
  }

  @Test func `ways that vary crowd out no number that the table asks for`() async throws {
    try await withWarmChains { warm in
      let hop = try WaitingHop(on: warm.loop)
      let everybody = hop.serveEverybody()
      defer { everybody.cancel() }
      let promised = hop.chain(warm: .count(4))
      #expect(try await warm.dial(promised).value == .reached(isWarm: false))
      try await warm.waitUntil { $0 == [4] }
      // Each way is taken once or so.
      let names = (0..<100).map { Itinerary.Position([.upstream(hop.named("h\($0)"))]) }
      let tour = Plan(.itinerary(Itinerary(names, mode: .random, length: 1...1, warm: .count(4))))
      for _ in 0..<100 { _ = try await warm.dial(.plan(tour)).value }
      try await warm.waitUntil { $0.contains(4) }
      #expect(try await warm.dial(promised).value == .reached(isWarm: true))
    }
  }
}
