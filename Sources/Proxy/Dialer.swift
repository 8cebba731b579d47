import Addresses
import DNS
import Routing
import Settings
import Transport
import Wire

/// A destination reached: the stream to it, or through the last hop to it.
struct Connection: ~Copyable {
  let stream: TCPStream
  /// What the client is told as BND: the address the destination sees, or what the last hop said it is.
  let bound: SocketAddress
  /// What the last hop sent behind its reply: the destination's first bytes.
  let early: [UInt8]
  /// The last hop had been waiting.
  var isWarm = false
}

/// Reaches destinations, directly or through a chain. What a chain cannot reach is an error, never dialled another way.
struct Dialer: Sendable {
  /// What all dials of one loop use. An object, since a dial copies its dialer several times.
  final class Shared: Sendable {
    let loop: EventLoop
    let resolver: Resolver
    let ownListeners: OwnListeners
    let pipelining: Pipelining
    let identities: Identities
    /// Told when this machine runs short of something.
    let shortages: Shortages?
    /// What clients hold beside connections: sockets beyond the first of each dial, and ports.
    let shares: Shares?
    /// Told what becomes of each dial through a chain.
    let ledger: Ledger?

    init(
      loop: EventLoop, resolver: Resolver, ownListeners: OwnListeners, pipelining: Pipelining,
      identities: Identities, shortages: Shortages? = nil, shares: Shares? = nil, ledger: Ledger? = nil
    ) {
      self.loop = loop
      self.resolver = resolver
      self.ownListeners = ownListeners
      self.pipelining = pipelining
      self.identities = identities
      self.shortages = shortages
      self.shares = shares
      self.ledger = ledger
    }
  }

  /// Is told the steps of a dial; for `trace`.
  final class Observer: Sendable {
    /// Told each phase when it is over, with its hop.
    let onPhase: @Sendable (Tracer.Step) -> Void
    /// Told each way by a plan when it is tried.
    let onWay: @Sendable (Way) -> Void
    /// Told the relay of each hop: the address that it named, and the one that is used.
    let onRelay: @Sendable (Failure.Place, _ told: Endpoint, _ used: Endpoint) -> Void

    init(
      onPhase: @escaping @Sendable (Tracer.Step) -> Void, onWay: @escaping @Sendable (Way) -> Void,
      onRelay: @escaping @Sendable (Failure.Place, _ told: Endpoint, _ used: Endpoint) -> Void
    ) {
      self.onPhase = onPhase
      self.onWay = onWay
      self.onRelay = onRelay
    }
  }

  let shared: Shared
  let policy: Policy
  /// The client that waits, for whom names are looked up and whose share of the tunnels at rest is used; `nil`: the
  /// program dials for itself.
  var client: Client?
  var observer: Observer?
  /// Chooses the ways, when a plan is dialled.
  var journey: Journey?
  /// Has tunnels to last hops that wait; `nil`: every chain is dialled from its first hop on.
  var warm: WarmChains?

  var loop: EventLoop { shared.loop }
  var resolver: Resolver { shared.resolver }
  var ownListeners: OwnListeners { shared.ownListeners }
  var pipelining: Pipelining { shared.pipelining }
  var identities: Identities { shared.identities }
  var shortages: Shortages? { shared.shortages }
  var shares: Shares? { shared.shares }
  var ledger: Ledger? { shared.ledger }

  /// Dials the request's destination within `budget`, as `outcome` says.
  ///
  /// - Precondition: the outcome is neither `reject` nor `drop`; a plan comes with a journey.
  func dial(_ request: Request, via outcome: Outcome, budget: Duration) async throws(Failure) -> Connection {
    try await travel(request, asking: .connect, via: outcome, within: budget) {
      way, deadline throws(Failure) in
      switch way {
      case .chain(let chain): try await dial(request.destination, through: chain, until: deadline)
      case .direct: try await dialDirectly(request, until: deadline)
      }
    }
  }

  func tell(
    _ place: Failure.Place, of upstream: Upstream? = nil, _ phase: Failure.Phase, since start: Deadline,
    isPipelined: Bool = false, tlsVersion: String? = nil
  ) {
    let duration = Deadline.now.since(start)
    observer?.onPhase(
      Tracer.Step(
        place: place, phase: phase, duration: duration, isPipelined: isPipelined, tlsVersion: tlsVersion))
    journey?.note(place, phase, duration)
    if let upstream { ledger?.note(upstream, phase, duration) }
  }

  /// Gives one deadline to all that a dial takes, and tells of a failure after how long it came.
  func within<Reached: ~Copyable>(
    _ budget: Duration, _ body: (Deadline) async throws(Failure) -> Reached
  ) async throws(Failure) -> Reached {
    let start = Deadline.now
    do {
      return try await body(start + budget)
    } catch {
      var failure = error
      failure.elapsed = Deadline.now.since(start)
      throw failure
    }
  }

  // MARK: Directly

