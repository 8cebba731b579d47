import Addresses

/// Requests that an upstream took and did not answer, since it last answered one.
///
/// Such a request proves nothing against the upstream: a client can choose a destination that never answers, or one
/// whose name makes a filter on the way cut the connection, and one machine can be several clients. So requests of a
/// client count against the upstream for that client only, however many clients there are.
struct Doubts: Hashable, Sendable {
  private struct Witness: Hashable, Sendable {
    let client: Client?
    /// Different ones, at most `enough`.
    var destinations: [Host] = []
    var latest: Moment
    /// Until then the client's connections prefer other proxies.
    var end: Moment = 0
  }

  private var witnesses: [Witness] = []

  /// After so many destinations a client avoids the upstream.
  private static let enough = 3
  /// The clients that are remembered; each is some 200 octets.
  private static let most = 256
  /// What is older does not count.
  private static let lifetime: Moment = 300_000_000_000
  /// How long a client avoids an upstream that did not answer it.
  private static let avoidance: Moment = 30_000_000_000

  /// Adds a request.
  mutating func add(of client: Client?, for destination: Host, at now: Moment) {
    witnesses.removeAll { now > $0.latest + Self.lifetime }
    var entry = Witness(client: client, latest: now)
    if let index = witnesses.firstIndex(where: { $0.client == client }) {
      entry = witnesses.remove(at: index)
      entry.latest = now
    } else if witnesses.count == Self.most {
      witnesses.removeFirst()
    }
    if entry.destinations.count < Self.enough, !entry.destinations.contains(destination) {
      entry.destinations.append(destination)
    }
    if entry.destinations.count == Self.enough { entry.end = now + Self.avoidance }
    witnesses.append(entry)
  }

  /// Whether a request of the client got no answer.
  func concern(_ client: Client?, at now: Moment) -> Bool {
    witnesses.contains { $0.client == client && now <= $0.latest + Self.lifetime }
  }

  /// Whether the client's own requests, for several destinations, got no answer.
  func hold(for client: Client?, at now: Moment) -> Bool {
    guard !witnesses.isEmpty else { return false }
    return witnesses.contains { $0.client == client && now < $0.end }
  }
}
