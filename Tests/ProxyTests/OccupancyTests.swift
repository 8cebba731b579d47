import Addresses
import Settings
import Testing
import Transport

@testable import Proxy

/// What counts as one client, and when the log is told of a limit.
struct OccupancyTests {
  private func client(_ text: String) throws -> Client { Client(at: try #require(IPAddress(text))) }

  @Test func `an IPv6 network of 64 bits is one client`() throws {
    #expect(try client("2001:db8::1") == client("2001:db8::ffff:1:2:3"))
    #expect(try client("2001:db8::1") != client("2001:db8:0:1::1"))
    #expect(try client("192.0.2.1") != client("192.0.2.2"))
    #expect(try client("::ffff:192.0.2.1") == client("192.0.2.1"))
    #expect(Client(user: 0) != Client(user: 1))
    #expect(try client("0.0.0.1") != Client(user: 1))
  }

  @Test(arguments: ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
  func `loopback is this machine`(address: String) throws {
    #expect(try client(address).isLocal)
    #expect(Client(user: 1000).isLocal)
  }

  @Test(arguments: ["192.0.2.1", "10.0.0.1", "fe80::1", "2001:db8::1"])
  func `other addresses are another machine`(address: String) throws {
    #expect(try !client(address).isLocal)
  }

  /// Fills up with connections whose request was heard, and tells what refused the next.
  private func refusal(_ client: Client, _ limits: Limits) -> (count: Int, by: Limit?) {
    let occupancy = Occupancy()
    for count in 0... {
      guard case .admitted(var place) = occupancy.enter(client, limits: limits).admission else {
        return (count, nil)
      }
      if let refusal = place.refusal { return (count, refusal) }
      occupancy.endHandshake(&place)
    }
    return (0, nil)
  }

  @Test func `each limit refuses at its default, and says which it is`() throws {
    let remote = refusal(try client("192.0.2.1"), Limits())
    #expect(remote.count == 256 && remote.by == .perClient)
    let local = refusal(try client("127.0.0.1"), Limits())
    #expect(local.count == 15_000 && local.by == .localClient)
    let user = refusal(Client(user: 1000), Limits())
    #expect(user.count == 15_000 && user.by == .localClient)
  }

  @Test
  func `silent connections of one client leave three quarters of the handshakes, and all of it comes back`()
    throws
  {
    let occupancy = Occupancy()
    let limits = Limits()
    var places: [Occupancy.Place] = []
    for _ in 0..<2000 {
      let admission = occupancy.enter(try client("127.0.0.8"), limits: limits).admission
      if case .admitted(let place) = admission { places.append(place) }
    }
    #expect(places.count == 256)
    var others: [Occupancy.Place] = []
    for number in 0..<1000 {
      let admission = occupancy.enter(try client("192.0.2.\(number % 250)"), limits: limits).admission
      if case .admitted(let place) = admission { others.append(place) }
    }
    #expect(others.count == 768)
    for place in places + others { occupancy.leave(place) }
    #expect(occupancy.isEmpty)
  }

  @Test func `a client that has ended counts no longer, until it has as many of these as connections`() throws
  {
    let occupancy = Occupancy()
    var limits = Limits()
    limits.perClient = 2
    let client = try client("192.0.2.1")
    var places: [Occupancy.Place] = []
    for _ in 0..<2 {
      for _ in 0..<2 {
        guard case .admitted(var place) = occupancy.enter(client, limits: limits).admission else {
          Issue.record("refused")
          return
        }
        #expect(place.refusal == nil)
        occupancy.endHandshake(&place)
        places.append(place)
      }
      for index in places.indices.suffix(2) {
        #expect(occupancy.clientEnded(&places[index], limits: limits) == (index < 2))
      }
    }
    for place in places { occupancy.leave(place) }
    #expect(occupancy.isEmpty)
  }

  @Test func `the log is told once a minute, with the number since`() {
    var counts = RefusalCounts()
    let start = Deadline(nanoseconds: 1_000_000_000_000)
    let reached = ReachedLimit(.connections, of: Limits())
    #expect(counts.count(reached, at: start)?.count == 1)
    for _ in 0..<99 { #expect(counts.count(reached, at: start + .seconds(59)) == nil) }
    #expect(counts.count(reached, at: start + .seconds(60))?.count == 100)
    #expect(counts.count(ReachedLimit(.handshakes, of: Limits()), at: start)?.count == 1)
    #expect(counts.totals == [.connections: 101, .handshakes: 1])
  }
}
