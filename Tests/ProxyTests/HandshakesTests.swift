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
    var lost: [(client: Client, place: Int)] = []

    func change(_ client: Client, _ body: (inout Int?) -> Void) {
      var holder = holders[client]
      body(&holder)
      holders[client] = holder
    }

    for name in 0..<400 {
      switch Int.random(in: 0..<10, using: &random) {
      case 0..<5:
        let client = Self.clients[Int.random(in: 0..<Self.clients.count, using: &random)]
        var place = 0
        change(client) { place = handshakes.begin(of: client, &$0) }
        let lost = handshakes.attach(Connection(name), to: place)
        #expect(lost == nil)
        known.append((client, place, name))
      case 5..<8 where !known.isEmpty:
        let (client, place, _) = known.remove(at: Int.random(in: known.indices, using: &random))
        var isCounted = false
        change(client) { isCounted = handshakes.end(place, &$0) }
        #expect(isCounted)
      case 8 where !lost.isEmpty:
        let (client, place) = lost.removeLast()
        let limit = handshakes.attach(Connection(name), to: place)
        #expect(limit == .handshakes || limit == .clientHandshakes)
        var isCounted = true
        change(client) { isCounted = handshakes.end(place, &$0) }
        #expect(!isCounted)
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
        #expect(taken.isLast == !known.contains { $0.client == taken.client })
        if taken.isLast { holders[taken.client] = nil }
        lost.append((victim.client, victim.place))
        let counts = Self.clients.map { client in known.count { $0.client == client } }
        #expect(!isOfBiggest || taken.count >= counts.max() ?? 0)
      default: break
      }
    }
    for (client, place, _) in known { change(client) { _ = handshakes.end(place, &$0) } }
    for (client, place) in lost { change(client) { _ = handshakes.end(place, &$0) } }
    #expect(handshakes.isEmpty && holders.isEmpty)
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
