import Addresses
import DNS
import Routing
import Settings
import Synchronization
import Testing
import Transport
import Wire

@testable import Proxy

/// Conversations with hops whose tunnels are made before anybody asks for them.
@Suite(.timeLimit(.minutes(10)))
struct WarmChainsTests {
  private static let there = Endpoint(.v4(0xc633_6407), port: 443)

  @Test func `the next connection finds the last hop waiting, and another takes its place`() async throws {
    try await withWarmChains { warm in
      let hop = try WaitingHop(on: warm.loop)
      let chain = hop.chain(warm: .count(1))
      let client = warm.dial(chain)
      let first = try await hop.nextGuest()
      try await first.admit()
      #expect(try await first.hearRequest().destination == Self.there)
      try await first.grant()
      #expect(try await client.value == .reached(isWarm: false))

      let second = try await hop.nextGuest()
      try await second.admit()
      try await warm.waitUntil { $0 == [1] }
      let next = warm.dial(chain)
      #expect(try await second.hearRequest().destination == Self.there)
      try await second.grant()
      #expect(try await next.value == .reached(isWarm: true))
      try await hop.nextGuest().admit()
      try await warm.waitUntil { $0 == [1] }
    }
  }

  @Test func `a hop that is near gets none unless the table says so, and never with 0`() async throws {
    for warmth in [Warmth.auto, .count(0)] {
      try await withWarmChains { warm in
        let hop = try WaitingHop(on: warm.loop)
        for _ in 0..<3 { try await warm.pass(hop.chain(warm: warmth), hop) }
        #expect(warm.chains.counts.isEmpty)
      }
    }
  }

  @Test func `auto keeps one where the last hop is far`() async throws {
    try await withWarmChains(WarmStock.Terms(nearby: .zero)) { warm in
      let hop = try WaitingHop(on: warm.loop)
      try await warm.pass(hop.chain(warm: .auto), hop)
      try await hop.nextGuest().admit()
      try await warm.waitUntil { $0 == [1] }
    }
  }

  // MARK: At rest

  @Test(arguments: [[], [5, 0], Array("HTTP/1.1 408 Request Timeout\r\n\r\n".utf8)])
  func `what ends at rest, or speaks unasked, is handed to nobody`(saying bytes: [UInt8]) async throws {
    try await withWarmChains(WarmStock.Terms(firstPause: .milliseconds(10))) { warm in
      let hop = try WaitingHop(on: warm.loop)
      let chain = hop.chain(warm: .count(1))
      try await warm.pass(chain, hop)
      let resting = try await hop.nextGuest()
      try await resting.admit()
      try await warm.waitUntil { $0 == [1] }
      if bytes.isEmpty {
        resting.close()
      } else {
        try await resting.send(bytes)
        try await resting.waitForEnd()
      }
      let other = try await hop.nextGuest()
      try await other.admit()
      try await warm.waitUntil { $0 == [1] }
      let client = warm.dial(chain)
      _ = try await other.hearRequest()
      try await other.grant()
      #expect(try await client.value == .reached(isWarm: true))
    }
  }

  @Test func `what spoke a moment before it is needed is not handed out`() async throws {
    try await withWarmChains { warm in
      let hop = try WaitingHop(on: warm.loop)
      let chain = hop.chain(warm: .count(1))
      let noisy = try await warm.rest(chain, hop)
      // The loop has no time to look between the two.
      try await noisy.send([5, 0, 0, 1, 0, 0, 0, 0, 0, 0])
      let client = warm.dial(chain)
      let everybody = hop.serveEverybody()
      defer { everybody.cancel() }
      #expect(try await client.value == .reached(isWarm: false))
    }
  }

  @Test func `a hop that talks as soon as it has admitted us is left alone for a while`() async throws {
    try await withWarmChains(WarmStock.Terms(firstPause: .seconds(60))) { warm in
      let hop = try WaitingHop(on: warm.loop)
      let chain = hop.chain(warm: .count(1))
      try await warm.pass(chain, hop)
      let noisy = try await hop.nextGuest()
      try await noisy.admit(saying: [5, 0, 5])
      try await noisy.waitForEnd()
      // The next one who comes is a client.
      try await warm.pass(chain, hop)
      #expect(warm.chains.counts.map(\.resting) == [0])
    }
  }

