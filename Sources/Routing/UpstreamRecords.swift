/// What is known of each upstream, by its name, over reloads.
///
/// A reload may give a name to another proxy. Nothing that is known of the old one holds for the new one, and what is
/// still found out about the old one, by dials that had begun before, is not noted for the new one.
package struct UpstreamRecords<Record> {
  private var entries: [String: (upstream: Upstream, record: Record)] = [:]
  private let makeRecord: @Sendable (Upstream) -> Record

  /// - Parameter makeRecord: of an upstream that nothing is known of.
  package init(_ makeRecord: @escaping @Sendable (Upstream) -> Record) {
    self.makeRecord = makeRecord
  }

  /// A new record where nothing is known of the upstream, or the name is another proxy's.
  package subscript(upstream: Upstream) -> Record {
    guard let entry = entries[upstream.name], entry.upstream.isSameProxy(as: upstream) else {
      return makeRecord(upstream)
    }
    return entry.record
  }

  /// Changes the record in place; does nothing when the name is another proxy's.
  package mutating func update(_ upstream: Upstream, _ change: (inout Record) -> Void) {
    if let index = entries.index(forKey: upstream.name) {
      guard entries.values[index].upstream.isSameProxy(as: upstream) else { return }
      change(&entries.values[index].record)
    } else {
      var record = makeRecord(upstream)
      change(&record)
      entries[upstream.name] = (upstream, record)
    }
  }

  /// Changes all records.
  package mutating func updateAll(_ change: (inout Record) -> Void) {
    for index in entries.values.indices { change(&entries.values[index].record) }
  }

  /// Forgets all but the upstreams of a table that holds from now on.
  ///
  /// - Parameter isInUse: whether the record of an upstream whose name the table no longer has is kept all the same.
  package mutating func keep(_ upstreams: [Upstream], unless isInUse: (Record) -> Bool = { _ in false }) {
    let old = entries
    entries = [:]
    for upstream in upstreams { entries[upstream.name] = (upstream, makeRecord(upstream)) }
    for (name, entry) in old {
      if let new = entries[name] {
        if new.upstream.isSameProxy(as: entry.upstream) { entries[name]?.record = entry.record }
      } else if isInUse(entry.record) {
        entries[name] = entry
      }
    }
  }

  /// Keeps the record that the upstream has from now on.
  package mutating func remember(_ upstream: Upstream) { update(upstream) { _ in } }

  /// Forgets the upstream of that name.
  package mutating func forget(_ name: String) { entries[name] = nil }
}

extension UpstreamRecords: Sendable where Record: Sendable {}

extension Upstream {
  /// Whether both are the same proxy, reached in the same way and as the same user, whatever else the table says of
  /// them (timeouts, `udp`, `pipeline`).
  ///
  /// With `isolate`, credentials are a pattern in the table and derived from it in what is dialled: only what keeps
  /// connections apart is compared.
  package func isSameProxy(as other: Upstream) -> Bool {
    name == other.name && kind == other.kind && endpoint == other.endpoint && resolution == other.resolution
      && tls == other.tls && isolation == other.isolation && (isIsolated || credentials == other.credentials)
  }
}
