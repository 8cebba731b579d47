import Routing

/// Chains of one kind and their tunnels, for which there is a limit: chains of another kind cannot crowd them out, nor
/// they those.
final class WarmShelf {
  private var entries: RecencyMap<Chain, WarmChain>
  private let mostTunnels: Int
  /// How many chains one client may have here, and how many tunnels; `nil`: the chains are no client's.
  private let share: Int?

  init(chains: Int, tunnels: Int, share: Int? = nil) {
    entries = RecencyMap(capacity: chains)
    mostTunnels = tunnels
    self.share = share
  }

  var chains: some Sequence<WarmChain> { entries.values }

  func use(_ chain: Chain) -> WarmChain? { entries.use(chain) }

  /// Adds a chain that is not there, and returns the one that made room for it, unused for longest: one of the same
  /// client's, if that has its share.
  func add(_ entry: WarmChain) -> WarmChain? {
    if let share, entries.values.count(where: { $0.client == entry.client }) >= share {
      let displaced = entries.removeOldest { $0.client == entry.client }
      _ = entries.insert(entry, for: entry.chain)
      return displaced
    }
    return entries.insert(entry, for: entry.chain)
  }

  /// How many tunnels more a chain may have. One that has none may always have one.
  func room(for entry: WarmChain) -> Int {
    var room = mostTunnels
    var own = share ?? mostTunnels
    for other in entries.values {
      let count = other.tunnels.count + other.refills
      room -= count
      if share == nil || other.client == entry.client { own -= count }
    }
    return max(min(room, own), entry.tunnels.count + entry.refills == 0 ? 1 : 0)
  }
}
