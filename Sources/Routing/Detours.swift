/// What one connection has found out on its way, and so does not try again.
package struct Detours: Sendable {
  /// Upstreams that failed it: passed only when there is nothing else, and not after the same hops.
  private(set) var failed: Set<String> = []
  /// Beginnings of chains that led nowhere, as names.
  private var deadEnds: [[String]] = []

  package init() {}

  /// Keeps off chains that begin with these hops, the last of which failed.
  package mutating func add(_ hops: some Collection<Upstream>) {
    deadEnds.append(hops.map(\.name))
    if let last = deadEnds.last?.last { failed.insert(last) }
  }

  /// Whether that is such a beginning.
  func contain(_ hops: [Upstream]) -> Bool {
    deadEnds.contains { $0.count == hops.count && zip($0, hops).allSatisfy { $0 == $1.name } }
  }
}
