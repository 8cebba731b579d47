import Addresses
import DNS
import Routing
import Settings
import Testing
import Transport
import Wire

@testable import Proxy

/// Members of a group whose protocols have no words for a request.
@Suite struct LackOfWordsTests {
  private func member(_ name: String, _ kind: Upstream.Kind) -> Group.Member {
    Group.Member(.upstream(Upstream(name: name, kind: kind, endpoint: Endpoint(.loopback4, port: 1))))
  }

  @Test(arguments: [SOCKS5.Command.connect, .bind, .resolve, .resolvePTR])
  func `ways that have no words for a request are skipped at once, and take none of the time`(
    command: SOCKS5.Command
  ) async throws {
    let members =
      (0..<100).map { member("h\($0)", command == .connect ? .socks4 : .http) }
      + (0..<3).map { member("s\($0)", .socks5) }
    let plan = Plan(.group(Group(name: "g", members: members)))
    let request = Request(to: try #require(Endpoint("[2001:db8::1]:80")))
    try await onLoop { loop in
      var dialer = Dialer(
        shared: Dialer.Shared(
          loop: loop, resolver: try Resolver(SharedNames(servers: [], cacheCapacity: 1), on: loop),
          ownListeners: OwnListeners(), pipelining: Pipelining(), identities: Identities()),
        policy: Policy(Configuration(listeners: [], table: RouteTable(.direct))))
      let journey = Journey(by: plan, for: request, health: Health())
      dialer.journey = journey
      var ways: [String] = []
      var share = Duration.zero
      try await dialer.travel(request, asking: command, via: .plan(plan), within: .seconds(30)) {
        way, deadline throws(Failure) in
        ways.append(way.description)
        share = deadline.since(.now)
      }
      #expect(ways == ["s0"])
      #expect(journey.attempts.count == 100)
      #expect(share > .seconds(5) && share <= .seconds(10))
    }
  }
}
