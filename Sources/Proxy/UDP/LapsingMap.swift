import Transport

/// A dictionary whose values each hold for the same time, from when they were set.
///
/// What no longer holds is removed in the order in which it was set: a removal costs one step for each value that was
/// set, however many hold.
struct LapsingMap<Key: Hashable, Value> {
  private let lifetime: Duration
  private var entries: [Key: (value: Value, end: Deadline)] = [:]
  /// What was set, from `first` on, the oldest first. Some of it was set again since, or removed.
  private var queue: [(key: Key, end: Deadline)] = []
  private var first = 0

  init(lifetime: Duration) {
    self.lifetime = lifetime
  }

  /// How many there are, with those that no longer hold and were not removed yet.
  var count: Int { entries.count }

  /// The value, as long as it holds.
  subscript(key: Key, at now: Deadline) -> Value? {
    guard let entry = entries[key], now < entry.end else { return nil }
    return entry.value
  }

  /// Sets a value, which holds from now on.
  mutating func set(_ value: Value, for key: Key, at now: Deadline) {
    let end = now + lifetime
    entries[key] = (value, end)
    queue.append((key, end))
    guard queue.count > 2 * entries.count + 64 else { return }
    queue = queue[first...].filter { entries[$0.key]?.end == $0.end }
    first = 0
  }

  mutating func remove(_ key: Key) -> Value? { entries.removeValue(forKey: key)?.value }

  /// Removes a value that no longer holds; `nil` when there is none.
  mutating func removeLapsed(at now: Deadline) -> Value? {
    removeOldest { $0 <= now }
  }

  /// Removes the value that was set before all others; `nil` when there is none.
  mutating func removeOldest() -> Value? {
    removeOldest { _ in true }
  }

  private mutating func removeOldest(ifItsEnd fits: (Deadline) -> Bool) -> Value? {
    while first < queue.count, fits(queue[first].end) {
      let (key, end) = queue[first]
      first += 1
      if entries[key]?.end == end { return remove(key) }
    }
    return nil
  }
}