  private func dialDirectly(_ request: Request, until deadline: Deadline) async throws(Failure) -> Connection
  {
    let table = policy.table
    let stream = try await connect(
      to: request.destination, place: .destination, until: deadline
    ) { address in
      table.refusal(of: address, for: request).map { .rejected(route: $0.label) }
    }
    let bound = stream.localAddress ?? SocketAddress(.unspecified4, port: 0)
    return Connection(stream: stream, bound: bound, early: [])
  }

  // MARK: Names

  /// A hop's name is the business of the hop before it, unless the table says `resolve: local`.
  ///
  /// - Parameter families: of which its address may be.
  func endpoint(
    of hop: Hop, in families: [Family] = Family.allCases, until deadline: Deadline
  ) async throws(Failure) -> Endpoint {
    let endpoint = hop.upstream.endpoint
    guard hop.upstream.resolution == .local else { return endpoint }
    return Endpoint(
      try await address(of: endpoint.host, in: families, place: hop.place, until: deadline),
      port: endpoint.port)
  }

  /// The first address of a host, looked up here if it is a name.
  func address(
    of host: Host, in families: [Family] = Family.allCases, place: Failure.Place, until deadline: Deadline
  ) async throws(Failure) -> IPAddress {
    let name: DomainName
    switch host {
    case .address(let address): return address
    case .name(let wanted): name = wanted
    }
    if let addresses = policy.hosts.addresses(for: name) {
      if let address = addresses.first(where: { families.contains($0.family) }) { return address }
      throw Failure(place, resolving: host, .resolution(.noData), askedOf: nil)
    }
    let lookup = resolver.lookup(name, for: client, as: place.nameRole)
    do throws(ResolutionFailure) {
      while true {
        for family in families {
          if case .success(let addresses)? = lookup[family], let address = addresses.first {
            return address
          }
        }
        if lookup.isComplete { throw lookup.failure ?? .noData }
        try await lookup.waitForAnswer(until: deadline)
      }
    } catch {
      shortages?.note(.resolution(error), towards: Endpoint(host, port: 0))
      throw Failure(place, resolving: host, .resolution(error), askedOf: lookup.server)
    }
  }

  // MARK: Connecting

  /// Connects to an endpoint from here, resolving its name if it has one.
  ///
  /// - Parameter refusal: why an address may not be dialled; asked of the very address that is dialled.
  func connect(
    to endpoint: Endpoint, place: Failure.Place, of upstream: Upstream? = nil, until deadline: Deadline,
    refusing refusal: @escaping (IPAddress) -> Failure.Cause?
  ) async throws(Failure) -> TCPStream {
    let start = Deadline.now
    if let client, let reached = shortages?.begin(client, towards: endpoint, at: start) {
      throw Failure(place, .connect, .overLimit(reached))
    }
    let stream: TCPStream
    do throws(ConnectFailure) {
      stream = try await race(to: endpoint, place: place, until: deadline, refusing: refusal)
    } catch {
      shortages?.note(error.cause, towards: endpoint)
      throw error.phase == .resolve
        ? Failure(place, resolving: endpoint.host, error.cause, askedOf: error.server)
        : Failure(place, error.phase, error.cause)
    }
    tell(place, of: upstream, .connect, since: start)
    return stream
  }

  private func race(
    to endpoint: Endpoint, place: Failure.Place, until deadline: Deadline,
    refusing refusal: @escaping (IPAddress) -> Failure.Cause?
  ) async throws(ConnectFailure) -> TCPStream {
    switch endpoint.host {
    case .address(let address):
      return try await connect(to: SocketAddress(address, port: endpoint.port), until: deadline)
    case .name(let name):
      let ownListeners = ownListeners
      var race = ConnectRace(port: endpoint.port, on: loop) { address in
        guard address.isDialable else { return .notDialable }
        return ownListeners.contains(SocketAddress(address, port: endpoint.port))
          ? .ownListener : refusal(address)
      }
      if let client, let shares {
        let limits = policy.limits
        race.makeSeat = { try? shares.seatSockets(1, of: client, limits: limits) }
      }
      if let addresses = policy.hosts.addresses(for: name) {
        race.add(addresses)
      } else {
        let lookup = resolver.lookup(name, for: client, as: place.nameRole)
        race.add(lookup, until: min(deadline, .after(policy.timeouts.dns)))
      }
      return try await race.run(until: deadline)
    }
  }

  private func connect(to address: SocketAddress, until deadline: Deadline) async throws(ConnectFailure)
    -> TCPStream
  {
    guard !ownListeners.contains(address) else { throw ConnectFailure(phase: .connect, cause: .ownListener) }
    do {
      return try await TCPStream.connect(to: address, on: loop, until: deadline)
    } catch {
      throw ConnectFailure(phase: .connect, cause: .system(error))
    }
  }
}

extension Failure.Place {
  /// How a name that stands there is meant.
  fileprivate var nameRole: Resolver.Role { hopIndex == nil ? .destination : .hop }
}
