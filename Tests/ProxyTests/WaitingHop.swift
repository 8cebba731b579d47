import Addresses
import DNS
import Routing
import Settings
import Testing
import Transport
import Wire

@testable import Proxy

/// Runs tunnels at rest, and dials that take them, on a loop of their own.
func withWarmChains(
  _ terms: WarmStock.Terms = .init(), _ body: @escaping @Sendable (Warm) async throws -> Void
) async throws {
  try await onLoop { loop in
    let (tasks, offer) = AsyncStream<@Sendable () async -> Void>.makeStream()
    // It answers no question.
    let nameServer = try UDPSocket(bindingTo: SocketAddress(.loopback4, port: 0), on: loop)
    let server = nameServer.localAddress
    let names = try SharedNames(servers: [try #require(server)], cacheCapacity: 1)
    let warm = Warm(on: loop, Resolver(names, on: loop), terms) { offer.yield($0) }
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
    withExtendedLifetime(nameServer) {}
  }
}

/// What came of a dial.
enum DialEnd: Hashable {
  case reached(isWarm: Bool)
  case failed(Failure.Cause)
}

/// `@unchecked` holds because tasks of its loop use it.
final class Warm: @unchecked Sendable {
  let loop: EventLoop
  private let resolver: Resolver
  let health = Health()
  private let pipelining = Pipelining()
  private let begin: (@escaping @Sendable () async -> Void) -> Void
  private(set) var policy: Policy
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
      shared: Dialer.Shared(
        loop: loop, resolver: resolver, ownListeners: OwnListeners(), pipelining: pipelining,
        identities: Identities()),
      policy: policy)
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
final class WaitingHop: @unchecked Sendable {
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
final class Guest: @unchecked Sendable {
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

  func hearHTTPRequest() async throws -> HTTP.Request {
    let request: HTTP.Request? = try await stream?.receive(input: &input, until: .after(patience))
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
