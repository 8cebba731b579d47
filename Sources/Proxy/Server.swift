import Addresses
import DNS
import Routing
import Settings
import Synchronization
import Transport

/// A SOCKS server: listeners on every loop, and the sessions they accept.
package final class Server: Sendable {
  let sink: any EventSink
  let occupancy = Occupancy()
  let ownListeners = OwnListeners()
  let ownRelays = OwnRelays()
  let outages = Outages()
  let health = Health()
  let pipelining = Pipelining()
  let identities = Identities()
  let shortages: Shortages
  let drainBell: Bell
  let haltBell: Bell
  private let loops: [EventLoop]
  private let names: SharedNames
  private let state: Mutex<State>
  /// How often the program was asked to stop.
  private let drains = Atomic(0)

  let started = Deadline.now

  private struct State {
    var configuration: Configuration
    var policy: Policy
    /// When the configuration was taken over.
    var loaded = Deadline.now
    /// Those that serve, and where they listen.
    var workers: [Worker] = []
    var addresses: [Listener.Address] = []
  }

  /// Why a listener could not be opened.
  package struct StartFailure: Error {
    package let address: Listener.Address
    package let error: Errno
  }

  /// - Parameter workers: how many event loops serve, at least one.
  package init(_ configuration: Configuration, workers: Int, sink: any EventSink) throws(Errno) {
    precondition(workers > 0)
    drainBell = try Bell()
    haltBell = try Bell()
    var loops: [EventLoop] = []
    for _ in 0..<workers { loops.append(try EventLoop()) }
    self.loops = loops
    self.sink = sink
    shortages = Shortages(sink)
    names = SharedNames(
      servers: configuration.nameServers.servers, cacheCapacity: configuration.nameServers.cacheCapacity)
    state = Mutex(State(configuration: configuration, policy: Policy(configuration)))
  }

  var loopCount: Int { loops.count }
  var policy: Policy { state.withLock { $0.policy } }
  /// The table that holds and since when, and those who serve it.
  var running:
    (configuration: Configuration, addresses: [Listener.Address], workers: [Worker], loaded: Deadline)
  {
    state.withLock { ($0.configuration, $0.addresses, $0.workers, $0.loaded) }
  }
  var isDraining: Bool { drains.load(ordering: .acquiring) > 0 }
  var isHalting: Bool { drains.load(ordering: .acquiring) > 1 }

  // MARK: Serving

  /// Opens the listeners, tells where they are, and serves until the last session after `drain` has ended.
  package func run(onListening: ([Listener.Address]) -> Void) async throws {
    let workers = loops.enumerated().map { index, loop in
      Worker(self, index: index, on: loop, resolver: Resolver(names, on: loop))
    }
    let addresses = try await open(workers)
    state.withLock { state in
      state.workers = workers
      state.addresses = addresses
    }
    onListening(addresses)
    // What is left of it is asked nothing any more.
    defer { state.withLock { $0.workers = [] } }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for worker in workers {
        group.addTask(executorPreference: worker.loop) { try await worker.run() }
      }
      try await group.waitForAll()
    }
    for loop in loops { loop.stop() }
  }

  /// One worker after the other, since all share the port that the first was given.
  private func open(_ workers: [Worker]) async throws -> [Listener.Address] {
    var addresses = policy.listeners.map(\.address)
    var opened: [Worker] = []
    do {
      for worker in workers {
        let wanted = addresses
        let isFirst = opened.isEmpty
        addresses = try await Task(executorPreference: worker.loop) {
          try worker.open(wanted, isFirst: isFirst)
        }.value
        opened.append(worker)
      }
    } catch {
      for worker in opened { await Task(executorPreference: worker.loop) { worker.close() }.value }
      throw error
    }
    for case .tcp(let address) in addresses { ownListeners.add(address) }
    return addresses
  }

  /// Returns when each of the other loops has ended what it was doing at the moment of the call.
  func passTurns(besides loop: EventLoop) async {
    for other in loops where other !== loop {
      await Task(executorPreference: other) {}.value
    }
  }

  // MARK: Changing

  /// Gives new sessions another table; those that run keep theirs.
  ///
  /// Listeners are opened once: of each that runs, users, clients and the like are taken over from its namesake.
  ///
  /// - Returns: the parts that differ from what runs, and take a restart to change.
  package func reload(_ configuration: Configuration) -> [String] {
    var configuration = configuration
    let running = state.withLock { $0.configuration }
    var others = configuration.listeners
    let namesakes = running.listeners.map { old in
      others.firstIndex { $0.address == old.address }.map { others.remove(at: $0) }
    }
    var unchanged: [String] = []
    if namesakes.contains(nil) || !others.isEmpty { unchanged.append("listen") }
    if configuration.nameServers != running.nameServers { unchanged.append("dns") }
    if configuration.log != running.log { unchanged.append("log") }
    if configuration.control != running.control { unchanged.append("control") }
    configuration.listeners = zip(running.listeners, namesakes).map { $1 ?? $0 }
    configuration.nameServers = running.nameServers
    configuration.log = running.log
    configuration.control = running.control
    let policy = Policy(configuration)
    let workers = state.withLock { state in
      state.configuration = configuration
      state.policy = policy
      state.loaded = .now
      return state.workers
    }
    names.checkFiles()
    let upstreams = configuration.upstreams
    health.keep(upstreams, configuration.groups)
    pipelining.keep(upstreams)
    identities.keep(upstreams)
    for worker in workers { Task(executorPreference: worker.loop) { worker.ledger.keep(upstreams) } }
    return unchanged
  }

  /// Accepts no more; `run` returns when the sessions have ended or `timeouts.drain` is over. Again: at once.
  package func drain() {
    let isSecond = drains.add(1, ordering: .acquiringAndReleasing).oldValue > 0
    if isSecond { haltBell.ring() } else { drainBell.ring() }
  }
}
