import Addresses
import Settings
import Synchronization
import Transport

/// How many connections there are, over all loops, and how many were refused for want of room.
///
/// A connection holds a place from accept to its end. No client can take all places of others: those beyond the limits of
/// a client hold neither a place among `connections` nor one among `handshakes`.
final class Occupancy: Sendable {
  /// What one client, or all clients, hold.
  private struct Places {
    var connections = 0
    var handshakes = 0
    /// Connections that are heard only to be refused.
    var refusals = 0
    /// Connections whose client has ended its direction during the dial: they count no longer among `connections` of
    /// this client.
    var ended = 0

    var isEmpty: Bool { connections == 0 && handshakes == 0 && refusals == 0 && ended == 0 }
  }

  private struct Counts {
    var all = Places()
    var associations = 0
    var clients: [Client: Places] = [:]
    var refusals = RefusalCounts()

    /// The limit that has no room for another connection of a client; `nil` when all have.
    func limitReached(by own: Places, of client: Client, _ limits: Limits) -> Limit? {
      let reached: Limit? =
        if client.isLocal, !limits.perClientIsForAll {
          own.connections + own.ended >= limits[.localClient] ? .localClient : nil
        } else {
          own.connections >= limits.perClient ? .perClient : nil
        }
      if let reached { return reached }
      if all.connections >= limits.connections { return .connections }
      if own.handshakes >= limits[.clientHandshakes] { return .clientHandshakes }
      if all.handshakes >= limits.handshakes { return .handshakes }
      return nil
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
  }

  enum Admission {
    case admitted(Place)
    /// There is not even room to hear the request and refuse it.
    case turnedAway
  }

  /// How many connections of one client are heard only to be refused; beyond that they are closed unheard.
  private static func refusals(in limits: Limits) -> (ofOne: Int, ofAll: Int) {
    (max(1, limits.handshakes / 16), max(1, limits.handshakes / 4))
  }

  /// Counts a connection and its handshake, unless it is turned away; one that is admitted must `leave`.
  ///
  /// - Returns: how it is admitted, and what is to be told of a limit, if it is time for that.
  func enter(_ client: Client, limits: Limits) -> (admission: Admission, notice: RefusalCounts.Notice?) {
    counts.withLock { counts in
      var own = counts.clients[client] ?? Places()
      defer { if !own.isEmpty { counts.clients[client] = own } }
      guard let refusal = counts.limitReached(by: own, of: client, limits) else {
        own.connections += 1
        own.handshakes += 1
        counts.all.connections += 1
        counts.all.handshakes += 1
        return (.admitted(Place(client: client, refusal: nil)), nil)
      }
      let notice = counts.refusals.count(ReachedLimit(refusal, of: limits))
      let most = Self.refusals(in: limits)
      // A refusal in words takes the place of a handshake, in numbers of its own.
      guard refusal.isHeard, own.refusals < most.ofOne, counts.all.refusals < most.ofAll else {
        return (.turnedAway, notice)
      }
      own.refusals += 1
      counts.all.refusals += 1
      return (.admitted(Place(client: client, refusal: refusal)), notice)
    }
  }

  /// The request was heard, or will not come.
  func endHandshake(_ place: inout Place) {
    guard place.isHandshaking else { return }
    place.isHandshaking = false
    guard place.refusal == nil else { return }
    change(place.client) { own, all in
      own.handshakes -= 1
      all.handshakes -= 1
    }
  }

  /// The client has ended its direction while its destination is dialled: the connection goes on without counting against
  /// the client's limit.
  ///
  /// - Returns: whether it may; false when the client has that many already, and the dial should end.
  func clientEnded(_ place: inout Place, limits: Limits) -> Bool {
    guard place.refusal == nil, !place.hasEnded else { return true }
    let hasRoom = change(place.client) { own, _ in
      guard own.ended < min(limits.perClient, limits[.localClient]) else { return false }
      own.connections -= 1
      own.ended += 1
      return true
    }
    place.hasEnded = hasRoom
    return hasRoom
  }

  func leave(_ place: consuming Place) {
    endHandshake(&place)
    change(place.client) { [place] own, all in
      guard place.refusal == nil else {
        own.refusals -= 1
        all.refusals -= 1
        return
      }
      if place.hasEnded { own.ended -= 1 } else { own.connections -= 1 }
      all.connections -= 1
    }
  }

  private func change<Result: Sendable>(
    _ client: Client, _ body: (inout Places, inout Places) -> Result
  ) -> Result {
    counts.withLock { counts in
      var own = counts.clients[client] ?? Places()
      defer { counts.clients[client] = own.isEmpty ? nil : own }
      return body(&own, &counts.all)
    }
  }

  /// How many connections and associations each limit has refused since the start.
  var refused: [Limit: Int] { counts.withLock { $0.refusals.totals } }

  /// Nobody holds a place, and nothing is kept of those who did.
  var isEmpty: Bool { counts.withLock { $0.all.isEmpty && $0.clients.isEmpty && $0.associations == 0 } }

  // MARK: Associations

  /// Room for one UDP association, until it ends.
  struct AssociationSeat: ~Copyable {
    private let occupancy: Occupancy

    fileprivate init(in occupancy: Occupancy) {
      self.occupancy = occupancy
    }

    deinit {
      occupancy.counts.withLock { $0.associations -= 1 }
    }
  }

  /// `nil` when there are `limit` associations.
  func seatAssociation(limit: Int) -> AssociationSeat? {
    let hasRoom = counts.withLock { counts in
      guard counts.associations < limit else { return false }
      counts.associations += 1
      return true
    }
    return hasRoom ? AssociationSeat(in: self) : nil
  }

  /// Counts a refusal by a limit, and returns what is to be told of it.
  func countRefusal(by reached: ReachedLimit) -> RefusalCounts.Notice? {
    counts.withLock { $0.refusals.count(reached) }
  }
}

extension Limit {
  /// Whether a connection that it refuses is heard first, and told so. Where handshakes are too many there is no room to
  /// hear one more.
  fileprivate var isHeard: Bool { self != .handshakes && self != .clientHandshakes }
}
