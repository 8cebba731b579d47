import Addresses
import DNS
import Routing
import Settings
import Synchronization
import Transport
import Wire

/// Reaches one destination as the server would, and tells how each phase went.
package struct Tracer: Sendable {
  /// One phase that succeeded.
  package struct Step: Sendable {
    package let place: Failure.Place
    package let phase: Failure.Phase
    package let duration: Duration
    /// What it began with left together with what other phases began with, or end with.
    package let isPipelined: Bool
    /// What was agreed on, of the phase `tls`: `TLSv1.3`.
    package let tlsVersion: String?
  }

  /// Where a hop takes datagrams.
  package struct Relay: Sendable {
    package let place: Failure.Place
    /// BND of its reply.
    package let told: Endpoint
    /// What is used: where the hop told an address that is of no use outside, the one it was reached at.
    package let used: Endpoint
  }

  /// What the headers of the hops leave of a datagram, in octets of payload.
  package struct Room: Sendable {
    package let headers: Int
    /// In the largest datagram there is.
    package let largest: Int
    /// In one that crosses a path of 1,500 octets in one piece.
    package let unfragmented: Int

    /// - Parameter address: where the datagrams are sent to from here.
    init(towards address: IPAddress, headers: Int) {
      let ipHeader = if case .v4 = address { 20 } else { 40 }
      self.headers = headers
      largest = DatagramBatch.largestByteCount(towards: address) - headers
      unfragmented = 1_500 - ipHeader - 8 - headers
    }
  }

  /// How the destination was reached.
  package enum Reach: Sendable {
    /// - bound: what the destination sees, or the last hop says it does.
    case connected(bound: SocketAddress)
    /// A datagram came back from the destination.
    /// - size: its payload, in octets.
    /// - time: there and back.
    case answered(by: Endpoint, size: Int, time: Duration)
  }

  package struct Report: Sendable {
    /// Each phase of each hop once, in the order of the hops.
    package fileprivate(set) var steps: [Step] = []
    /// Of the hops that carry datagrams, in their order.
    package fileprivate(set) var relays: [Relay] = []
    /// Once there is a way for datagrams.
    package fileprivate(set) var room: Room?
    package fileprivate(set) var result: Result<Reach, Failure>
    /// When the outcome was a plan: the way that the rest is about, and those that had failed before.
    package fileprivate(set) var way: Way?
    package fileprivate(set) var attempts: [Journey.Attempt] = []
    /// For everything.
    package fileprivate(set) var duration: Duration
  }

  private let configuration: Configuration
  private let health = Health()

  package init(_ configuration: Configuration) {
    self.configuration = configuration
  }

  /// Reaches `request`'s destination as `outcome` says, on a loop of its own, and closes what it opened: dials it, or
  /// sends it a datagram and waits for an answer.
  ///
  /// - Parameter timeout: the route's own, for the whole dial.
  /// - Precondition: the outcome is neither `reject` nor `drop`, and the command is not BIND.
  package func run(
    _ request: Request, via outcome: Outcome, timeout: Duration?
  ) async throws -> Report {
    let loop = try EventLoop()
    defer { loop.stop() }
    let names = try SharedNames(
      servers: configuration.nameServers.servers, cacheCapacity: configuration.nameServers.cacheCapacity)
    let resolver = Resolver(names, on: loop)
    return await withTaskGroup(of: Report?.self) { group in
      group.addTask(executorPreference: loop) {
        await resolver.run()
        return nil
      }
      group.addTask(executorPreference: loop) {
        await trace(request, via: outcome, timeout: timeout, on: loop, resolver)
      }
      var report: Report?
      while report == nil, let next = await group.next() { report = next }
      group.cancelAll()
      // The second task always ends with a report, and the first never before it is cancelled.
      guard let report else { preconditionFailure("a trace ended without a report") }
      return report
    }
  }

  private func trace(
    _ request: Request, via outcome: Outcome, timeout: Duration?, on loop: EventLoop, _ resolver: Resolver
  ) async -> Report {
    let policy = Policy(configuration)
    let notes = Mutex(Notes())
    var dialer = Dialer(
      shared: Dialer.Shared(
        loop: loop, resolver: resolver, ownListeners: OwnListeners(), pipelining: Pipelining(),
        identities: Identities()),
      policy: policy)
    dialer.observer = Dialer.Observer(
      onPhase: { step in notes.withLock { $0.add(step) } },
      onWay: { way in notes.withLock { $0 = Notes(way: way) } },
      onRelay: { place, told, used in
        notes.withLock { $0.add(Relay(place: place, told: told, used: used)) }
      })
    if case .plan(let plan) = outcome {
      dialer.journey = Journey(by: plan, for: request, health: health)
    }
    let budget = timeout ?? policy.timeouts.dial
    var room: Room?
    let start = Deadline.now
    let result: Result<Reach, Failure>
    do throws(Failure) {
      if request.command == .udp {
        result = .success(try await probe(request, via: outcome, by: dialer, budget, room: &room))
      } else {
        let connection = try await dialer.dial(request, via: outcome, budget: budget)
        result = .success(.connected(bound: connection.bound))
      }
    } catch {
      result = .failure(error)
    }
    return notes.withLock { notes in
      Report(
        steps: notes.steps, relays: notes.relays, room: room, result: result,
        way: notes.way, attempts: Self.before(dialer.journey, result), duration: Deadline.now.since(start))
    }
  }

  /// The attempts before the one that the result tells of.
  private static func before(_ journey: Journey?, _ result: Result<Reach, Failure>) -> [Journey.Attempt] {
    guard let journey else { return [] }
    return journey.way == nil ? journey.attempts.dropLast() : journey.attempts
  }

  // MARK: Datagrams

  /// By what datagrams leave.
  private enum Exit {
    case chain(NestedAssociation)
    case here
  }

  private func probe(
    _ request: Request, via outcome: Outcome, by dialer: Dialer, _ budget: Duration, room: inout Room?
  ) async throws(Failure) -> Reach {
    if let failure = Failure(lackOfUDPOf: outcome) { throw failure }
    let exit = try await dialer.travel(request, asking: .associate, via: outcome, within: budget) {
      way, deadline throws(Failure) in
      switch way {
      case .chain(let chain):
        Exit.chain(
          try await NestedAssociation.open(chain, by: dialer, budget: deadline.since(.now)))
      case .direct: Exit.here
      }
    }
    var probe: DatagramProbe
    switch exit {
    case .chain(let nested):
      let header = SOCKS5.DatagramHeader(request.destination).bytes
      room = Room(towards: nested.relay, headers: nested.prefixSize + header.count)
      probe = DatagramProbe(through: nested, to: request.destination, on: dialer.loop)
    case .here:
      let address = try await address(of: request, by: dialer)
      room = Room(towards: address, headers: 0)
      do {
        probe = try DatagramProbe(
          to: SocketAddress(address, port: request.destination.port), on: dialer.loop)
      } catch {
        throw Failure(.destination, .relay, .system(error))
      }
    }
    let answer = try await probe.run()
    return .answered(by: answer.source, size: answer.size, time: answer.time)
  }

  /// Where datagrams to a destination go directly: the same choice as `DirectPath` makes.
  private func address(of request: Request, by dialer: Dialer) async throws(Failure) -> IPAddress {
    let name: DomainName
    switch request.destination.host {
    case .address(let address): return address
    case .name(let destination): name = destination
    }
    let start = Deadline.now
    let addresses: [IPAddress]
    if let known = dialer.policy.hosts.addresses(for: name) {
      addresses = known
    } else {
      addresses = try await lookUp(name, for: request, by: dialer)
    }
    dialer.tell(.destination, .resolve, since: start)
    let table = dialer.policy.table
    guard let address = table.addressForDatagrams(among: addresses, of: request) else {
      let route = addresses.lazy.compactMap { table.refusal(of: $0, for: request) }.first
      throw Failure(.destination, .resolve, route.map { .rejected(route: $0.label) } ?? .notDialable)
    }
    return address
  }

  private func lookUp(
    _ name: DomainName, for request: Request, by dialer: Dialer
  ) async throws(Failure) -> [IPAddress] {
    let lookup = dialer.resolver.lookup(name, for: dialer.client)
    let deadline = Deadline.after(dialer.policy.timeouts.dns)
    do throws(ResolutionFailure) {
      while !lookup.suffices(for: request, by: dialer.policy.table) {
        try await lookup.waitForAnswer(until: deadline)
      }
      if let failure = lookup.failure { throw failure }
    } catch {
      throw Failure(.destination, resolving: .name(name), .resolution(error), askedOf: lookup.server)
    }
    return Family.allCases.flatMap { (try? lookup[$0]?.get()) ?? [] }
  }
}

/// What the dialer told.
private struct Notes {
  /// By a plan.
  var way: Way?
  private(set) var steps: [Tracer.Step] = []
  private(set) var relays: [Tracer.Relay] = []

  /// The control connections of a chain's associations are opened at the same time, and all pass the first hops: what
  /// was told first stays. Only where hops were told too much at once is it told again.
  mutating func add(_ step: Tracer.Step) {
    if let index = steps.firstIndex(where: { $0.place == step.place && $0.phase == step.phase }) {
      guard steps[index].isPipelined, !step.isPipelined else { return }
      steps.remove(at: index)
    }
    steps.insert(step, at: steps.firstIndex { $0.place.order > step.place.order } ?? steps.endIndex)
  }

  mutating func add(_ relay: Tracer.Relay) {
    relays.insert(relay, at: relays.firstIndex { $0.place.order > relay.place.order } ?? relays.endIndex)
  }
}

extension Failure.Place {
  /// On the way.
  fileprivate var order: Int {
    switch self {
    case .client: -1
    case .hop(let index, _, _): index
    case .destination: .max
    }
  }
}
