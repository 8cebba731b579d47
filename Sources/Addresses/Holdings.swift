/// Places that holders take: which is the oldest place of each holder, and which holder has most. Each call takes constant
/// time, however many there are.
///
/// Holders and places have numbers. A number is used again after `forget` or `free`.
package struct Holdings {
  private struct Holder {
    var count = 0
    /// Oldest first.
    var places = Queue()
  }

  /// The first and last of a list whose elements are linked by `Slots`.
  private struct Queue {
    var first: Int?
    var last: Int?
  }

  /// With the number of its holder.
  private var places = Slots<Int>()
  private var holders = Slots<Holder>()
  /// Holders by their number of places; those that have had it for longest first.
  private var byCount: [Queue] = [Queue()]

  /// How many places are held.
  package private(set) var count = 0
  /// How many places the holder with most of them has.
  package private(set) var most = 0

  package init() {}

  /// There is neither a holder nor a place.
  package var isEmpty: Bool { places.isEmpty && holders.isEmpty }

  /// The number of a new holder.
  package mutating func addHolder() -> Int { holders.add(Holder()) }

  /// Forgets a holder that holds no place.
  package mutating func forget(_ holder: Int) { holders.remove(holder) }

  /// How many places a holder has.
  package func count(of holder: Int) -> Int { holders[holder].count }

  /// The number of a new place, which is the newest of its holder.
  package mutating func take(for holder: Int) -> Int {
    let place = places.add(holder)
    places.append(place, to: &holders[holder].places)
    count(holder, by: 1)
    return place
  }

  /// Takes a place away from its holder. Its number is in use until `free`.
  package mutating func release(_ place: Int) {
    let holder = places[place]
    places.unlink(place, from: &holders[holder].places)
    count(holder, by: -1)
  }

  /// Frees the number of a place that was released.
  package mutating func free(_ place: Int) { places.remove(place) }

  /// Who holds a place, or held it before it was released.
  package func holder(of place: Int) -> Int { places[place] }

  /// The oldest place of a holder; `nil` when it has none.
  package func oldest(of holder: Int) -> Int? { holders[holder].places.first }

  /// The oldest place of the holder that has most of them; `nil` when none is held.
  package var oldestOfBiggest: Int? {
    // `most` is the number of at least one holder, unless it is 0.
    most == 0 ? nil : byCount[most].first.flatMap(oldest)
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

    /// An index is valid from `add` to `remove`; nothing keeps one for longer.
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
