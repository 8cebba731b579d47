import Addresses
import Settings
import Synchronization

/// What clients hold beside connections: UDP associations, sockets, and ports of the ranges in the table. Of each, one client
/// may hold a quarter.
final class Shares: Sendable {
  fileprivate enum Kind: Hashable, Sendable {
    case associations
    case sockets
    case ports(PortRange)
  }

  private struct Share: Hashable {
    let kind: Kind
    let client: Client
  }

  private struct Counts {
    var all: [Kind: Int] = [:]
    var own: [Share: Int] = [:]

    mutating func add(_ count: Int, of kind: Kind, for client: Client) {
      let share = Share(kind: kind, client: client)
      (all[kind], own[share]) = (Self.sum(all[kind], count), Self.sum(own[share], count))
    }

    private static func sum(_ count: Int?, _ change: Int) -> Int? {
      let sum = (count ?? 0) + change
      return sum == 0 ? nil : sum
    }
  }

  private let counts = Mutex(Counts())

  /// Room for what one client was given, until this value ends.
  final class Seat: Sendable {
    private let shares: Shares
    private let client: Client
    private let held: [(kind: Kind, count: Int)]

    fileprivate init(_ shares: Shares, _ client: Client, _ held: [(kind: Kind, count: Int)]) {
      self.shares = shares
      self.client = client
      self.held = held
    }

    deinit {
      shares.counts.withLock { [held, client] counts in
        for (kind, count) in held { counts.add(-count, of: kind, for: client) }
      }
    }
  }

  /// Nobody holds anything, and nothing is kept of those who did.
  var isEmpty: Bool { counts.withLock { $0.all.isEmpty && $0.own.isEmpty } }

  /// Room for a UDP association and its sockets.
  func seatAssociation(of client: Client, limits: Limits) throws(ReachedLimit) -> Seat {
    try seat(
      client,
      [
        (
          .associations, 1, ReachedLimit(.clientAssociations, of: limits),
          ReachedLimit(.associations, of: limits)
        ),
        sockets(Limits.socketsPerAssociation, limits),
      ])
  }

  /// Room for sockets beside the two of a connection.
  func seatSockets(_ count: Int, of client: Client, limits: Limits) throws(ReachedLimit) -> Seat {
    try seat(client, [sockets(count, limits)])
  }

  /// Room for one port of `range`; `nil` where any port will do.
  func seatPort(of range: PortRange?, for client: Client) throws(ReachedLimit) -> Seat? {
    guard let range else { return nil }
    return try seat(client, [(.ports(range), 1, range.share, nil)])
  }

  /// With what one client may hold, and all of them.
  private typealias Demand = (kind: Kind, count: Int, ofOne: ReachedLimit, ofAll: ReachedLimit?)

  private func sockets(_ count: Int, _ limits: Limits) -> Demand {
    (.sockets, count, ReachedLimit(.clientSockets, of: limits), ReachedLimit(.sockets, of: limits))
  }

  private func seat(_ client: Client, _ demands: [Demand]) throws(ReachedLimit) -> Seat {
    let reached: ReachedLimit? = counts.withLock { counts in
      for (kind, count, ofOne, ofAll) in demands {
        if counts.own[Share(kind: kind, client: client), default: 0] + count > ofOne.value { return ofOne }
        if let ofAll, counts.all[kind, default: 0] + count > ofAll.value { return ofAll }
      }
      for (kind, count, _, _) in demands { counts.add(count, of: kind, for: client) }
      return nil
    }
    if let reached { throw reached }
    return Seat(self, client, demands.map { ($0.kind, $0.count) })
  }
}