  @Test func `before it grows too old it is replaced`() async throws {
    try await withWarmChains(WarmStock.Terms(longestLife: .milliseconds(300))) { warm in
      let hop = try WaitingHop(on: warm.loop)
      try await warm.pass(hop.chain(warm: .count(1)), hop)
      let old = try await hop.nextGuest()
      try await old.admit()
      let young = try await hop.nextGuest()
      try await young.admit()
      try await old.waitForEnd()
      try await warm.waitUntil { $0 == [1] }
    }
  }

  @Test func `no more are made than a hop lets stand`() async throws {
    try await withWarmChains { warm in
      let hop = try WaitingHop(on: warm.loop)
      try await warm.pass(hop.chain(warm: .count(4)), hop)
      let guests = try await [hop.nextGuest(), hop.nextGuest(), hop.nextGuest(), hop.nextGuest()]
      for guest in guests.prefix(2) { try await guest.admit() }
      try await warm.waitUntil { $0 == [2] }
      for guest in guests.suffix(2) { guest.close() }
      try await warm.waitUntil(wanted: [2])
      #expect(warm.chains.counts.map(\.resting) == [2])
    }
  }

  @Test func `all are closed when the server drains, or the process is short of descriptors`() async throws {
    for drains in [true, false] {
      try await withWarmChains { warm in
        let hop = try WaitingHop(on: warm.loop)
        let chain = hop.chain(warm: .count(2))
        try await warm.pass(chain, hop)
        let guests = try await [hop.nextGuest(), hop.nextGuest()]
        for guest in guests { try await guest.admit() }
        try await warm.waitUntil { $0 == [2] }
        if drains { warm.chains.close() } else { #expect(warm.chains.giveUp()) }
        for guest in guests { try await guest.waitForEnd() }
        #expect(!warm.chains.giveUp())
        // The next one who comes is a client.
        try await warm.pass(chain, hop)
      }
    }
  }

  @Test func `a failure of this machine that is no shortage closes none`() async throws {
    try await withWarmChains { warm in
      let hop = try WaitingHop(on: warm.loop)
      let guest = try await warm.rest(hop.chain(warm: .count(1)), hop)
      let lookups = try warm.takeAllLookups()
      let endpoint = try #require(Endpoint("hop.test:1"))
      let unknown = Chain([Upstream(name: "u", endpoint: endpoint)], warm: .count(1))
      #expect(Failure.Cause.resolution(.overloaded(limit: 1024)).isOurs)
      #expect(try await warm.dial(unknown).value == .failed(.resolution(.overloaded(limit: 1024))))
      withExtendedLifetime(lookups) {}
      #expect(warm.chains.counts.map(\.resting).filter { $0 > 0 } == [1])
      let client = warm.dial(hop.chain(warm: .count(1)))
      _ = try await guest.hearRequest()
      try await guest.grant()
      #expect(try await client.value == .reached(isWarm: true))
    }
  }

  @Test func `after a reload, one whose hop is another now is closed`() async throws {
    try await withWarmChains(WarmStock.Terms(round: .milliseconds(50))) { warm in
      let hop = try WaitingHop(on: warm.loop)
      let chain = hop.chain(warm: .count(1))
      warm.reload([.chain(chain)])
      try await warm.pass(chain, hop)
      let guest = try await hop.nextGuest()
      try await guest.admit()
      try await warm.waitUntil { $0 == [1] }
      var changed = chain.hops[0]
      changed.credentials = Credentials(username: [97], password: [98])
      warm.reload([.chain(Chain([changed], warm: .count(1)))])
      try await guest.waitForEnd()
    }
  }

  // MARK: Use

  @Test func `one that went away before it was asked costs nobody anything`() async throws {
    try await withWarmChains { warm in
      let hop = try WaitingHop(on: warm.loop)
      let chain = hop.chain(warm: .count(1))
      let gone = try await warm.rest(chain, hop)
      let client = warm.dial(chain)
      _ = try await gone.hearRequest()
      gone.close()
      let everybody = hop.serveEverybody()
      defer { everybody.cancel() }
      #expect(try await client.value == .reached(isWarm: false))
    }
  }

  @Test func `a slow destination is asked for once, and has all the time there is`() async throws {
    try await withWarmChains { warm in
      let hop = try WaitingHop(on: warm.loop)
      let chain = hop.chain(warm: .count(1))
      let slow = try await warm.rest(chain, hop)
      let client = warm.dial(chain, budget: .seconds(1))
      _ = try await slow.hearRequest()
      let everybody = hop.serveEverybody()
      defer { everybody.cancel() }
      #expect(try await client.value == .failed(.system(.timedOut)))
      slow.close()
    }
  }

  @Test func `a tunnel that is lost to a request has another of its age asked, before that teaches anything`()
    async throws
  {
    try await withWarmChains { warm in
      let hop = try WaitingHop(on: warm.loop)
      let chain = hop.chain(warm: .count(1))
      let lost = try await warm.rest(chain, hop)
      let client = warm.dial(chain)
      _ = try await lost.hearRequest()
      // As a filter does that knows the destination.
      lost.close()
      var asked: [Endpoint] = []
      while asked.count < 2 {
        let guest = try await hop.nextGuest()
        try await guest.admit()
        asked.append(try await guest.hearRequest().destination)
        try await guest.grant()
      }
      #expect(Set(asked) == [Self.there, try #require(Endpoint("pipelining.invalid:9"))])
      #expect(try await client.value == .reached(isWarm: false))
    }
  }

  // MARK: Crowds

  @Test
  func `one client's identities crowd out neither a number that the table asks for, nor another client's`()
    async throws
  {
    try await withWarmChains { warm in
      let hop = try WaitingHop(on: warm.loop)
      let everybody = hop.serveEverybody()
      defer { everybody.cancel() }
      let promised = hop.chain(warm: .count(4))
      let clients = ["192.0.2.1", "2001:db8::1", "2001:db8:0:0:ffff::1"].compactMap {
        IPAddress($0).map { Client(at: $0) }
      }
      #expect(try await warm.dial(promised).value == .reached(isWarm: false))
      #expect(try await warm.dial(hop.identity(0), for: clients[0]).value == .reached(isWarm: false))
      try await warm.waitUntil { $0.sorted() == [1, 4] }
      for number in 1...200 {
        #expect(
          try await warm.dial(hop.identity(number), for: clients[1 + number % 2]).value
            == .reached(isWarm: false))
      }
      // A client has a share of 16: both addresses are in one network, which is one client's.
      try await warm.waitUntil { $0.sorted() == Array(repeating: 1, count: 17) + [4] }
      #expect(try await warm.dial(hop.identity(0), for: clients[0]).value == .reached(isWarm: true))
      #expect(try await warm.dial(promised).value == .reached(isWarm: true))
    }
  }

