import Addresses
import Chance
import Settings
import Testing

@testable import Proxy

/// Who loses a handshake when all places are taken.
struct HandshakesTests {
  private final class Connection: Handshaking {
    let name: Int
    init(_ name: Int) { self.name = name }
    func giveUpHandshake(for limit: Limit) {}
  }

  private static let clients = (0..<6).map { Client(at: .v4(0xc000_0200 + $0)) }

  @Test(arguments: seeds(50))
  func `the oldest of the client with most is found as counting all finds it`(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    var handshakes = Handshakes()
    var holders: [Client: Int] = [:]
    // In the order in which they began.
    var known: [(client: Client, place: Int, name: Int)] = []
    var lost: [Int] = []

    for name in 0..<400 {
      switch Int.random(in: 0..<10, using: &random) {
      case 0..<5:
        let client = Self.clients[Int.random(in: 0..<Self.clients.count, using: &random)]
        var holder = holders[client]
        let place = handshakes.begin(of: client, &holder)
        holders[client] = holder
        let lost = handshakes.attach(Connection(name), to: place)
        #expect(lost == nil)
        known.append((client, place, name))
      case 5..<8 where !known.isEmpty:
        handshakes.end(known.remove(at: Int.random(in: known.indices, using: &random)).place)
      case 8 where !lost.isEmpty:
        let place = lost.removeLast()
        let limit = handshakes.attach(Connection(name), to: place)
        #expect(limit == .handshakes || limit == .clientHandshakes)
        handshakes.end(place)
      case _ where !known.isEmpty:
        let isOfBiggest = Bool.random(using: &random)
        let holder = try #require(holders[known[Int.random(in: known.indices, using: &random)].client])
        let taken =
          isOfBiggest
          ? handshakes.takeFromBiggest(for: .handshakes)
          : handshakes.takeOldest(of: holder, for: .clientHandshakes)
        let oldest = known.firstIndex { $0.client == taken.client }
        let index = try #require(oldest)
        #expect(taken.count == known.count { $0.client == taken.client })
        #expect((taken.connection as? Connection)?.name == known[index].name)
        let victim = known.remove(at: index)
        lost.append(victim.place)
        let counts = Self.clients.map { client in known.count { $0.client == client } }
        #expect(!isOfBiggest || taken.count >= counts.max() ?? 0)
      default: break
      }
      #expect(handshakes.count == known.count)
      for (client, holder) in holders {
        #expect(handshakes.count(of: holder) == known.count { $0.client == client })
      }
    }
    for place in known.map(\.place) + lost { handshakes.end(place) }
    for holder in holders.values { handshakes.forget(holder) }
    #expect(handshakes.isEmpty)
  }

  /// Four networks of 64 bits belong to one line; each has its quarter.
  @Test func `when four clients hold all handshakes a fifth takes the oldest of one of them`() throws {
    let occupancy = Occupancy()
    let limits = Limits()
    var places: [Occupancy.Place] = []
    let holders = (0..<4).map { Client(at: .v6(0x2001_0db8 << 96 | UInt128($0) << 64 | 1)) }
    for number in 0..<1024 {
      let entry = occupancy.enter(holders[number % 4], limits: limits)
      guard case .admitted(let place) = entry.admission else { continue }
      #expect(occupancy.attach(Connection(number), to: place) == nil)
      places.append(place)
    }
    #expect(places.count == 1024)

    var displaced: [Int] = []
    for number in 0..<40 {
      let entry = occupancy.enter(Self.clients[number % 4], limits: limits)
      guard case .admitted(let place) = entry.admission, let loser = entry.displaced else {
        Issue.record("refused")
        return
      }
      places.append(place)
      displaced.append(try #require((loser.connection as? Connection)?.name))
      #expect(holders.contains(loser.client) && (246...256).contains(loser.held))
    }
    #expect(displaced.sorted() == Array(0..<40))
    // They were admitted in this order, and end now.
    for place in places[..<40] { occupancy.leave(place) }
    places.removeFirst(40)
    // They themselves take only from one another by that.
    let again = occupancy.enter(holders[0], limits: limits)
    #expect(again.displaced.map { holders.contains($0.client) } == true)
    guard case .admitted(let last) = again.admission else {
      Issue.record("refused")
      return
    }
    occupancy.leave(last)
    for place in places { occupancy.leave(place) }
    #expect(occupancy.isEmpty)
  }
}
