import Addresses
import Settings
import Synchronization
import Transport

/// How many connections and handshakes there are, over all loops, and what each limit has refused or closed.
///
/// A connection holds a place from accept to its end. Beyond the limits of one client it holds none among `connections`
/// and none among `handshakes`. No connection is refused for want of a place among `handshakes`: an older handshake is
/// closed for it.
final class Occupancy: Sendable {
  /// What one client, or all clients, hold.
  private struct Places {
    var connections = 0
    /// What `Handshakes` knows the client by, once it has had one.
    var holder: Int?
    /// Connections that are heard only to be refused.
    var refusals = 0
    /// Connections whose client has ended its direction during the dial: they count no longer among `connections` of
    /// this client.
    var ended = 0

    var isEmpty: Bool { connections == 0 && refusals == 0 && ended == 0 }
  }

  private struct Counts {
    var all = Places()
    var clients: [Client: Places] = [:]
    var handshakes = Handshakes()
    var reached: [Limit: (value: Int, count: Int)] = [:]

    /// The limit that has no room for another connection of a client; `nil` when all have.
    func limitReached(by own: Places, of client: Client, _ limits: Limits) -> Limit? {
      let reached: Limit? =
        if client.isLocal, !limits.perClientIsForAll {
          own.connections + own.ended >= limits[.localClient] ? .localClient : nil
        } else {
          own.connections >= limits.perClient ? .perClient : nil
        }
      if let reached { return reached }
      return all.connections >= limits.connections ? .connections : nil
    }

    mutating func count(_ reached: ReachedLimit) {
      self.reached[reached.limit] = (reached.value, (self.reached[reached.limit]?.count ?? 0) + 1)
    }

    mutating func refuse(_ client: Client, by refusal: ReachedLimit, _ limits: Limits) -> Entry {
      count(refusal)
      let most = Occupancy.refusals(in: limits)
      var own = clients[client] ?? Places()
      // A refusal in words takes the place of a handshake, in numbers of its own.
      guard own.refusals < most.ofOne, all.refusals < most.ofAll else {
        return Entry(admission: .turnedAway, refusal: refusal)
      }
      own.refusals += 1
      all.refusals += 1
      clients[client] = own
      let place = Place(client: client, refusal: refusal.limit, handshake: nil)
      return Entry(admission: .admitted(place), refusal: refusal)
    }

    /// Makes room for one more handshake of a client: the oldest loses its place. It is the client's own where the client
    /// has its share, and otherwise the oldest of the client that has most.
    mutating func makeRoom(for own: Places, _ limits: Limits) -> Displaced? {
      let limit: Limit
      let taken: Handshakes.Taken
      if let holder = own.holder, handshakes.count(of: holder) >= limits[.clientHandshakes] {
        limit = .clientHandshakes
        taken = handshakes.takeOldest(of: holder, for: limit)
      } else if handshakes.count >= limits.handshakes {
        limit = .handshakes
        taken = handshakes.takeFromBiggest(for: limit)
      } else {
        return nil
      }
      let reached = ReachedLimit(limit, of: limits)
      count(reached)
      return Displaced(
        reached: reached, connection: taken.connection, client: taken.client, held: taken.count)
    }

    /// Changes what a client holds; nothing is kept of a client that holds nothing.
    mutating func change<Result>(_ client: Client, _ body: (inout Places, inout Places) -> Result) -> Result {
      var own = clients[client] ?? Places()
      let result = body(&own, &all)
      if own.isEmpty {
        clients[client] = nil
        if let holder = own.holder { handshakes.forget(holder) }
      } else {
        clients[client] = own
      }
      return result
    }
  }

  private let counts = Mutex(Counts())

  /// The place of one connection.
  struct Place {
    let client: Client
    /// Why the request is refused, once it was heard; `nil`: it is served.
    let refusal: Limit?
    fileprivate(set) var isHandshaking = true
    fileprivate(set) var hasEnded = false
    /// What `Handshakes` knows its handshake by. 32 bits, since each tunnel holds a place.
    fileprivate let handshake: Int32?
  }