  @Test func `ways that vary crowd out no number that the table asks for`() async throws {
    try await withWarmChains { warm in
      let hop = try WaitingHop(on: warm.loop)
      let everybody = hop.serveEverybody()
      defer { everybody.cancel() }
      let promised = hop.chain(warm: .count(4))
      #expect(try await warm.dial(promised).value == .reached(isWarm: false))
      try await warm.waitUntil { $0 == [4] }
      // Each way is taken once or so.
      let names = (0..<100).map { Itinerary.Position([.upstream(hop.named("h\($0)"))]) }
      let tour = Plan(.itinerary(Itinerary(names, mode: .random, length: 1...1, warm: .count(4))))
      for _ in 0..<100 { _ = try await warm.dial(.plan(tour)).value }
      try await warm.waitUntil { $0.contains(4) }
      #expect(try await warm.dial(promised).value == .reached(isWarm: true))
    }
  }

  // MARK: Identities

  @Test func `a tunnel that waits is its identity's alone`() async throws {
    try await withWarmChains { warm in
      let hop = try WaitingHop(on: warm.loop)
      let chain = hop.chain(warm: .count(1))
      let guest = try await warm.rest(chain, hop)
      var other = chain.hops[0]
      other.credentials = Credentials(username: [97], password: [98])
      try await warm.pass(Chain([other], warm: .count(1)), hop)
      let client = warm.dial(chain)
      _ = try await guest.hearRequest()
      try await guest.grant()
      #expect(try await client.value == .reached(isWarm: true))
    }
  }

