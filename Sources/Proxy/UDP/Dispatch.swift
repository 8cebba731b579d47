import Addresses
import DNS
import Routing
import Settings
import Transport
import Wire

/// Where the datagrams of one association go.
///
/// Each destination gets its own verdict, once; what came of it is remembered as a flow. So different destinations leave
/// by different ways at the same time. What a chain cannot carry is dropped, and never sent another way.
///
/// `@unchecked` holds because it belongs to an association, whose tasks run on one thread.
final class Dispatch: @unchecked Sendable {
  unowned let association: Association
  let terms: Association.Terms
  private var flows: RecencyMap<Endpoint, Flow>
  /// By what is dialled: each identity has paths of its own.
  var paths: [Chain: ChainPath] = [:]
  /// Why, and until when, this association opens no path through a chain, by what is dialled.
  private var rests: RecencyMap<Chain, Rest>
  /// What was chosen for a plan that leads all destinations the same way, for as long as it lasts.
  var chosen: [Plan: Choice] = [:]
  let direct: DirectPath
  private var bytesWaiting = 0
  /// By which the datagrams staged in the loop's batch leave.
  private var stagedOutlet: Outlet?

  /// What became of this association's own path through a chain.
  struct Rest {
    let failure: Failure
    let end: Deadline
  }

  /// How many bytes may wait for names and paths.
  private static let waitingLimit = 256 * 1024
  /// How long after the last datagram the resolver, which has a cache, is asked for a name again. Before, it would be
  /// wrong: a session cannot go on with another of the name's hosts.
  private static let nameLifetime = Deadline.Interval(.seconds(30))
  /// How long there is no way, where the reason is remembered elsewhere.
  static let failureLifetime = Duration.seconds(1)

  init(for association: Association) {
    self.association = association
    terms = association.terms
    flows = RecencyMap(capacity: terms.policy.limits.pathsPerAssociation)
    rests = RecencyMap(capacity: terms.policy.limits.pathsPerAssociation)
    direct = DirectPath(for: association)
  }

  var loop: EventLoop { association.loop }
  var server: Server { association.worker.server }

  // MARK: Forwarding

  /// Sends a payload of the loop's batch on its way, or drops it; `flush` ends a series.
  func forward(_ slot: Int, to destination: Endpoint) {
    let batch = loop.datagrams
    let payload = batch.byteCount(of: slot)
    switch flow(to: destination).decision.way {
    case .nowhere(let drop):
      return association.drops.count(drop)
    case .awaited(let name):
      return wait(slot, destination, in: name.waiting)
    case .direct(let address):
      guard direct.admits(address) else { return association.drops.count(.refused) }
      guard let outlet = direct.outlet(towards: address) else {
        return association.drops.count(.unsent)
      }
      stage(slot, to: address, on: outlet)
    case .chain(let path, let header):
      guard let nested = path.nested else { return wait(slot, destination, in: path.waiting) }
      guard nested.wrap(slot, in: batch, behind: header) else { return association.drops.count(.tooLarge) }
      path.lastUse = loop.now
      stage(slot, to: nil, on: nested.outlet)
    }
    association.up.count(payload)
  }

  private func stage(_ slot: Int, to address: SocketAddress?, on outlet: Outlet) {
    if stagedOutlet !== outlet { flush() }
    stagedOutlet = outlet
    loop.datagrams.stage(slot, to: address)
  }

  /// Sends what is staged.
  func flush() {
    guard let outlet = stagedOutlet else { return }
    stagedOutlet = nil
    association.send(on: outlet.socket)
  }

  // MARK: Waiting

  private func wait(_ slot: Int, _ destination: Endpoint, in waiting: WaitingDatagrams) {
    let batch = loop.datagrams
    let size = batch.byteCount(of: slot)
    guard !waiting.isFull, bytesWaiting + size <= Self.waitingLimit else {
      return association.drops.count(.queue)
    }
    bytesWaiting += size
    waiting.add(batch.copy(of: slot), to: destination)
  }

  /// Forwards what waited for a name or a path, whatever became of that.
  private func release(_ waiting: WaitingDatagrams) {
    for datagram in waiting.takeAll() {
      bytesWaiting -= datagram.payload.count
      forward(loop.datagrams.load(datagram.payload), to: datagram.destination)
      flush()
    }
  }

