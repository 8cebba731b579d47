import Addresses
import Settings
import Testing
import Transport

@testable import Proxy

/// What each limit refuses or closes.
struct OccupancyTests {
  private func client(_ text: String) throws -> Client { Client(at: try #require(IPAddress(text))) }

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
    for own in [.loopback, Client(user: 1000)] {
      let local = refusal(own, Limits())
      #expect(local.count == 15_000 && local.by == .localClient)
    }
  }

  @Test func `a client over its limit takes no place of a handshake, however silent it is`() throws {
    let occupancy = Occupancy()
    let limits = Limits()
    var places: [Occupancy.Place] = []
    for _ in 0..<1100 {
      let entry = occupancy.enter(try client("192.0.2.1"), limits: limits)
      #expect(entry.displaced?.reached == nil)
      if case .admitted(let place) = entry.admission { places.append(place) }
    }
    // A sixteenth of all handshakes is heard to be refused.
    #expect(places.count { $0.refusal == nil } == 256 && places.count == 256 + 64)
    // All others find their places.
    for number in 0..<1024 - 256 {
      let entry = occupancy.enter(try client("198.51.100.\(number % 250)"), limits: limits)
      #expect(entry.displaced?.reached == nil)
      if case .admitted(let place) = entry.admission { places.append(place) }
    }
    let next = occupancy.enter(try client("203.0.113.1"), limits: limits)
    #expect(next.displaced?.reached == ReachedLimit(.handshakes, value: 1024))
    if case .admitted(let place) = next.admission { places.append(place) }
    for place in places { occupancy.leave(place) }
    #expect(occupancy.isEmpty)
    #expect(occupancy.reached.mapValues(\.count) == [.perClient: 844, .handshakes: 1])
  }

  @Test
  func `a client with a quarter of the handshakes loses its oldest, and no other client loses one`() throws {
    let occupancy = Occupancy()
    let limits = Limits()
    var places: [Occupancy.Place] = []
    // However many addresses of loopback it comes from.
    for number in 0..<2000 {
      let address = number % 10 == 0 ? "::1" : "127.0.0.\(number % 250)"
      let entry = occupancy.enter(try client(address), limits: limits)
      #expect(entry.displaced?.client == (number < 256 ? nil : .loopback))
      #expect(
        entry.displaced.map(\.reached) == (number < 256 ? nil : ReachedLimit(.clientHandshakes, value: 256)))
      if case .admitted(let place) = entry.admission { places.append(place) }
    }
    #expect(places.count == 2000)
    var others: [Occupancy.Place] = []
    for number in 0..<1000 {
      let admission = occupancy.enter(try client("192.0.2.\(number % 250)"), limits: limits).admission
      if case .admitted(let place) = admission { others.append(place) }
    }
    // Each of these 250 has fewer, and takes what is not free from the one that has most.
    #expect(others.count == 1000)
    for place in places + others { occupancy.leave(place) }
    #expect(occupancy.isEmpty)
    // Those of loopback in its quarter, and 232 for the 1,000, of which 768 places were free.
    #expect(occupancy.reached.mapValues(\.count) == [.clientHandshakes: 1744, .handshakes: 232])
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
}
