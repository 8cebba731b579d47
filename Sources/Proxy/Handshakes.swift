import Addresses

/// A connection whose request has not been read yet.
protocol Handshaking: AnyObject, Sendable {
  /// Ends the connection, since its place is another client's now. Called on any thread.
  func giveUpHandshake()
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
    /// It was taken away, and waits to be ended.
    var isLost = false
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

  /// How many handshakes the client with most of them has.
  private(set) var most = 0

  var isEmpty: Bool { places.isEmpty && holders.isEmpty }

  // MARK: Beginning and ending

  /// - Parameter holder: what this type knows the client by; `nil` for a client that has no handshake.
  /// - Returns: what it knows the handshake by.
  mutating func begin(of client: Client, _ holder: inout Int?) -> Int {
    let index = holder ?? holders.add(Holder(client: client))
    holder = index
    let place = places.add(Place(holder: index))
    places.append(place, to: &holders[index].places)
    count(index, by: 1)
    return place
  }

  /// Says which connection it is; false when its place was taken away meanwhile.
  mutating func attach(_ connection: any Handshaking, to place: Int) -> Bool {
    guard !places[place].isLost else { return false }
    places[place].connection = connection
    return true
  }

  /// - Returns: false when its place had been taken away, and was counted out then.
  mutating func end(_ place: Int, _ holder: inout Int?) -> Bool {
    let isLost = places[place].isLost
    if !isLost { unlink(place, &holder) }
    places.remove(place)
    return !isLost
  }

  /// Takes its place away from the oldest handshake of the client that has most of them. One has to be under way.
  ///
  /// - Returns: with `isLast`, it was the only one of that client, which is not known any more.
  mutating func takeFromBiggest() -> (
    client: Client, count: Int, connection: (any Handshaking)?, isLast: Bool
  ) {
    // `most` is above 0 while a handshake is under way, and then it is the number of at least one holder.
    guard let index = byCount[most].first, let place = holders[index].places.first else {
      preconditionFailure("a handshake is under way")
    }
    let (client, count, connection) = (holders[index].client, holders[index].count, places[place].connection)
    places[place].isLost = true
    places[place].connection = nil
    var holder: Int? = index
    unlink(place, &holder)
    return (client, count, connection, holder == nil)
  }

  private mutating func unlink(_ place: Int, _ holder: inout Int?) {
    let index = places[place].holder
    places.unlink(place, from: &holders[index].places)
    count(index, by: -1)
    if holders[index].count == 0 {
      holders.remove(index)
      holder = nil
    }
  }

  private mutating func count(_ holder: Int, by step: Int) {
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
