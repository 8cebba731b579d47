/// Where the values of one index are written: per value, the conditions that list it and the routes it suggests.
///
/// Values lie inside one another (a prefix in a wider one, a name below another), so a value knows the one around it,
/// and what holds for a request is a chain of values: the innermost and all around it.
struct Postings: Sendable {
  /// A value's number; `none` ends a chain.
  typealias Value = Int32
  static let none: Value = -1

  /// All that belongs to a value in one place: most lookups find it in no cache.
  private struct Entry {
    var enclosing: Value
    var leaves = List()
    var routes = List()
  }

  /// `items[first..<first + count]`, ascending; a single item stands in place of `first`.
  private struct List {
    var first: UInt32 = 0
    var count: UInt32 = 0
  }

  private var entries: [Entry]
  private var items: [UInt32] = []

  /// - Parameters:
  ///   - enclosing: per value the one around it.
  ///   - leaves: pairs of a value and the number of a condition, the latter ascending.
  ///   - routes: pairs of a value and the number of a route, the latter ascending.
  init(enclosing: [Value], leaves: [(value: Value, item: UInt32)], routes: [(value: Value, item: UInt32)]) {
    entries = enclosing.map { Entry(enclosing: $0) }
    fill(\.leaves, from: leaves)
    fill(\.routes, from: routes)
  }

  private mutating func fill(
    _ list: WritableKeyPath<Entry, List>, from pairs: [(value: Value, item: UInt32)]
  ) {
    for pair in pairs { entries[Int(pair.value)][keyPath: list].count += 1 }
    var next = UInt32(items.count)
    for value in entries.indices where entries[value][keyPath: list].count > 1 {
      entries[value][keyPath: list].first = next
      next += entries[value][keyPath: list].count
    }
    items += Array(repeating: 0, count: Int(next) - items.count)
    var filled = Array(repeating: UInt32(0), count: entries.count)
    for pair in pairs {
      let value = Int(pair.value)
      if entries[value][keyPath: list].count == 1 {
        entries[value][keyPath: list].first = pair.item
      } else {
        items[Int(entries[value][keyPath: list].first + filled[value])] = pair.item
        filled[value] += 1
      }
    }
  }

  func enclosing(_ value: Value) -> Value { entries[Int(value)].enclosing }

  /// Whether condition `leaf` lists `value` itself.
  func contains(_ leaf: UInt32, at value: Value) -> Bool {
    value != Self.none && first(notBelow: leaf, in: entries[Int(value)].leaves) == leaf
  }

  /// Whether condition `leaf` lists `value` or one around it.
  func contains(_ leaf: UInt32, around value: Value) -> Bool {
    var value = value
    while value != Self.none {
      let entry = entries[Int(value)]
      if first(notBelow: leaf, in: entry.leaves) == leaf { return true }
      value = entry.enclosing
    }
    return false
  }

  /// The first route after route `passed` that `value` or one around it suggests.
  func firstRoute(after passed: Int, around value: Value) -> Int? {
    let start = UInt32(passed + 1)
    var nearest: UInt32?
    var value = value
    while value != Self.none {
      let entry = entries[Int(value)]
      if let route = first(notBelow: start, in: entry.routes) { nearest = min(nearest ?? route, route) }
      value = entry.enclosing
    }
    return nearest.map { Int($0) }
  }

  private func first(notBelow bound: UInt32, in list: List) -> UInt32? {
    if list.count == 1 { return list.first >= bound ? list.first : nil }
    let end = Int(list.first + list.count)
    var low = Int(list.first)
    var high = end
    while low < high {
      let middle = (low + high) / 2
      if items[middle] < bound { low = middle + 1 } else { high = middle }
    }
    return low < end ? items[low] : nil
  }
}
