/// What one connection has found out on its way, and so does not try again.
package struct Detours: Sendable {
  /// Upstreams that failed it: passed only when there is nothing else, and not after the same hops.
  private(set) var failed: Set<String> = []
  /// Beginnings of chains that led nowhere, as names.
  private var deadEnds: [[String]] = []
  /// A proxy that is up did not serve it: it goes on to other proxies at most, and never `direct`.
  private(set) var avoidDirect = false

  package init() {}

  /// Keeps off chains that begin with these hops, the last of which failed.
  ///
  /// - Parameter isOut: whether that hop is down, or cannot carry datagrams at all; if it is neither, the connection may
  ///   not go `direct` instead.
  package mutating func add(_ hops: some Collection<Upstream>, isOut: Bool) {
    if !isOut { avoidDirect = true }
    deadEnds.append(hops.map(\.name))
    if let last = deadEnds.last?.last { failed.insert(last) }
  }

  /// Whether that is such a beginning.
  func contain(_ hops: [Upstream]) -> Bool {
    deadEnds.contains { $0.count == hops.count && zip($0, hops).allSatisfy { $0 == $1.name } }
  }
}
