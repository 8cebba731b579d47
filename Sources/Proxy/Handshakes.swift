import Addresses
import Settings

/// A connection whose request has not been read yet.
protocol Handshaking: AnyObject, Sendable {
  /// Ends the connection, since a newer one has its place, for this limit. Called on any thread.
  func giveUpHandshake(for limit: Limit)
}

/// The handshakes under way: which is the oldest of each client, and which client has most. Each call takes constant time,
/// however many there are.
struct Handshakes {
  private struct Place {
    let client: Client
    var connection: (any Handshaking)?
    /// It was taken away for this limit, and waits to be ended.
    var lost: Limit?
  }

  private var holdings = Holdings()
  /// By what `holdings` knows them by.
  private var places: [Place?] = []

  /// A handshake that has lost its place.
  struct Taken {
    let client: Client
    /// How many the client had.
    let count: Int
    /// `nil` while it is not known yet, which `attach` will tell it.
    let connection: (any Handshaking)?
  }

  /// How many there are, of those that have a place.
  var count: Int { holdings.count }

  var isEmpty: Bool { holdings.isEmpty }

  // MARK: Beginning and ending

  /// - Parameter holder: what this type knows the client by, until `forget`; `nil` for a client that it does not know.
  /// - Returns: what it knows the handshake by.
  mutating func begin(of client: Client, _ holder: inout Int?) -> Int {
    let index = holder ?? holdings.addHolder()
    holder = index
    let place = holdings.take(for: index)
    if place == places.count { places.append(nil) }
    places[place] = Place(client: client)
    return place
  }

  /// Says which connection it is.
  ///
  /// - Returns: the limit for which its place was taken away meanwhile.
  mutating func attach(_ connection: any Handshaking, to place: Int) -> Limit? {
    if let limit = places[place]?.lost { return limit }
    places[place]?.connection = connection
    return nil
  }

  /// Ends one, also when its place had been taken away.
  mutating func end(_ place: Int) {
    if places[place]?.lost == nil { holdings.release(place) }
    holdings.free(place)
    places[place] = nil
  }

  /// How many a client has that this type knows.
  func count(of holder: Int) -> Int { holdings.count(of: holder) }

  /// Forgets a client, all of whose handshakes have ended.
  mutating func forget(_ holder: Int) { holdings.forget(holder) }

  /// Takes its place away from the oldest handshake of the client that has most of them. One has to be under way.
  mutating func takeFromBiggest(for limit: Limit) -> Taken { take(holdings.oldestOfBiggest, for: limit) }

  /// Takes its place away from the oldest handshake of one client, which has to have one.
  ///
  /// - Parameter holder: what this type knows the client by.
  mutating func takeOldest(of holder: Int, for limit: Limit) -> Taken {
    take(holdings.oldest(of: holder), for: limit)
  }

  private mutating func take(_ place: Int?, for limit: Limit) -> Taken {
    guard let place, let taken = places[place] else { preconditionFailure("a handshake is under way") }
    let count = holdings.count(of: holdings.holder(of: place))
    holdings.release(place)
    places[place] = Place(client: taken.client, lost: limit)
    return Taken(client: taken.client, count: count, connection: taken.connection)
  }
}
