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
  let shares = Shares()
  let ownListeners = OwnListeners()
  let ownRelays = OwnRelays()
  let outages = Outages()
  let health = Health()
  let pipelining = Pipelining()
  let identities = Identities()
  let shortages: Shortages
  let repeated: RepeatedNotices
  let hashes: HashThreads
  let drainBell: Bell
  let haltBell: Bell
  let passed: [PassedSocket]
  private let loops: [EventLoop]
  private let names: SharedNames
  let state: Mutex<State>
  /// How often the program was asked to stop.
  private let drains = Atomic(0)

  let started = Deadline.now

  struct State {
    var configuration: Configuration
    var policy: Policy
    /// When the configuration was taken over.
    var loaded = Deadline.now
    /// Those that serve; none before `run` has opened the listeners, and after its end.
    var workers: [Worker] = []
    /// Where the configuration's listeners are, in its order.
    var places: [Place] = []
    /// The next number that no listener has had.
    var nextNumber = 0
  }

  /// An open listener.
  struct Place: Sendable {
    /// It belongs to the listener as long as this is open, over all tables.
    let number: Int
    /// As the configuration says, and the real one: they differ where port 0 was asked for.
    let wanted: Listener.Address
    let address: Listener.Address
    let isPassed: Bool
  }

  /// Why a listener could not be opened.
  package struct StartFailure: Error {
    package let address: Listener.Address
    package let error: Errno
  }

  /// - Parameters:
  ///   - workers: how many event loops serve, at least one.
  ///   - passed: sockets that listen already. The listeners with their addresses use them in place of new ones.
  package init(
    _ configuration: Configuration, workers: Int, passed: [PassedSocket] = [], sink: any EventSink
  ) throws(Errno) {
    precondition(workers > 0)
    drainBell = try Bell()
    haltBell = try Bell()
    var loops: [EventLoop] = []
    for _ in 0..<workers { loops.append(try EventLoop()) }
    self.loops = loops
    hashes = try HashThreads(loops: workers)
    self.sink = sink
    self.passed = passed
    shortages = Shortages(sink)
    repeated = RepeatedNotices(sink)
    names = try SharedNames(
      servers: configuration.nameServers.servers, cacheCapacity: configuration.nameServers.cacheCapacity)
    state = Mutex(State(configuration: configuration, policy: Policy(configuration, numbers: [])))
    health.keep(configuration.upstreams, configuration.groups)
  }

  var loopCount: Int { loops.count }
  var policy: Policy { state.withLock { $0.policy } }
  /// The table that holds, since when, where its listeners are, and those who serve it.
  var running: State { state.withLock { $0 } }
  var isDraining: Bool { drains.load(ordering: .acquiring) > 0 }
  var isHalting: Bool { drains.load(ordering: .acquiring) > 1 }

  /// Every client would be turned away.
  package struct NoMemory: Error, CustomStringConvertible {
    /// In MiB.
    let needed: Int

    package var description: String {
      "less than \(needed) MiB of memory are left for clients and the hashes of their logins"
        + " (raise LimitAS= in systemd, ulimit -v in a shell, or vm.overcommit_ratio)"
    }
  }

  // MARK: Serving

  /// Opens the listeners, tells where they are, and serves until the last session after `drain` has ended.
  package func run(onListening: ([Listener.Address]) -> Void) async throws {
    let workers = loops.enumerated().map { index, loop in
      Worker(self, index: index, on: loop, resolver: Resolver(names, on: loop))
    }
    let hashes = Policy(running.configuration).hashMemory.multipliedReportingOverflow(by: hashes.count)
    let hashMemory = hashes.overflow ? 1 << 62 : hashes.partialValue
    guard OwnProcess.hasMemoryForClients(andHashes: hashMemory) else {
      throw NoMemory(needed: 32 + hashMemory >> 20)
    }
    onListening(try change(to: running.configuration, on: workers).opened)
    // What is left of it is asked nothing any more.
    defer {
      state.withLock { $0.workers = [] }
      repeated.tell(at: .never)
    }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for worker in workers {
        group.addTask(executorPreference: worker.loop) { try await worker.run() }
      }
      try await group.waitForAll()
    }
    for loop in loops { loop.stop() }
  }

  /// Returns when each of the other loops has ended what it was doing at the moment of the call.
  func passTurns(besides loop: EventLoop) async {
    for other in loops where other !== loop {
      await Task(executorPreference: other) {}.value
    }
  }

  // MARK: Changing

  /// Gives new sessions another table; those that run keep theirs. Listeners follow the table: of each that runs, users,
  /// clients and the like are taken over from the one with the same address; others are closed, and new ones opened.
  ///
  /// To be called by one thread at a time, and by none of a worker's loop: it blocks for as long as these are busy.
  ///
  /// - Throws: why a listener could not be opened; then nothing has changed. `NotServing` when the server drains, or has begun
  ///   to meanwhile: then no listener of the table is served.
  package func reload(_ configuration: Configuration) throws -> Reload {
    var configuration = configuration
    try checkServing()
    let running = running
    var unchanged: [String] = []
    if configuration.nameServers != running.configuration.nameServers { unchanged.append("dns") }
    if configuration.log != running.configuration.log { unchanged.append("log") }
    if configuration.control != running.configuration.control { unchanged.append("control") }
    configuration.nameServers = running.configuration.nameServers
    configuration.log = running.configuration.log
    configuration.control = running.configuration.control
    let (opened, closed) = try change(to: configuration, on: running.workers)
    try checkServing()
    names.checkFiles()
    let upstreams = configuration.upstreams
    health.keep(upstreams, configuration.groups)
    pipelining.keep(upstreams)
    outages.keep(upstreams)
    identities.keep(upstreams)
    for worker in running.workers {
      Task(executorPreference: worker.loop) { worker.ledger.keep(upstreams) }
    }
    return Reload(unchanged: unchanged, opened: opened, closed: closed)
  }

  /// What a reload has changed beside the rules.
  package struct Reload: Sendable {
    /// The parts that differ from what runs, and take a restart to change.
    package let unchanged: [String]
    /// Where it listens from now on, and no more.
    package let opened: [Listener.Address]
    package let closed: [Listener.Address]
  }

  /// Accepts no more; `run` returns when the sessions have ended or `timeouts.drain` is over. Again: at once.
  package func drain() {
    let isSecond = drains.add(1, ordering: .acquiringAndReleasing).oldValue > 0
    if isSecond { haltBell.ring() } else { drainBell.ring() }
  }
}
