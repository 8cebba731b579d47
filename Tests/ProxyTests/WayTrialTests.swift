import Addresses
import DNS
import Routing
import Settings
import Synchronization
import Testing
import Transport
import Wire

@testable import Proxy

/// What Sockeye's own trials find out of a hop that the hop before it does not open the way to.
@Suite(.timeLimit(.minutes(10)))
struct WayTrialTests {
  private let health = Health()
  private let request = Request(to: Endpoint(.loopback4, port: 80))

  private func dialer(on loop: EventLoop) throws -> Dialer {
    Dialer(
      shared: Dialer.Shared(
        loop: loop, resolver: try Resolver(SharedNames(servers: [], cacheCapacity: 1), on: loop),
        ownListeners: OwnListeners(), pipelining: Pipelining(), identities: Identities()),
      policy: Policy(Configuration(listeners: [], table: RouteTable(.direct))))
  }

  private func proxy(_ name: String, _ port: UInt16 = 1) -> Upstream {
    Upstream(name: name, endpoint: Endpoint(.loopback4, port: port), timeout: .seconds(1))
  }

  private func stop(_ hops: [Upstream]) -> Stop {
    .itinerary(Itinerary(hops.map { Itinerary.Position([.upstream($0)]) }))
  }

  /// The trial that begins when the first of two hops has refused without a reason to open the way to the second.
  private func trial(_ members: [[Upstream]]) throws -> WayTrial {
    let trials = Mutex<[WayTrial]>([])
    let group = Group(name: "g", members: (members.map(stop) + [.direct]).map { Group.Member($0) })
    let journey = Journey(by: Plan(.group(group)), for: request, health: health) { errand in
      if case .trial(let trial) = errand { trials.withLock { $0.append(trial) } }
    }
    _ = journey.next()
    journey.fail(Failure(.hop(1, of: 2, name: "b"), .connect, .reply(.generalFailure)))
    return try #require(trials.withLock { $0.first })
  }

  private func isDown(_ hop: Upstream) -> Bool { health.standings[hop].failures > 0 }

  /// Makes a trial by way of `entry`, which refuses to open ways as `refuses` says, and plays the hops behind it.
  ///
  /// - Parameters:
  ///   - refuses: by the number of the request, from 0, and the port of the hop.
  ///   - meanwhile: done at each request.
  /// - Returns: the ports that the entry was asked for.
  private func run(
    _ trial: WayTrial, by entry: TestHop, on loop: EventLoop,
    refuses: @escaping @Sendable (Int, UInt16) -> Bool, meanwhile: @escaping @Sendable () -> Void = {}
  ) async throws -> [UInt16] {
    let asked = Mutex<[UInt16]>([])
    let serving = Task(executorPreference: loop) {
      while true {
        let request = try await entry.nextRequest(on: loop)
        let port = request.request.destination.port
        let number = asked.withLock { asked in
          asked.append(port)
          return asked.count - 1
        }
        meanwhile()
        if refuses(number, port) {
          try await request.refuse(.generalFailure)
        } else {
          try await request.grant(entry.address)
          _ = try? await request.hearAgain()
        }
        request.close()
      }
    }
    defer { serving.cancel() }
    try await dialer(on: loop).tryWay(trial, noting: health)
    return asked.withLock { $0 }
  }

  @Test func `a hop is down after three dials through an entry that admits us, and not after fewer`()
    async throws
  {
    for (failing, isDown) in [(2, false), (3, true)] {
      try await onLoop { loop in
        let entry = try TestHop(on: loop)
        let (s, b) = (proxy("s", entry.address.port), proxy("b"))
        let asked = try await run(trial([[s, b]]), by: entry, on: loop) { number, _ in number < failing }
        #expect(asked == [1, 1, 1])
        #expect(self.isDown(b) == isDown && !self.isDown(s))
        health.keep([], [])
      }
    }
  }

  @Test func `while the entry opens another way, both are dialled in turn`() async throws {
    try await onLoop { loop in
      let entry = try TestHop(on: loop)
      let (s, b, c) = (proxy("s", entry.address.port), proxy("b"), proxy("c", 2))
      let asked = try await run(trial([[s, b], [s, c]]), by: entry, on: loop) { _, port in port == 1 }
      #expect(asked == [1, 2, 1, 2, 1, 2])
      #expect(isDown(b) && !isDown(c) && !isDown(s))
    }
  }

  @Test func `an entry that opens no other way either gets time to recover`() async throws {
    try await onLoop { loop in
      let entry = try TestHop(on: loop)
      let (s, b, c) = (proxy("s", entry.address.port), proxy("b"), proxy("c", 2))
      let asked = try await run(trial([[s, b], [s, c]]), by: entry, on: loop) { number, _ in number < 4 }
      // What failed while it opened the other way is not counted.
      #expect(asked == [1, 2, 1, 1])
      #expect(isDown(b) && !isDown(c) && !isDown(s))
    }
  }

  @Test func `an entry that does not admit us proves nothing of the hop behind it`() async throws {
    try await onLoop { loop in
      let (s, b) = (proxy("s"), proxy("b"))
      try await dialer(on: loop).tryWay(trial([[s, b]]), noting: health)
      #expect(!isDown(b) && !isDown(s))
    }
  }

  @Test func `a trial that fails takes no hop down that a connection passes meanwhile`() async throws {
    for isTunnel in [false, true] {
      try await onLoop { loop in
        let entry = try TestHop(on: loop)
        let (s, b) = (proxy("s", entry.address.port), proxy("b"))
        let trial = try trial([[s, b]])
        let (health, request, plan) = (health, request, Plan(stop([proxy("d", 3), b])))
        let asked = try await run(trial, by: entry, on: loop, refuses: { _, _ in true }) {
          let journey =
            isTunnel
            ? Journey(
              upkeepOf: Chain([Upstream(name: "d", endpoint: Endpoint(.loopback4, port: 3)), b]),
              health: health)
            : Journey(by: plan, for: request, health: health)
          _ = journey.next()
          if isTunnel { journey.arrive(showing: .admission) } else { journey.arrive(showing: .passage) }
        }
        #expect(asked == [1, 1, 1])
        #expect(!isDown(b))
        health.keep([], [])
      }
    }
  }
}
