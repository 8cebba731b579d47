import Addresses
import Chance
import Testing

@testable import Routing

/// Which hops `mode: dynamic` and `optional` leave out.
@Suite struct LeftOutTests {
  private let client = IPAddress.v4(0x0a00_0001)

  private func upstream(_ name: String) throws -> Upstream {
    Upstream(name: name, endpoint: Endpoint(.name(try DomainName("\(name).test")), port: 1080))
  }

  private func position(_ name: String, isOptional: Bool = false) throws -> Itinerary.Position {
    Itinerary.Position([.upstream(try upstream(name))], isOptional: isOptional)
  }

  /// Both pass `a` and then `b`, which may be left out.
  private func chains() throws -> [Stop] {
    [
      .itinerary(Itinerary([try position("a"), try position("b")], mode: .dynamic)),
      .itinerary(Itinerary([try position("a"), try position("b", isOptional: true)])),
    ]
  }

  private func way(
    by stop: Stop, _ standings: Standings, avoiding detours: Detours = Detours(), for client: IPAddress?
  ) throws -> String? {
    var standings = standings
    var generator = SeededGenerator(seed: 1)
    let request = Request(to: Endpoint(.loopback4, port: 80), client: client)
    return standings.choose(
      by: Plan(stop), for: request, avoiding: detours, at: 1, using: &generator)?.way.description
  }

  @Test func `a hop that did not answer a connection is not left out of its next way`() throws {
    for chain in try chains() {
      var detours = Detours()
      detours.add(chain.upstreams, isOut: false)
      #expect(try way(by: chain, Standings(), avoiding: detours, for: client) == nil)
      detours = Detours()
      detours.addUnopened(chain.upstreams)
      #expect(try way(by: chain, Standings(), avoiding: detours, for: client) == nil)
      // Nor for want of UDP.
      detours = Detours()
      detours.add(chain.upstreams, isOut: true)
      #expect(try way(by: chain, Standings(), avoiding: detours, for: client) == nil)
      // One that could not be reached is, even when its pause has ended.
      detours = Detours()
      detours.add(chain.upstreams, isOut: true, isDown: true)
      #expect(try way(by: chain, Standings(), avoiding: detours, for: client) == "a")
    }
  }

  @Test func `a hop that did not answer a client's requests is not left out of the client's ways`()
    throws
  {
    for chain in try chains() {
      var standings = Standings()
      for number in 0..<3 {
        let host = Host.name(try DomainName("h\(number).test"))
        standings.update("b") { $0.doubt(of: Client(at: client), for: host, at: 1) }
      }
      #expect(try way(by: chain, standings, for: client) == "a,b")
      // Where there is another way, the client takes that, and others do not.
      let members = [chain, .upstream(try upstream("c"))].map { Group.Member($0) }
      let group = Stop.group(Group(name: "g", members: members))
      #expect(try way(by: group, standings, for: client) == "c")
      #expect(try way(by: group, standings, for: nil) == "a,b")
      standings.update("b") { $0.fail(at: 1, jitter: 0) }
      #expect(try way(by: chain, standings, for: client) == "a")
      #expect(try way(by: group, standings, for: nil) == "a")
    }
  }
}
