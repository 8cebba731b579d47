import Addresses

/// Who lists and who is suggested by the values of an index that is being built.
private struct Pairs {
  var leaves: [(value: Postings.Value, item: UInt32)] = []
  var routes: [(value: Postings.Value, item: UInt32)] = []

  mutating func suggest(_ route: UInt32, by pairs: Range<Int>) {
    for position in pairs { routes.append((leaves[position].value, route)) }
  }
}

/// A `NameIndex` being filled.
struct NameGatherer {
  private var index: NameIndex
  private var pairs = Pairs()

  init(capacity: Int) {
    index = NameIndex(capacity: capacity)
  }

  /// - Returns: where the leaf's pairs stand, for `suggest`.
  mutating func add(_ names: some Sequence<String>, leaf: UInt32) -> Range<Int> {
    let start = pairs.leaves.count
    for name in names {
      pairs.leaves.append((Postings.Value(index.insert(name.utf8Span.span)), leaf))
    }
    return start..<pairs.leaves.count
  }

  mutating func suggest(_ route: UInt32, by pairs: Range<Int>) {
    self.pairs.suggest(route, by: pairs)
  }

  /// - Parameter nested: whether a name lies inside those it ends in.
  func finish(nested: Bool) -> (NameIndex, Postings) {
    let enclosing = (0..<index.count).map { key in
      nested ? index.enclosing(key).map { Postings.Value($0) } ?? Postings.none : Postings.none
    }
    return (index, Postings(enclosing: enclosing, leaves: pairs.leaves, routes: pairs.routes))
  }
}

/// A `PrefixIndex` being filled.
struct PrefixGatherer {
  private var values: [Prefix: Postings.Value] = [:]
  private var prefixes: [Prefix] = []
  private var pairs = Pairs()

  /// - Returns: where the leaf's pairs stand, for `suggest`.
  mutating func add(_ prefixes: [Prefix], leaf: UInt32) -> Range<Int> {
    let start = pairs.leaves.count
    for prefix in prefixes {
      let next = Postings.Value(values.count)
      let value = values[prefix, default: next]
      if value == next {
        values[prefix] = next
        self.prefixes.append(prefix)
      }
      pairs.leaves.append((value, leaf))
    }
    return start..<pairs.leaves.count
  }

  mutating func suggest(_ route: UInt32, by pairs: Range<Int>) {
    self.pairs.suggest(route, by: pairs)
  }

  func finish() -> (PrefixIndex, Postings) {
    let index = PrefixIndex(prefixes)
    let enclosing = index.enclosing.map { $0.map { Postings.Value($0) } ?? Postings.none }
    return (index, Postings(enclosing: enclosing, leaves: pairs.leaves, routes: pairs.routes))
  }
}