  @Test func `what a hop says of the destination is final`() async throws {
    try await withWarmChains { warm in
      let hop = try WaitingHop(on: warm.loop)
      let chain = hop.chain(warm: .count(1))
      let guest = try await warm.rest(chain, hop)
      let client = warm.dial(chain)
      _ = try await guest.hearRequest()
      try await guest.refuse(.connectionRefused)
      #expect(try await client.value == .failed(.reply(.connectionRefused)))
    }
  }

  // MARK: Plans

  @Test func `a failover group has its next member ready`() async throws {
    try await withWarmChains(WarmStock.Terms(nearby: .zero)) { warm in
      let hops = [try WaitingHop(on: warm.loop), try WaitingHop(on: warm.loop)]
      let plan = WaitingHop.failover(hops)
      try await warm.pass(plan, hops[0])
      let guest = try await hops[0].nextGuest()
      try await guest.admit()
      let standby = try await hops[1].nextGuest()
      try await standby.admit()
      try await warm.waitUntil { $0 == [1, 1] }
      hops[0].stopListening()
      guest.close()
      let client = warm.dial(plan)
      _ = try await standby.hearRequest()
      try await standby.grant()
      #expect(try await client.value == .reached(isWarm: true))
    }
  }

  @Test func `a member that comes back is found by its tunnel, and not by a client`() async throws {
    try await withWarmChains(WarmStock.Terms(nearby: .zero)) { warm in
      let hops = [try WaitingHop(on: warm.loop), try WaitingHop(on: warm.loop)]
      let plan = WaitingHop.failover(hops)
      let client = warm.dial(plan)
      try await hops[0].nextGuest().close()
      let second = try await hops[1].nextGuest()
      try await second.admit()
      _ = try await second.hearRequest()
      try await second.grant()
      #expect(try await client.value == .reached(isWarm: false))
      let tried = try await hops[0].nextGuest()
      #expect(warm.health.pauseEnd(of: hops[0].chain(warm: .auto)) <= .now)
      try await tried.admit()
      try await hops[1].nextGuest().admit()
      try await warm.waitUntil { $0.sorted() == [1, 1] }
      let next = warm.dial(plan)
      _ = try await tried.hearRequest()
      try await tried.grant()
      #expect(try await next.value == .reached(isWarm: true))
    }
  }
}

// MARK: - Harness

/// Runs tunnels at rest, and dials that take them, on a loop of their own.
private func withWarmChains(
  _ terms: WarmStock.Terms = .init(), _ body: @escaping @Sendable (Warm) async throws -> Void
) async throws {
  try await onLoop { loop in
    let (tasks, offer) = AsyncStream<@Sendable () async -> Void>.makeStream()
    let warm = try Warm(on: loop, Resolver(SharedNames(servers: [], cacheCapacity: 1), on: loop), terms) {
      offer.yield($0)
    }
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask(executorPreference: loop) {
        defer {
          warm.chains.close()
          offer.finish()
        }
        try await body(warm)
      }
      for await task in tasks { group.addTask(executorPreference: loop) { await task() } }
      group.cancelAll()
      try await group.waitForAll()
    }
  }
}

/// What came of a dial.
private enum DialEnd: Hashable {
  case reached(isWarm: Bool)
  case failed(Failure.Cause)
}

