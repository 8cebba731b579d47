/// What one connection has found out on its way, and so does not try again.
package struct Detours: Sendable {
  /// Upstreams that failed it: passed only when there is nothing else, and not after the same hops.
  private(set) var failed: Set<String> = []
  /// Those of `failed` that were down.
  private(set) var down: Set<String> = []
  /// Upstreams that may have failed it: ways through them are tried after others that are up.
  private(set) var suspects: Set<String> = []
  /// Beginnings of chains that led nowhere, as names.
  private var deadEnds: Set<[String]> = []
  /// The names of the hops with which all chains begin, and then go on.
  private var beginning: [String] = []
  /// A proxy that is up did not serve it: it goes on to other proxies at most, and never `direct`.
  private(set) var avoidDirect = false

  package init() {}

  /// Leaves only chains that begin as these hops do, and go on with another last one.
  init(around hops: some Collection<Upstream>) {
    deadEnds = [hops.map(\.name)]
    beginning = hops.dropLast().map(\.name)
    avoidDirect = true
  }

  /// Keeps off chains that begin with these hops, the last of which failed.
  ///
  /// - Parameters:
  ///   - isOut: whether a hop is down, or cannot carry datagrams at all; if it is neither, the connection may not go
  ///     `direct` instead.
  ///   - isDown: whether it is the last of these hops that is down.
  package mutating func add(_ hops: some BidirectionalCollection<Upstream>, isOut: Bool, isDown: Bool = false)
  {
    if !isOut { avoidDirect = true }
    deadEnds.insert(hops.map(\.name))
    guard let last = hops.last?.name else { return }
    failed.insert(last)
    if isDown { down.insert(last) }
  }

  /// Avoids chains that begin with these hops: the last but one did not open the way to the last, and either may be at
  /// fault. The connection may not go `direct` instead.
  package mutating func addUnopened(_ hops: some Collection<Upstream>) {
    avoidDirect = true
    deadEnds.insert(hops.map(\.name))
    suspects.formUnion(hops.suffix(2).lazy.map(\.name))
  }

  /// Whether no chain may begin so.
  func contain(_ hops: [Upstream]) -> Bool {
    !zip(beginning, hops).allSatisfy { $0 == $1.name }
      || deadEnds.contains(hops.map(\.name))
  }

  /// Whether a chain may be no longer than that.
  func mayEnd(behind hops: [Upstream]) -> Bool { beginning.isEmpty || hops.count > beginning.count }
}
