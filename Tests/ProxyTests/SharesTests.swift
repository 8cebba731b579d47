import Addresses
import Settings
import Testing

@testable import Proxy

/// What one client may hold beside connections, at the default limits.
struct SharesTests {
  private let clients = [Client.loopback] + (0..<4).map { Client(at: .v4(0xc000_0200 + $0)) }
  private let shares = Shares()

  /// Takes until it is refused: how many there were, and what refused the next.
  private func take(
    _ seat: () throws(ReachedLimit) -> Shares.Seat?
  ) -> (seats: [Shares.Seat], by: ReachedLimit?) {
    var seats: [Shares.Seat] = []
    while true {
      do throws(ReachedLimit) {
        guard let next = try seat() else { return (seats, nil) }
        seats.append(next)
      } catch {
        return (seats, error)
      }
    }
  }

  @Test func `one client has 256 of 1_024 associations, and all come back`() {
    do {
      let held = clients.map { client in
        take { () throws(ReachedLimit) in try shares.seatAssociation(of: client, limits: Limits()) }
      }
      #expect(held.map(\.seats.count) == [256, 256, 256, 256, 0])
      #expect(held[0].by == ReachedLimit(.clientAssociations, value: 256))
      #expect(held[4].by == ReachedLimit(.associations, value: 1024))
    }
    #expect(shares.isEmpty)
  }

  @Test func `one client has 4_096 of 16_384 sockets, those of its associations included`() throws {
    do {
      let association = try shares.seatAssociation(of: clients[0], limits: Limits())
      let held = clients.map { client in
        take { () throws(ReachedLimit) in try shares.seatSockets(7, of: client, limits: Limits()) }
      }
      #expect(held.map(\.seats.count) == [584, 585, 585, 585, 1])
      #expect(held[0].by == ReachedLimit(.clientSockets, value: 4096))
      #expect(held[4].by == ReachedLimit(.sockets, value: 16_384))
      withExtendedLifetime(association) {}
    }
    #expect(shares.isEmpty)
  }

  @Test(arguments: [(1, 1), (2, 1), (4, 1), (5, 2), (10, 3), (101, 26)])
  func `one client has a quarter of a range's ports, at least one`(ports: UInt16, share: Int) {
    let range = PortRange(.udp, 5000...(5000 + ports - 1))
    do {
      let held = take { () throws(ReachedLimit) in try shares.seatPort(of: range, for: clients[0]) }
      #expect(held.seats.count == share)
      #expect(held.by == ReachedLimit(.clientUDPPorts, value: share))
      let other = take { () throws(ReachedLimit) in try shares.seatPort(of: range, for: clients[1]) }
      #expect(other.seats.count == share)
      // Another range, and the same of another key, are counted by themselves.
      for range in [PortRange(.udp, 6000...6003), PortRange(.bind, 5000...(5000 + ports - 1))] {
        #expect((try? shares.seatPort(of: range, for: clients[0])) != nil)
      }
    }
    #expect(shares.isEmpty)
  }
}
