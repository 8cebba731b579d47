import Addresses
import Routing
import Synchronization
import Transport

/// Chains through which no UDP path can be opened at present, over all loops and clients.
///
/// An entry holds for 30 s, so that a client that goes on sending does not make Sockeye dial a dead hop for every
/// datagram. A chain is kept as it is dialled: with the credentials of one identity (`isolate`), since a hop may refuse
/// one identity and serve another. What one client can bring about holds for that client's association only
/// (`Dispatch.rests`); for all clients it holds when it has happened to two.
///
/// An entry keeps clients from a chain. It sends none another way: what happened to one association a while ago is no
/// reason for another one to go `direct`.
///
/// Clients make identities, so a client has a share of the entries that concern one identity. What concerns all
/// identities of a chain is kept apart from these.
final class Outages: Sendable {
  /// How long a chain is left alone.
  static let duration = Duration.seconds(30)
  /// How long a hop counts as one that carries datagrams, after the last path through it was open: 10 minutes.
  private static let carriage = Duration.seconds(600)
  /// How many entries of either kind there are: the oldest makes room.
  private static let capacity = 1024
  /// How many identities of one client have an entry: more failures are not remembered.
  private static let share = capacity / 4

  private struct Outage {
    let failure: Failure
    /// `nil`: it holds for all clients. Otherwise the one client that it has happened to.
    let witness: Client?
    /// The client in whose share it counts, if it concerns one identity.
    let holder: Client
  }

  private struct Carrier {
    /// The paths that are open through the upstream.
    var paths = 0
    /// When one was opened or closed last.
    var latest: Deadline?
  }

  private struct State {
    /// By chains as the table has them.
    var common = LapsingMap<Chain, Outage>(lifetime: Outages.duration)
    /// By chains with the credentials of one identity.
    var own = LapsingMap<Chain, Outage>(lifetime: Outages.duration)
    /// How many of `own` each client holds.
    var held: [Client: Int] = [:]
    var carriers = UpstreamRecords { _ in Carrier() }
    /// A failure of these outcomes is not written to the log again.
    var silences = LapsingMap<Outcome, Void>(lifetime: Outages.duration)

    func outage(of chain: Chain, as isolated: Chain, at now: Deadline) -> Outage? {
      common[chain, at: now] ?? (isolated == chain ? nil : own[isolated, at: now])
    }

    mutating func keep(_ outage: Outage, of chain: Chain, at now: Deadline) {
      while common.removeLapsed(at: now) != nil {}
      if common.count >= Outages.capacity, common[chain, at: now] == nil { _ = common.removeOldest() }
      common.set(outage, for: chain, at: now)
    }

    mutating func keep(_ outage: Outage, as isolated: Chain, at now: Deadline) {
      while let lapsed = own.removeLapsed(at: now) { release(lapsed) }
      if own[isolated, at: now] == nil {
        guard held[outage.holder, default: 0] < Outages.share else { return }
        if own.count >= Outages.capacity, let oldest = own.removeOldest() { release(oldest) }
        held[outage.holder, default: 0] += 1
      }
      own.set(outage, for: isolated, at: now)
    }

    mutating func forget(_ chain: Chain, as isolated: Chain) {
      _ = common.remove(chain)
      if let outage = own.remove(isolated) { release(outage) }
    }

    private mutating func release(_ outage: Outage) {
      let rest = held[outage.holder, default: 0] - 1
      held[outage.holder] = rest > 0 ? rest : nil
    }
  }

  private let state = Mutex(State())

  /// Returns why no client can open a path through the chain; `nil` when it may be tried.
  ///
  /// - Parameters:
  ///   - chain: as the table has it.
  ///   - isolated: the same with the credentials of the identity.
  func failure(of chain: Chain, as isolated: Chain) -> Failure? {
    let outage = state.withLock { $0.outage(of: chain, as: isolated, at: .now) }
    return outage?.witness == nil ? outage?.failure : nil
  }

  /// Remembers why a path could not be opened for a client, unless the failure says nothing of the chain.
  func note(_ failure: Failure, of chain: Chain, as isolated: Chain, by client: Client) {
    guard !failure.isOurs, !failure.isOfNameServer, !failure.isCutShort else { return }
    let concernsAll = failure.concernsAllIdentities || isolated == chain
    state.withLock { state in
      let now = Deadline.now
      let earlier = concernsAll ? state.common[chain, at: now] : state.own[isolated, at: now]
      if let earlier, earlier.witness == nil { return }
      let isProven = !failure.mayBeTheClients || earlier.map { $0.witness != client } == true
      let outage = Outage(
        failure: failure, witness: isProven ? nil : client, holder: earlier?.holder ?? client)
      if concernsAll {
        state.keep(outage, of: chain, at: now)
      } else {
        state.keep(outage, as: isolated, at: now)
      }
    }
  }

  /// Notes that a path was opened: what was remembered of the chain no longer holds.
  func enter(_ chain: Chain, as isolated: Chain) {
    state.withLock { state in
      state.forget(chain, as: isolated)
      for hop in chain.hops {
        state.carriers.update(hop) { $0 = Carrier(paths: $0.paths + 1, latest: .now) }
      }
    }
  }

  /// Notes that a path that was opened has been closed.
  func leave(_ chain: Chain) {
    state.withLock { state in
      for hop in chain.hops {
        // Two reloads, there and back, may have forgotten a path that is closed now.
        state.carriers.update(hop) { $0 = Carrier(paths: max(0, $0.paths - 1), latest: .now) }
      }
    }
  }

  /// Whether the hop at that place of a chain carries datagrams, as far as paths tell: one is open through it, or was less
  /// than 10 minutes ago. If it says that it carries none, it says so to one client, who may have asked it for too much.
  func hasCarried(at place: Failure.Place, of chain: Chain, now: Deadline = .now) -> Bool {
    guard let index = place.hopIndex, chain.hops.indices.contains(index) else { return false }
    let carrier = state.withLock { $0.carriers[chain.hops[index]] }
    guard carrier.paths == 0, let latest = carrier.latest else { return carrier.paths > 0 }
    return now < latest + Self.carriage
  }

  /// Forgets which upstreams carried datagrams, but for those of a table that holds from now on, and those that paths still
  /// pass.
  func keep(_ upstreams: [Upstream]) {
    state.withLock { $0.carriers.keep(upstreams) { $0.paths > 0 } }
  }

  /// Returns true if a failure of the outcome is to be written to the log: once in 30 s, for all identities together.
  func isNews(_ outcome: Outcome) -> Bool {
    state.withLock { state in
      let now = Deadline.now
      while state.silences.removeLapsed(at: now) != nil {}
      guard state.silences[outcome, at: now] == nil else { return false }
      state.silences.set((), for: outcome, at: now)
      return true
    }
  }
}

extension Failure {
  /// The first hop was not reached, or failed at a greeting, which names nobody.
  fileprivate var concernsAllIdentities: Bool {
    guard place.hopIndex == 0 else { return false }
    return switch phase {
    case .resolve, .connect, .tls, .greet: true
    case .authenticate, .request, .associate, .accept, .relay: false
    }
  }

  /// The hop, or the one before it, had admitted us: it may have refused because of what this client had asked for before,
  /// such as too many associations.
  /// Or the hop may be full.
  fileprivate var mayBeTheClients: Bool {
    switch phase {
    case .connect: isUnopened || mayBeFull
    case .resolve, .tls, .greet, .authenticate: mayBeFull
    case .request, .associate, .accept, .relay: !isLackOfUDP
    }
  }
}
