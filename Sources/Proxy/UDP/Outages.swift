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
final class Outages: Sendable {
  /// How long a chain is left alone.
  static let duration = Duration.seconds(30)
  /// Identities are made by clients: beyond this number, failures are not remembered.
  private static let capacity = 1024

  private struct Outage {
    let failure: Failure
    let end: Deadline
    /// `nil`: it holds for all clients. Otherwise the one client that it has happened to.
    let witness: Client?
  }

  private struct State {
    var outages: [Chain: Outage] = [:]
    /// Upstreams through which a path was once open.
    var carriers = UpstreamRecords { _ in false }
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

  /// A path was opened: what was remembered of the chain no longer holds.
  func clear(_ chain: Chain, as isolated: Chain) {
    state.withLock { state in
      state.outages[chain] = nil
      state.outages[isolated] = nil
      for hop in chain.hops { state.carriers.update(hop) { $0 = true } }
    }
  }

  /// Whether a path was once open through the hop at that place of a chain. What it says of UDP later is what it says to
  /// one client, who may have asked it for too much.
  func hasCarried(at place: Failure.Place, of chain: Chain) -> Bool {
    guard let index = place.hopIndex, chain.hops.indices.contains(index) else { return false }
    return state.withLock { $0.carriers[chain.hops[index]] }
  }

  /// Forgets which upstreams carried datagrams, but for those of a table that holds from now on.
  func keep(_ upstreams: [Upstream]) {
    state.withLock { $0.carriers.keep(upstreams) }
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
  fileprivate var mayBeTheClients: Bool {
    switch phase {
    case .connect: isUnopened
    case .resolve, .tls, .greet, .authenticate: false
    case .request, .associate, .accept, .relay: !isLackOfUDP
    }
  }
}