  enum Admission {
    case admitted(Place)
    /// There is not even room to hear the request and refuse it.
    case turnedAway
  }

  /// What comes of a connection that was accepted.
  struct Entry {
    let admission: Admission
    /// The limit that refuses it.
    var refusal: ReachedLimit?
    /// A handshake whose place it has taken.
    var displaced: Displaced?
  }

  /// A handshake that has lost its place to a newer one.
  struct Displaced {
    /// For which limit.
    let reached: ReachedLimit
    /// To be ended; `nil` while it is not known yet, which `attach` will tell it.
    let connection: (any Handshaking)?
    /// Whose it is, and how many that client had.
    let client: Client
    let held: Int
  }

  /// How many connections of one client are heard only to be refused; beyond that they are closed unheard.
  private static func refusals(in limits: Limits) -> (ofOne: Int, ofAll: Int) {
    (max(1, limits.handshakes / 16), max(1, limits.handshakes / 4))
  }

  /// Counts a connection and its handshake, unless it is turned away; one that is admitted must `leave`.
  func enter(_ client: Client, limits: Limits) -> Entry {
    counts.withLock { counts in
      var own = counts.clients[client] ?? Places()
      if let refusal = counts.limitReached(by: own, of: client, limits) {
        return counts.refuse(client, by: ReachedLimit(refusal, of: limits), limits)
      }
      let displaced = counts.makeRoom(for: own, limits)
      own.connections += 1
      counts.all.connections += 1
      let handshake = counts.handshakes.begin(of: client, &own.holder)
      counts.clients[client] = own
      // There are no more than `limits.handshakes` and those that were closed for newer ones.
      let place = Place(client: client, refusal: nil, handshake: Int32(clamping: handshake))
      return Entry(admission: .admitted(place), displaced: displaced)
    }
  }

  /// Says which connection has this place.
  ///
  /// - Returns: the limit for which it has lost the place already.
  func attach(_ connection: any Handshaking, to place: Place) -> Limit? {
    guard let handshake = place.handshake else { return nil }
    return counts.withLock { $0.handshakes.attach(connection, to: Int(handshake)) }
  }

  /// The request was heard, or will not come.
  func endHandshake(_ place: inout Place) {
    guard place.isHandshaking else { return }
    place.isHandshaking = false
    guard let handshake = place.handshake else { return }
    counts.withLock { $0.handshakes.end(Int(handshake)) }
  }

  /// The client has ended its direction while its destination is dialled: the connection goes on without counting against
  /// the client's limit.
  ///
  /// - Returns: whether it may; false when the client has that many already, and the dial should end.
  func clientEnded(_ place: inout Place, limits: Limits) -> Bool {
    guard place.refusal == nil, !place.hasEnded else { return true }
    let client = place.client
    let hasRoom = counts.withLock { counts in
      counts.change(client) { own, _ in
        guard own.ended < min(limits.perClient, limits[.localClient]) else { return false }
        own.connections -= 1
        own.ended += 1
        return true
      }
    }
    place.hasEnded = hasRoom
    return hasRoom
  }

  func leave(_ place: consuming Place) {
    endHandshake(&place)
    let (client, isRefused, hasEnded) = (place.client, place.refusal != nil, place.hasEnded)
    counts.withLock { counts in
      counts.change(client) { own, all in
        if isRefused {
          own.refusals -= 1
          all.refusals -= 1
          return
        }
        if hasEnded { own.ended -= 1 } else { own.connections -= 1 }
        all.connections -= 1
      }
    }
  }

  /// How often each limit has refused or closed something since the start, and its value at that time.
  var reached: [Limit: (value: Int, count: Int)] { counts.withLock { $0.reached } }

  /// Nobody holds a place, and nothing is kept of those who did.
  var isEmpty: Bool { counts.withLock { $0.all.isEmpty && $0.clients.isEmpty && $0.handshakes.isEmpty } }

  /// Counts a refusal by a limit.
  func count(_ reached: ReachedLimit) {
    counts.withLock { $0.count(reached) }
  }
}
