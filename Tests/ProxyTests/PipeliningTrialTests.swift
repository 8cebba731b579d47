import Addresses
import DNS
import Routing
import Settings
import Testing
import Transport
import Wire

@testable import Proxy

/// What Sockeye's own trials make of the hops of a chain that does not let them pass.
@Suite(.timeLimit(.minutes(10)))
struct PipeliningTrialTests {
  private let health = Health()
  private let pipelining = Pipelining()

  private func dialer(on loop: EventLoop) throws -> Dialer {
    Dialer(
      shared: Dialer.Shared(
        loop: loop, resolver: try Resolver(SharedNames(servers: [], cacheCapacity: 1), on: loop),
        ownListeners: OwnListeners(), pipelining: pipelining, identities: Identities()),
      policy: Policy(Configuration(listeners: [], table: RouteTable(.direct))))
  }

  private func failures(of hop: Upstream) -> Int { health.standings[hop].failures }

  /// `entry`, and `b` behind it, which nobody reaches.
  private func chain(_ entry: TestHop, timeout: Duration = patience) -> Chain {
    let a = Endpoint(entry.address.address, port: entry.address.port)
    return Chain([
      Upstream(name: "a", endpoint: a, timeout: patience),
      Upstream(name: "b", endpoint: Endpoint(.loopback4, port: 1), timeout: timeout),
    ])
  }

  @Test func `an entry that closes brings no dead hop behind it up, and keeps pipelining`() async throws {
    try await onLoop { loop in
      let entry = try TestHop(on: loop)
      let chain = chain(entry)
      let journey = Journey(upkeepOf: chain, health: health)
      _ = journey.next()
      journey.fail(Failure(.hop(1, of: 2, name: "b"), .connect, .reply(.connectionRefused)))
      #expect(failures(of: chain.hops[1]) == 1)
      let serving = Task(executorPreference: loop) {
        while true { try await entry.nextRequest(on: loop).close() }
      }
      defer { serving.cancel() }
      try await dialer(on: loop).tryPipelining(of: chain, noting: health)
      #expect(failures(of: chain.hops[0]) == 0 && failures(of: chain.hops[1]) == 1)
      #expect(pipelining.standing(of: chain.hops[0]) == .unknown)
    }
  }

  /// A client's destination can make a hop answer late and then close, so that the way is dialled again.
  @Test func `a dial that is begun again does not make a hop look slower than the second dial`() async throws
  {
    try await onLoop { loop in
      let hop = try TestHop(on: loop)
      let a = Upstream(
        name: "a", endpoint: Endpoint(hop.address.address, port: hop.address.port), pipeline: .yes)
      let late = Duration.seconds(1)
      let serving = Task(executorPreference: loop) {
        try await hop.nextRequest(on: loop, after: late).close()
        let second = try await hop.nextRequest(on: loop)
        try await second.grant(hop.address)
        return second
      }
      let (plan, request) = (Plan(.upstream(a)), Request(to: Endpoint(.loopback4, port: 80)))
      var dialer = try dialer(on: loop)
      dialer.journey = Journey(by: plan, for: request, health: health)
      _ = try await dialer.dial(request, via: .plan(plan), budget: patience)
      let latency = try #require(health.standings[a].latency)
      #expect(latency < late / .nanoseconds(1))
      _ = try await serving.value
    }
  }

  @Test func `an entry has its own timeout, and not that of the last hop`() async throws {
    try await onLoop { loop in
      let entry = try TestHop(on: loop)
      let chain = chain(entry, timeout: .milliseconds(1))
      let serving = Task(executorPreference: loop) {
        var asked: [Requested] = []
        while true { asked.append(try await entry.nextRequest(on: loop, after: .milliseconds(100))) }
      }
      defer { serving.cancel() }
      try await dialer(on: loop).tryPipelining(of: chain, noting: health)
      #expect(failures(of: chain.hops[0]) == 0 && failures(of: chain.hops[1]) == 0)
    }
  }
}
