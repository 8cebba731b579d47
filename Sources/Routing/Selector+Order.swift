extension Selector {
  /// Members of one grade, by their indices, in the order in which to try them.
  struct Order {
    private let indices: [Int]
    /// Chooses one after the other, since most choices end with the first; `nil`: they are in order.
    private var draw: WeightedDraw?
    private var place = 0

    fileprivate init(_ indices: [Int], draw: WeightedDraw? = nil) {
      self.indices = indices
      self.draw = draw
    }

    mutating func next(using generator: inout Generator) -> Int? {
      if draw != nil { return draw?.next(using: &generator).map { indices[$0] } }
      guard place < indices.count else { return nil }
      defer { place += 1 }
      return indices[place]
    }
  }

  /// A group's members that may be passed, the best first.
  mutating func orders(_ group: Group) -> [Order] {
    let graded = group.members.indices.map { ($0, grade(group.members[$0].stop)) }
    return Grade.allCases.prefix { $0 <= allowance }.map { grade in
      arrange(graded.filter { $0.1 == grade }.map(\.0), of: group)
    }
  }

  private mutating func arrange(_ indices: [Int], of group: Group) -> Order {
    guard indices.count > 1 else { return Order(indices) }
    if group.strategy == .random {
      return Order(indices, draw: WeightedDraw(indices.map { group.members[$0].weight }))
    }
    return Order(sorted(indices, of: group))
  }

  private mutating func sorted(_ indices: [Int], of group: Group) -> [Int] {
    switch group.strategy {
    case .failover, .random: return indices
    case .roundRobin: return rotated(indices, of: group)
    case .fastest:
      // Checks measure all members again and again, and all of the way.
      if let times = standings.times(of: group) {
        return Self.ascending(indices) { times[$0] ?? .infinity }
      }
      // Otherwise one connection in 32 takes any member, since another may have become faster.
      if Int.random(in: 0..<32, using: &generator) == 0 { return indices.shuffled(using: &generator) }
      return Self.ascending(indices) { latency(group.members[$0].stop) }
    case .leastConnections:
      return Self.ascending(rotated(indices, of: group)) { Double(connections(group.members[$0].stop)) }
    case .sticky(let key):
      let text = text(of: key)
      return Self.ascending(indices) {
        -Double(rendezvousScore(of: group.members[$0].stop.description, for: text))
      }
    }
  }

  private func rotated(_ indices: [Int], of group: Group) -> [Int] {
    let start = standings.turns[group.name, default: 0] % indices.count
    return Array(indices[start...] + indices[..<start])
  }

  private static func ascending(_ indices: [Int], by measure: (Int) -> Double) -> [Int] {
    indices.enumerated().map { (place: $0, index: $1, measure: measure($1)) }
      .sorted { ($0.measure, $0.place) < ($1.measure, $1.place) }.map(\.index)
  }

  /// The latency of what was never tried is zero, so that it is tried; during that trial, it is infinite. So is that of
  /// `direct`, which has no handshake to measure.
  private func latency(_ stop: Stop) -> Double {
    switch stop {
    case .upstream(let upstream):
      let standing = standings[upstream]
      return standing.latency ?? (standing.connections > 0 ? .infinity : 0)
    case .direct: return .infinity
    case .group(let group): return group.members.lazy.map { latency($0.stop) }.min() ?? 0
    case .itinerary(let itinerary):
      return itinerary.positions.reduce(0) { sum, position in
        sum + (position.choices.lazy.map { latency($0) }.min() ?? 0)
      }
    }
  }

  private func connections(_ stop: Stop) -> Int {
    switch stop {
    case .upstream(let upstream): standings[upstream].connections
    case .direct: standings.directConnections
    case .group(let group): group.members.reduce(0) { $0 + connections($1.stop) }
    case .itinerary(let itinerary):
      itinerary.positions.lazy.flatMap(\.choices).map { connections($0) }.max() ?? 0
    }
  }

  private func text(of key: Group.Key) -> String {
    switch key {
    case .client: request.client.map { $0.unmapped.description } ?? ""
    case .user: request.user ?? ""
    case .destination: request.destination.host.description
    }
  }
}

/// Rendezvous hashing (Thaler and Ravishankar, 1998): of all members, the one with the highest score for a key is its
/// own. When one goes, only its keys move. The hash is the same everywhere, so that many instances agree.
func rendezvousScore(of member: String, for key: String) -> UInt64 {
  // FNV-1a, 64 bits.
  var hash: UInt64 = 0xcbf2_9ce4_8422_2325
  for byte in [Array(key.utf8), [0xff], Array(member.utf8)].joined() {
    hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3
  }
  // Short strings leave its upper bits alike: MurmurHash3's finalizer spreads them.
  hash = (hash ^ hash >> 33) &* 0xff51_afd7_ed55_8ccd
  hash = (hash ^ hash >> 33) &* 0xc4ce_b9fe_1a85_ec53
  return hash ^ hash >> 33
}