  // MARK: Deciding

  private func flow(to destination: Endpoint) -> Flow {
    if let flow = flows.use(destination) {
      if !flow.holds(at: loop.now) { flow.decision = decide(destination) }
      return flow
    }
    let flow = Flow(decide(destination))
    _ = flows.insert(flow, for: destination)
    return flow
  }

  private func decide(_ destination: Endpoint) -> Flow.Decision {
    guard destination.port != 0, destination.host.address?.isDialable != false else {
      return .nowhere(.refused)
    }
    let request = terms.request(to: destination)
    let verdict = terms.policy.table.verdict(for: request)
    return decide(request, verdict.outcome, by: verdict.route, alternative: verdict.alternative)
  }

  func decide(
    _ request: Request, _ outcome: Outcome, by route: Route?, alternative: Outcome?
  ) -> Flow.Decision {
    switch outcome {
    case .reject, .drop: .nowhere(.rejected)
    case .direct: decideDirectly(request)
    case .chain(let chain): decide(request, through: chain, by: route, alternative: alternative)
    case .plan(let plan): decide(request, following: plan, by: route, alternative: alternative)
    }
  }

  // MARK: Directly

  func decideDirectly(_ request: Request) -> Flow.Decision {
    switch request.destination.host {
    case .address(let address):
      return direct.decide(SocketAddress(address, port: request.destination.port))
    case .name(let name):
      if let addresses = terms.policy.hosts.addresses(for: name) {
        return direct.decide(request, among: addresses)
      }
      let lookup = association.worker.resolver.lookup(name, for: terms.client)
      if suffices(lookup, for: request) { return decide(request, lookup) }
      return wait(for: AwaitedName(lookup), of: request)
    }
  }

  private func suffices(_ lookup: Lookup, for request: Request) -> Bool {
    lookup.suffices(for: request, by: terms.policy.table)
  }

  /// What a name that was looked up leads to.
  private func decide(_ request: Request, _ lookup: Lookup) -> Flow.Decision {
    let addresses = Family.allCases.flatMap { (try? lookup[$0]?.get()) ?? [] }
    guard !addresses.isEmpty else {
      if let failure = lookup.failure {
        server.shortages.note(.resolution(failure), towards: request.destination)
      }
      let drop = lookup.failure?.isOurs == true ? Drop.queue : .unresolved
      return .nowhere(drop, until: loop.now + Self.failureLifetime)
    }
    var decision = direct.decide(request, among: addresses)
    decision.expiry = loop.now + Self.nameLifetime
    if case .direct = decision.way { decision.lifetime = Self.nameLifetime }
    return decision
  }

  /// Lets datagrams to the name wait, and others pass them.
  private func wait(for name: AwaitedName, of request: Request) -> Flow.Decision {
    let deadline = Deadline.after(terms.policy.timeouts.dns)
    association.start { [self] in
      while !suffices(name.lookup, for: request) {
        guard (try? await name.lookup.waitForAnswer(until: deadline)) != nil else { break }
      }
      flows.use(request.destination)?.decision = decide(request, name.lookup)
      if !Task.isCancelled { release(name.waiting) }
    }
    return Flow.Decision(way: .awaited(name))
  }

  // MARK: Through a chain

  private func decide(
    _ request: Request, through chain: Chain, by route: Route?, alternative: Outcome?
  ) -> Flow.Decision {
    let isolated = server.identities.isolate(chain, for: request)
    if let path = paths[isolated] { return decide(request, by: path) }
    let rest = rest(of: isolated)
    // What a hop told others of UDP may be true no more: before datagrams go another way, it tells this association.
    if let alternative, let lack = Failure(lackOfUDPOf: .chain(chain)) ?? rest?.failure, lack.isLackOfUDP {
      report(lack, of: .chain(chain))
      return decide(request, alternative, by: route, alternative: nil)
    }
    if let failure = server.outages.failure(of: chain, as: isolated) ?? Failure(lackOfUDPOf: .chain(chain)),
      alternative == nil || !failure.isLackOfUDP
    {
      report(failure, of: .chain(chain))
      return .nowhere(.noPath, until: loop.now + Self.failureLifetime)
    }
    if let rest { return .nowhere(.noPath, until: rest.end) }
    guard makeRoom() else { return .nowhere(.queue, until: loop.now + Self.failureLifetime) }
    let path = ChainPath(chain, as: isolated, by: route, of: association)
    add(path)
    return decide(request, by: path)
  }