/// `@unchecked` holds because tasks of its loop use it.
private final class Warm: @unchecked Sendable {
  let loop: EventLoop
  private let resolver: Resolver
  let health = Health()
  private let pipelining = Pipelining()
  private let begin: (@escaping @Sendable () async -> Void) -> Void
  private var policy: Policy
  private let terms: WarmStock.Terms
  private(set) lazy var chains = WarmChains(
    on: loop, of: 1, health: health, terms: terms, makeDialer: { [unowned self] in dialer }, begin: begin)

  init(
    on loop: EventLoop, _ resolver: Resolver, _ terms: WarmStock.Terms,
    begin: @escaping (@escaping @Sendable () async -> Void) -> Void
  ) {
    self.loop = loop
    self.resolver = resolver
    self.terms = terms
    self.begin = begin
    policy = Policy(Configuration(listeners: [], table: RouteTable(.direct)))
  }

  private var dialer: Dialer {
    Dialer(
      loop: loop, resolver: resolver, policy: policy, ownListeners: OwnListeners(), pipelining: pipelining,
      identities: Identities())
  }

  /// As many lookups as the program may have.
  func takeAllLookups() throws -> [Lookup] {
    var lookups: [Lookup] = []
    while true {
      lookups.append(resolver.lookup(try DomainName("n\(lookups.count).test"), for: nil))
      if case .overloaded = lookups.last?.failure { return lookups }
    }
  }

  func reload(_ outcomes: [Outcome]) {
    policy = Policy(Configuration(listeners: [], table: RouteTable(outcomes[0])))
  }

  func dial(
    _ chain: Chain, for client: Client? = nil, budget: Duration = patience
  ) -> Task<DialEnd, any Error> {
    dial(.chain(chain), for: client, budget: budget)
  }

  func dial(
    _ outcome: Outcome, for client: Client? = nil, budget: Duration = patience
  ) -> Task<DialEnd, any Error> {
    let request = Request(to: Endpoint(.v4(0xc633_6407), port: 443))
    var dialer = dialer
    dialer.warm = chains
    dialer.client = client
    if case .plan(let plan) = outcome { dialer.journey = Journey(by: plan, for: request, health: health) }
    let ready = dialer
    return Task(executorPreference: loop) {
      do throws(Failure) {
        let connection = try await ready.dial(request, via: outcome, budget: budget)
        return .reached(isWarm: connection.isWarm)
      } catch {
        return .failed(error.cause)
      }
    }
  }

  /// A connection that is made from the first hop on.
  func pass(_ chain: Chain, _ hop: WaitingHop) async throws { try await pass(.chain(chain), hop) }

  func pass(_ outcome: Outcome, _ hop: WaitingHop) async throws {
    let client = dial(outcome)
    let guest = try await hop.nextGuest()
    try await guest.admit()
    _ = try await guest.hearRequest()
    try await guest.grant()
    #expect(try await client.value == .reached(isWarm: false))
  }

  /// A tunnel at rest, as the hop sees it.
  func rest(_ chain: Chain, _ hop: WaitingHop) async throws -> Guest {
    try await pass(chain, hop)
    let guest = try await hop.nextGuest()
    try await guest.admit()
    try await waitUntil { $0 == [1] }
    return guest
  }

  /// Waits until so many rest for each chain.
  func waitUntil(_ isSo: ([Int]) -> Bool) async throws {
    try await wait { isSo(chains.counts.map(\.resting)) }
  }

  func waitUntil(wanted: [Int]) async throws {
    try await wait { chains.counts.map(\.wanted) == wanted }
  }

  private func wait(_ isSo: () -> Bool) async throws {
    let deadline = Deadline.after(patience)
    while !isSo() {
      guard Deadline.now < deadline else { throw Errno.timedOut }
      await Task.yield()
    }
  }
}

