/// Where the values of one index are written: per value, the conditions that list it and the routes it suggests.
///
/// Values lie inside one another (a prefix in a wider one, a name below another), so a value knows the one around it,
/// and what holds for a request is a chain of values: the innermost and all around it.
struct Postings: Sendable {
  /// A value's number; `none` ends a chain.
  typealias Value = Int32
  static let none: Value = -1

  private var enclosing: [Value]
  private var leaves: Lists
  private var routes: Lists

  /// - Parameters:
  ///   - enclosing: per value the one around it.
  ///   - leaves: pairs of a value and the number of a condition, the latter ascending.
  ///   - routes: pairs of a value and the number of a route, the latter ascending.
  init(enclosing: [Value], leaves: [(value: Value, item: UInt32)], routes: [(value: Value, item: UInt32)]) {
    self.enclosing = enclosing
    self.leaves = Lists(leaves, valueCount: enclosing.count)
    self.routes = Lists(routes, valueCount: enclosing.count)
  }

  func enclosing(_ value: Value) -> Value { enclosing[Int(value)] }

  /// Whether condition `leaf` lists `value` itself.
  func contains(_ leaf: UInt32, at value: Value) -> Bool {
    value != Self.none && leaves.first(notBelow: leaf, at: value) == leaf
  }

  /// Whether condition `leaf` lists `value` or one around it.
  func contains(_ leaf: UInt32, around value: Value) -> Bool {
    var value = value
    while value != Self.none {
      if leaves.first(notBelow: leaf, at: value) == leaf { return true }
      value = enclosing[Int(value)]
    }
    return false
  }

  /// The first route after route `passed` that `value` or one around it suggests.
  func firstRoute(after passed: Int, around value: Value) -> Int? {
    let start = UInt32(passed + 1)
    var first: UInt32?
    var value = value
    while value != Self.none {
      if let route = routes.first(notBelow: start, at: value) { first = min(first ?? route, route) }
      value = enclosing[Int(value)]
    }
    return first.map { Int($0) }
  }
}

/// An ascending list for each value, all in one array.
private struct Lists: Sendable {
  /// The list of value n is `items[starts[n]..<starts[n + 1]]`.
  private var starts: [UInt32]
  private var items: [UInt32]

  init(_ pairs: [(value: Int32, item: UInt32)], valueCount: Int) {
    starts = Array(repeating: 0, count: valueCount + 1)
    for pair in pairs { starts[Int(pair.value) + 1] += 1 }
    for value in 0..<valueCount { starts[value + 1] += starts[value] }
    items = Array(repeating: 0, count: pairs.count)
    var free = starts
    for pair in pairs {
      items[Int(free[Int(pair.value)])] = pair.item
      free[Int(pair.value)] += 1
    }
  }

  func first(notBelow bound: UInt32, at value: Int32) -> UInt32? {
    let end = Int(starts[Int(value) + 1])
    var low = Int(starts[Int(value)])
    var high = end
    while low < high {
      let middle = (low + high) / 2
      if items[middle] < bound { low = middle + 1 } else { high = middle }
    }
    return low < end ? items[low] : nil
  }
}