  func decide(_ request: Request, by path: ChainPath) -> Flow.Decision {
    let destination = request.destination
    return Flow.Decision(
      way: .chain(path, header: SOCKS5.DatagramHeader(destination).bytes),
      contact: path.contacts.add(destination))
  }

  /// Opens a path before anything is to leave by it.
  func open(_ chain: Chain, by route: Route?) async throws(Failure) {
    let isolated = server.identities.isolate(chain, for: anywhere)
    if let failure = server.outages.failure(of: chain, as: isolated) { throw failure }
    try await open(ChainPath(chain, as: isolated, by: route, of: association))
  }

  /// No destination asks for it.
  var anywhere: Request { terms.request(to: Endpoint(.unspecified4, port: 0)) }

  func open(_ path: ChainPath, until end: Deadline? = nil) async throws(Failure) {
    do {
      try await path.open(until: end)
    } catch {
      if !Task.isCancelled {
        rest(path, after: error)
        // The client's own line tells it.
        _ = server.outages.isNews(.chain(path.chain))
      }
      throw error
    }
    // Where each destination has an identity of its own, it is nobody's, and was to show that the chain can be opened.
    if !path.chain.isIsolatedByDestination { add(path) }
  }

  /// Makes room for one more path: of those that are open, the one unused for longest ends. False when there is none.
  ///
  /// A client can have any number of identities, where they depend on the destination.
  func makeRoom() -> Bool {
    let limits = terms.policy.limits
    guard paths.count >= limits.pathsPerAssociation else { return true }
    association.worker.tell(
      ReachedLimit(.pathsPerAssociation, of: limits), of: terms.peer, at: terms.listener)
    let open = paths.values.lazy.filter { $0.nested != nil }
    guard let oldest = open.min(by: { $0.lastUse < $1.lastUse }) else { return false }
    paths[oldest.isolated] = nil
    oldest.end()
    return true
  }

  /// Sends by this path what is to leave through its chain, until it ends.
  func add(_ path: ChainPath) {
    paths[path.isolated] = path
    association.start { [self] in
      do throws(Failure) {
        try await path.run { release(path.waiting) }
      } catch {
        end(path, for: error)
      }
      if paths[path.isolated] === path { paths[path.isolated] = nil }
      if !Task.isCancelled { release(path.waiting) }
    }
  }

  private func end(_ path: ChainPath, for failure: Failure) {
    // It is the client that left, or the program that ends.
    guard !Task.isCancelled else { return }
    rest(path, after: failure)
    report(failure, of: .chain(path.chain))
  }

  /// Why this association's own path through a chain failed, as long as it does not open it again.
  func rest(of isolated: Chain) -> Rest? {
    guard let rest = rests.use(isolated), rest.end > loop.now else { return nil }
    return rest
  }

  /// Keeps this association from opening the path again for 30 s if it could not be opened, and for 1 s if it ended
  /// without an answer: a datagram can make a hop end it. What `Outages` makes of it concerns other clients too.
  ///
  /// Where a plan chose the chain and a hop is down, it is 1 s: then `Health` decides when the hop is tried again.
  private func rest(_ path: ChainPath, after failure: Failure) {
    server.shortages.note(failure.cause, towards: path.chain.hops[0].endpoint)
    guard !path.hasAnswered else { return }
    let isOutage = !path.wasOpened && !failure.isOurs && !failure.isOfNameServer
    if isOutage {
      server.outages.note(failure, of: path.chain, as: path.isolated, by: terms.client)
    }
    let isUpToHealth = path.isChosen && failure.blame(in: path.chain) == .hop
    let end = loop.now + (isOutage && !isUpToHealth ? Outages.duration : Self.failureLifetime)
    let rest = Rest(failure: failure, end: end)
    if rests.use(path.isolated) == nil {
      _ = rests.insert(rest, for: path.isolated)
    } else {
      rests.replace(with: rest, for: path.isolated)
    }
  }

  /// Writes a failure to the log, once in 30 s for each chain or plan.
  func report(_ failure: Failure, of outcome: Outcome) {
    guard server.outages.isNews(outcome) else { return }
    server.sink.record(.pathFailed(outcome, failure))
  }
}
