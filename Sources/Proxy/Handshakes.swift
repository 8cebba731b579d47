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
  /// What one client has.
  private struct Holder {
    let client: Client
    var count = 0
    /// Its handshakes, oldest first.
    var places = Queue()
  }

  private struct Place {
    let holder: Int
    var connection: (any Handshaking)?
    /// It was taken away for this limit, and waits to be ended.
    var lost: Limit?
  }

  /// The first and last of a list whose elements are linked by `Links`.
  private struct Queue {
    var first: Int?
    var last: Int?
  }

  private var places = Slots<Place>()
  private var holders = Slots<Holder>()
  /// Clients by their number of handshakes; those that have had it for longest first.
  private var byCount: [Queue] = [Queue()]

  /// How many there are, of those that have a place.
  private(set) var count = 0
  /// How many handshakes the client with most of them has.
  private var most = 0

  /// A handshake that has lost its place.
  struct Taken {
    let client: Client
    /// How many the client had.
    let count: Int
    /// `nil` while it is not known yet, which `attach` will tell it.
    let connection: (any Handshaking)?
  }

  var isEmpty: Bool { places.isEmpty && holders.isEmpty }

  // MARK: Beginning and ending

  /// - Parameter holder: what this type knows the client by, until `forget`; `nil` for a client that it does not know.
  /// - Returns: what it knows the handshake by.
  mutating func begin(of client: Client, _ holder: inout Int?) -> Int {
    let index = holder ?? holders.add(Holder(client: client))
    holder = index
    let place = places.add(Place(holder: index))
    places.append(place, to: &holders[index].places)
    count(index, by: 1)
    return place
  }

  /// Says which connection it is.
  ///
  /// - Returns: the limit for which its place was taken away meanwhile.
  mutating func attach(_ connection: any Handshaking, to place: Int) -> Limit? {
    if let limit = places[place].lost { return limit }
    places[place].connection = connection
    return nil
  }

  /// Ends one, also when its place had been taken away.
  mutating func end(_ place: Int) {
    if places[place].lost == nil { unlink(place) }
    places.remove(place)
  }

  /// How many a client has that this type knows.
  func count(of holder: Int) -> Int { holders[holder].count }

  /// Forgets a client, all of whose handshakes have ended.
  mutating func forget(_ holder: Int) { holders.remove(holder) }

  /// Takes its place away from the oldest handshake of the client that has most of them. One has to be under way.
  mutating func takeFromBiggest(for limit: Limit) -> Taken {
    // `most` is above 0 while a handshake is under way, and then it is the number of at least one holder.
    guard let index = byCount[most].first else { preconditionFailure("a handshake is under way") }
    return takeOldest(of: index, for: limit)
  }

  /// Takes its place away from the oldest handshake of one client, which has to have one.
  ///
  /// - Parameter index: what this type knows the client by.
  mutating func takeOldest(of index: Int, for limit: Limit) -> Taken {
    guard let place = holders[index].places.first else { preconditionFailure("the client has a handshake") }
    let (client, count, connection) = (holders[index].client, holders[index].count, places[place].connection)
    places[place].lost = limit
    places[place].connection = nil
    unlink(place)
    return Taken(client: client, count: count, connection: connection)
  }

  private mutating func unlink(_ place: Int) {
    let index = places[place].holder
    places.unlink(place, from: &holders[index].places)
    count(index, by: -1)
  }

  private mutating func count(_ holder: Int, by step: Int) {
    count += step
    let old = holders[holder].count
    let new = old + step
    if old > 0 { holders.unlink(holder, from: &byCount[old]) }
    holders[holder].count = new
    if new == byCount.count { byCount.append(Queue()) }
    if new > 0 { holders.append(holder, to: &byCount[new]) }
    if new > most || old == most && byCount[old].first == nil { most = new }
  }

  // MARK: Lists

  /// Values in places that are used again, each linked into one list at a time.
  private struct Slots<Value> {
    private var values: [Value?] = []
    private var previous: [Int?] = []
    private var next: [Int?] = []
    private var free: [Int] = []

    var isEmpty: Bool { free.count == values.count }

    /// An index is valid from `add` to `remove`; nothing outside of `Handshakes` keeps one for longer.
    subscript(index: Int) -> Value {
      get {
        guard let value = values[index] else { preconditionFailure("the slot is in use") }
        return value
      }
      _modify {
        guard var value = values[index] else { preconditionFailure("the slot is in use") }
        values[index] = nil
        defer { values[index] = value }
        yield &value
      }
    }

    mutating func add(_ value: Value) -> Int {
      if let index = free.popLast() {
        values[index] = value
        return index
      }
      values.append(value)
      previous.append(nil)
      next.append(nil)
      return values.count - 1
    }

    mutating func remove(_ index: Int) {
      values[index] = nil
      free.append(index)
    }

    mutating func append(_ index: Int, to queue: inout Queue) {
      previous[index] = queue.last
      next[index] = nil
      if let last = queue.last { next[last] = index } else { queue.first = index }
      queue.last = index
    }

    mutating func unlink(_ index: Int, from queue: inout Queue) {
      let (before, behind) = (previous[index], next[index])
      if let before { next[before] = behind } else { queue.first = behind }
      if let behind { previous[behind] = before } else { queue.last = before }
    }
  }
}
