import Addresses
import Routing
import Testing

@testable import Proxy

/// The keys behind identities.
@Suite struct IdentitiesTests {
  private func chain(_ names: String...) -> Chain {
    Chain(
      names.map {
        Upstream(
          name: $0, endpoint: Endpoint(.loopback4, port: 1),
          isolation: Isolation(by: [.destination], for: .seconds(8760 * 3600)))
      })
  }

  private func names(_ identities: Identities, _ chain: Chain, _ port: UInt16 = 1) -> [[UInt8]?] {
    identities.isolate(chain, for: Request(to: Endpoint(.loopback4, port: port))).hops.map {
      $0.credentials?.username
    }
  }

  @Test func `an identity stays the same until its upstream is rotated`() {
    let identities = Identities()
    let first = names(identities, chain("a", "b"))
    #expect(names(identities, chain("a", "b")) == first)
    #expect(names(identities, chain("b", "a")) == first.reversed())
    identities.rotate(["a"])
    let second = names(identities, chain("a", "b"))
    #expect(second[0] != first[0] && second[1] == first[1])
    #expect(names(identities, chain("a", "b")) == second)
    identities.rotate(["a", "b", "nobody"])
    let third = names(identities, chain("a", "b"))
    #expect(third[0] != second[0] && third[1] != second[1])
  }

  @Test func `no two upstreams, and no two programs, call an identity the same`() {
    let one = Identities()
    let other = Identities()
    let all = names(one, chain("a", "b")) + names(other, chain("a", "b"))
    #expect(Set(all).count == 4)
  }

  @Test func `another proxy by the same name gets other identities, and one that is gone leaves none`() {
    let identities = Identities()
    let first = names(identities, chain("a", "b"))
    identities.keep(chain("a", "b").hops)
    #expect(names(identities, chain("a", "b")) == first)
    var moved = chain("a").hops[0]
    moved.endpoint.port = 2
    identities.keep([moved])
    #expect(names(identities, Chain([moved])) != [first[0]])
    identities.keep(chain("a", "b").hops)
    #expect(Set(names(identities, chain("a", "b")) + first).count == 4)
  }

  @Test func `a chain without identities is what it was`() {
    let plain = Chain([Upstream(name: "a", endpoint: Endpoint(.loopback4, port: 1))])
    #expect(Identities().isolate(plain, for: Request(to: Endpoint(.loopback4, port: 1))) == plain)
  }
}