/// A hop whose every connection is played by the test; `@unchecked` holds because tasks of its loop use it.
private final class WaitingHop: @unchecked Sendable {
  private let loop: EventLoop
  private var listener: TCPListener?
  /// They stay for as long as nobody closes them.
  private var guests: [Guest] = []
  let upstream: Upstream

  init(on loop: EventLoop) throws {
    self.loop = loop
    let listener = try TCPListener(on: SocketAddress(.loopback4, port: 0), loop: loop)
    let address = try #require(listener.localAddress)
    upstream = Upstream(
      name: "\(address)", endpoint: Endpoint(address.address, port: address.port), pipeline: .no)
    self.listener = listener
  }

  func chain(warm: Warmth) -> Chain { Chain([upstream], warm: warm) }

  /// The same hop by another name.
  func named(_ name: String) -> Upstream {
    var upstream = upstream
    upstream.name = name
    return upstream
  }

  /// The chain as it is dialled for one identity.
  func identity(_ number: Int) -> Chain {
    var upstream = upstream
    upstream.kind = .socks5
    upstream.isolation = Isolation(by: [.client])
    upstream.credentials = Credentials(username: Array("identity \(number)".utf8), password: [1])
    return Chain([upstream], warm: .count(1))
  }

  static func failover(_ hops: [WaitingHop]) -> Outcome {
    .plan(Plan(.group(Group(name: "g", members: hops.map { Group.Member(.upstream($0.upstream)) }))))
  }

  /// Whoever connects next.
  func nextGuest() async throws -> Guest {
    guard let listener else { throw Errno.connectionRefused }
    let guest = Guest(try await listener.next(on: loop))
    guests.append(guest)
    return guest
  }

  /// Does from now on what a hop should.
  func serveEverybody() -> Task<Void, any Error> {
    Task(executorPreference: loop) { [self] in
      try await withThrowingTaskGroup(of: Void.self) { group in
        while true {
          let guest = try await nextGuest()
          group.addTask(executorPreference: loop) {
            try? await guest.admit()
            guard (try? await guest.hearRequest()) != nil else { return }
            try? await guest.grant()
            try? await guest.waitForEnd()
          }
        }
      }
    }
  }

  func stopListening() { listener = nil }
}

/// A connection to a hop, from its side; `@unchecked` holds because tasks of its loop use it.
private final class Guest: @unchecked Sendable {
  private var stream: TCPStream?
  private var input: [UInt8] = []

  init(_ stream: consuming TCPStream) {
    self.stream = consume stream
  }

  /// - Parameter noise: what it says unasked.
  func admit(saying noise: [UInt8] = []) async throws {
    let greeting: SOCKS5.Greeting? = try await stream?.receive(input: &input, until: .after(patience))
    guard let greeting, greeting.methods == [.usernamePassword] else {
      return try await send(SOCKS5.MethodSelection(.noAuthentication).bytes + noise)
    }
    try await send(SOCKS5.MethodSelection(.usernamePassword).bytes)
    let _: SOCKS5.UsernamePassword? = try await stream?.receive(input: &input, until: .after(patience))
    try await send(SOCKS5.UsernamePasswordStatus.success.bytes + noise)
  }

  func hearRequest() async throws -> SOCKS5.Request {
    let request: SOCKS5.Request? = try await stream?.receive(input: &input, until: .after(patience))
    return try #require(request)
  }

  func grant() async throws {
    try await send(SOCKS5.Reply(.succeeded, bound: SocketAddress(.loopback4, port: 9)).bytes)
  }

  func refuse(_ code: SOCKS5.ReplyCode) async throws { try await send(SOCKS5.Reply(code).bytes) }

  func send(_ bytes: [UInt8]) async throws { try await stream?.write(bytes, until: .after(patience)) }

  func close() { stream = nil }

  /// Waits until the other end closes it, or resets it since it had not read all.
  func waitForEnd() async throws {
    var input: [UInt8] = []
    do throws(Errno) {
      while try await stream?.read(into: &input, until: .after(patience)) == true {}
    } catch {
      guard error == .connectionReset else { throw error }
    }
    stream = nil
  }
}
