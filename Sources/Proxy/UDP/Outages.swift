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
final class Outages: Sendable {
  /// How long a chain is left alone.
  static let duration = Duration.seconds(30)
  /// How long a hop counts as one that carries datagrams, after the last path through it was open: 10 minutes.
  private static let carriage = Duration.seconds(600)
  /// Identities are made by clients: beyond this number, failures are not remembered.
  private static let capacity = 1024

  private struct Outage {
    let failure: Failure
    let end: Deadline
    /// `nil`: it holds for all clients. Otherwise the one client that it has happened to.
    let witness: Client?
  }

  private struct Carrier {
    /// The paths that are open through the upstream.
    var paths = 0
    /// When one was opened or closed last.
    var latest: Deadline?
  }

  private struct State {
    var outages: [Chain: Outage] = [:]
    var carriers = UpstreamRecords { _ in Carrier() }
    /// Until when a failure of the outcome is not written to the log again.
    var silences: [Outcome: Deadline] = [:]
  }

  private let state = Mutex(State())

  /// Returns why no client can open a path through the chain; `nil` when it may be tried.
  ///
  /// - Parameters:
  ///   - chain: as the table has it.
  ///   - isolated: the same with the credentials of the identity.
  func failure(of chain: Chain, as isolated: Chain) -> Failure? {
    state.withLock { state in
      let now = Deadline.now
      for key in [chain, isolated] {
        if let outage = state.outages[key], outage.end > now, outage.witness == nil { return outage.failure }
      }
      return nil
    }
  }

  /// Remembers why a path could not be opened for a client, unless the failure says nothing of the chain.
  func note(_ failure: Failure, of chain: Chain, as isolated: Chain, by client: Client) {
    guard !failure.isOurs, !failure.isOfNameServer, !failure.isCutShort else { return }
    let dialled = failure.concernsAllIdentities ? chain : isolated
    let end = Deadline.now + Self.duration
    state.withLock { state in
      let now = Deadline.now
      let earlier = state.outages[dialled].flatMap { $0.end > now ? $0 : nil }
      if let earlier, earlier.witness == nil { return }
      if earlier == nil, state.outages.count >= Self.capacity {
        state.outages = state.outages.filter { $0.value.end > now }
        guard state.outages.count < Self.capacity else { return }
      }
      let isProven = !failure.mayBeTheClients || earlier.map { $0.witness != client } == true
      state.outages[dialled] = Outage(failure: failure, end: end, witness: isProven ? nil : client)
    }
  }

  /// Notes that a path was opened: what was remembered of the chain no longer holds.
  func enter(_ chain: Chain, as isolated: Chain) {
    state.withLock { state in
      state.outages[chain] = nil
      state.outages[isolated] = nil
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
      // A reloaded table may never ask for the others again.
      state.silences = state.silences.filter { $0.value > now }
      guard state.silences[outcome] == nil else { return false }
      state.silences[outcome] = now + Self.duration
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
