/// The deadlines of a loop's waits: a binary heap that knows where each wait stands, so that one can be withdrawn.
///
/// Most deadlines never pass: they are withdrawn when the awaited thing happens. An idle limit is the farthest of all
/// when it is set, so it costs one comparison to insert.
struct DeadlineHeap {
  private struct Entry {
    var deadline: Deadline
    var wait: Int
  }

  private var entries: [Entry] = []
  /// Per wait: its place in `entries`, or -1.
  private var places: [Int32] = []

  var earliest: Deadline? { entries.first?.deadline }

  mutating func insert(_ deadline: Deadline, for wait: Int) {
    while places.count <= wait { places.append(-1) }
    entries.append(Entry(deadline: deadline, wait: wait))
    places[wait] = Int32(entries.count - 1)
    rise(from: entries.count - 1)
  }

  /// Withdraws the deadline of `wait`, if it has one.
  mutating func remove(_ wait: Int) {
    guard wait < places.count, places[wait] >= 0 else { return }
    let place = Int(places[wait])
    places[wait] = -1
    let last = entries.removeLast()
    guard place < entries.count else { return }
    entries[place] = last
    places[last.wait] = Int32(place)
    rise(from: place)
    sink(from: place)
  }

  /// Takes out a wait whose deadline is not after `now`.
  mutating func popExpired(at now: Deadline) -> Int? {
    guard let first = entries.first, first.deadline <= now else { return nil }
    remove(first.wait)
    return first.wait
  }

  private mutating func rise(from start: Int) {
    var place = start
    while place > 0, entries[place].deadline < entries[(place - 1) / 2].deadline {
      swap(place, (place - 1) / 2)
      place = (place - 1) / 2
    }
  }

  private mutating func sink(from start: Int) {
    var place = start
    while true {
      var least = place
      for child in (2 * place + 1)..<(2 * place + 3) where child < entries.count {
        if entries[child].deadline < entries[least].deadline { least = child }
      }
      guard least != place else { return }
      swap(place, least)
      place = least
    }
  }

  private mutating func swap(_ one: Int, _ other: Int) {
    entries.swapAt(one, other)
    places[entries[one].wait] = Int32(one)
    places[entries[other].wait] = Int32(other)
  }
}
