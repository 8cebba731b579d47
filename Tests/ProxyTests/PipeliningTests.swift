import Addresses
import Routing
import Testing

@testable import Proxy

/// What is remembered of each upstream.
struct PipeliningTests {
  private static func hop(
    _ name: String, _ pipeline: Upstream.Pipeline = .auto, kind: Upstream.Kind = .socks5, port: UInt16 = 1
  ) -> Upstream {
    Upstream(
      name: name, kind: kind, endpoint: Endpoint(.loopback4, port: port), pipeline: pipeline)
  }

  private static func pace(_ indices: Int...) -> Pace {
    var pace = Pace()
    for index in indices { pace.insert(index) }
    return pace
  }

  @Test func `nobody is told everything at once before it has shown that it stands it`() {
    let pipelining = Pipelining()
    let chain = Chain([Self.hop("a"), Self.hop("b"), Self.hop("c", .no)])
    #expect(pipelining.pace(for: chain) == .lockstep)
    #expect(pipelining.trialPace(for: chain, isContinued: false) == Self.pace(0, 1))
    pipelining.prove(chain.hops[0])
    #expect(pipelining.pace(for: chain) == Self.pace(0))
    #expect(pipelining.standing(of: chain.hops[0]) == .yes)
    #expect(pipelining.standing(of: chain.hops[1]) == .unknown)
  }

  @Test func `a trial that found nothing out is not repeated at once, one that did goes on`() {
    let pipelining = Pipelining()
    let chain = Chain([Self.hop("a"), Self.hop("b")])
    #expect(pipelining.trialPace(for: chain, isContinued: false) == Self.pace(0, 1))
    #expect(pipelining.trialPace(for: chain, isContinued: false) == nil)
    pipelining.withdraw(chain.hops[0])
    #expect(pipelining.trialPace(for: chain, isContinued: true) == Self.pace(1))
    pipelining.prove(chain.hops[1])
    #expect(pipelining.trialPace(for: chain, isContinued: true) == nil)
    #expect(pipelining.pace(for: chain) == Self.pace(1))
    #expect(pipelining.standing(of: chain.hops[0]) == .no)
  }

  @Test func `with 'yes' a hop is trusted until it fails, with 'no' never`() {
    let pipelining = Pipelining()
    let chain = Chain([Self.hop("a", .yes), Self.hop("b", .no)])
    #expect(pipelining.pace(for: chain) == Self.pace(0))
    #expect(pipelining.trialPace(for: chain, isContinued: false) == nil)
    pipelining.withdraw(chain.hops[0])
    #expect(pipelining.pace(for: chain) == .lockstep)
    pipelining.prove(chain.hops[1])
    #expect(pipelining.pace(for: chain) == .lockstep)
  }

  @Test func `a last hop that is not greeted is told one thing only`() {
    let pipelining = Pipelining()
    let chain = Chain([Self.hop("a", .yes, kind: .http), Self.hop("b", .yes, kind: .http)])
    #expect(pipelining.pace(for: chain) == Self.pace(0))
  }

  @Test func `another proxy by the same name starts anew`() {
    let pipelining = Pipelining()
    pipelining.prove(Self.hop("a"))
    #expect(pipelining.pace(for: Chain([Self.hop("a")])) == Self.pace(0))
    #expect(pipelining.pace(for: Chain([Self.hop("a", port: 2)])) == .lockstep)
  }
}
