/// A dictionary of bounded size: when it is full, the entry that was unused for longest makes room.
struct RecencyMap<Key: Hashable, Value> {
  private struct Entry {
    var key: Key
    var value: Value
    /// Positions in `entries`, or -1.
    var newer = -1
    var older = -1
  }

  /// At least one.
  let capacity: Int
  private var places: [Key: Int] = [:]
  private var entries: [Entry] = []
  private var newest = -1
  private var oldest = -1

  init(capacity: Int) {
    precondition(capacity > 0)
    self.capacity = capacity
  }

  var count: Int { entries.count }

  var values: some Sequence<Value> { entries.lazy.map(\.value) }

  /// The value, which now is the one used last.
  mutating func use(_ key: Key) -> Value? {
    guard let place = places[key] else { return nil }
    if place != newest {
      unlink(place)
      linkAsNewest(place)
    }
    return entries[place].value
  }

  /// Gives a key another value than it has.
  ///
  /// - Precondition: the key has one.
  mutating func replace(with value: Value, for key: Key) {
    guard let place = places[key] else { preconditionFailure("only what is there is replaced") }
    entries[place].value = value
  }

  /// Adds a value for a key, and returns the one that made room for it.
  ///
  /// - Precondition: the key has no value.
  mutating func insert(_ value: Value, for key: Key) -> Value? {
    precondition(places[key] == nil)
    guard entries.count == capacity else {
      entries.append(Entry(key: key, value: value))
      places[key] = entries.count - 1
      linkAsNewest(entries.count - 1)
      return nil
    }
    let place = oldest
    unlink(place)
    let displaced = entries[place]
    places[displaced.key] = nil
    entries[place] = Entry(key: key, value: value)
    places[key] = place
    linkAsNewest(place)
    return displaced.value
  }

  /// Removes the entry that was unused for longest of those whose value fits.
  mutating func removeOldest(where fits: (Value) -> Bool) -> Value? {
    var place = oldest
    while place >= 0, !fits(entries[place].value) { place = entries[place].newer }
    guard place >= 0 else { return nil }
    unlink(place)
    let removed = entries[place]
    places[removed.key] = nil
    let last = entries.count - 1
    if place < last {
      // The last entry moves to the place that has become free.
      let moved = entries[last]
      entries[place] = moved
      places[moved.key] = place
      if moved.newer >= 0 { entries[moved.newer].older = place } else { newest = place }
      if moved.older >= 0 { entries[moved.older].newer = place } else { oldest = place }
    }
    entries.removeLast()
    return removed.value
  }

  private mutating func unlink(_ place: Int) {
    let (newer, older) = (entries[place].newer, entries[place].older)
    if newer >= 0 { entries[newer].older = older } else { newest = older }
    if older >= 0 { entries[older].newer = newer } else { oldest = newer }
  }

  private mutating func linkAsNewest(_ place: Int) {
    entries[place].newer = -1
    entries[place].older = newest
    if newest >= 0 { entries[newest].newer = place } else { oldest = place }
    newest = place
  }
}
