import Addresses
import Routing
import Settings
import Synchronization
import Testing
import Transport
import Wire

@testable import Proxy

/// What a server told, in order.
final class Record: EventSink {
  private let (events, eventTold) = AsyncStream<Event>.makeStream()
  private let (failures, failureTold) = AsyncStream<Failure>.makeStream()
  private let failureCounter = Mutex(0)
  private let refusedNames = Mutex<[(limit: ReachedLimit, client: Client?)]>([])
  private let reaction = Mutex<(@Sendable () -> Void)?>(nil)

  func record(_ event: Event) {
    eventTold.yield(event)
  }

  /// Does `reaction`, on the server's thread, when limits are lowered: in the middle of a change of the table.
  func react(_ reaction: @escaping @Sendable () -> Void) {
    self.reaction.withLock { $0 = reaction }
  }

  func record(_ notice: Notice) {
    if case .limitsLowered = notice { reaction.withLock { $0 }?() }
    if case .nameRefused(let limit, let client, _) = notice {
      refusedNames.withLock { $0.append((limit, client)) }
    }
    guard case .pathFailed(_, let failure) = notice else { return }
    failureCounter.withLock { $0 += 1 }
    failureTold.yield(failure)
  }

  /// Limits that were told to have kept a client's name from being looked up.
  var nameRefusals: [(limit: ReachedLimit, client: Client?)] { refusedNames.withLock { $0 } }

  /// How many chains were told to have failed.
  var failureCount: Int { failureCounter.withLock { $0 } }

  /// Why the next chain failed, once one did.
  func nextFailure() async throws -> Failure {
    for await failure in failures { return failure }
    throw CancellationError()
  }

  /// How the next session ended, once it did.
  func nextEvent() async throws -> Event {
    for await event in events { return event }
    throw CancellationError()
  }
}

/// A server with one worker, which a test talks to from a loop of its own.
struct TestServer: Sendable {
  let address: SocketAddress
  let record: Record
  /// The test's own.
  let loop: EventLoop
  let server: Server
  /// What the server was started with.
  let configuration: Configuration

  /// A tunnel to `destination`, once the server has said that it is open.
  func connect(to destination: SocketAddress) async throws -> TCPStream {
    let deadline = Deadline.after(patience)
    let client = try await TCPStream.connect(to: address, on: loop, until: deadline)
    var input: [UInt8] = []
    try await client.write(SOCKS5.Greeting(methods: [.noAuthentication]).bytes, until: deadline)
    let _: SOCKS5.MethodSelection = try await client.receive(input: &input, until: deadline)
    let request = SOCKS5.Request(.connect, to: Endpoint(destination.address, port: destination.port))
    try await client.write(request.bytes, until: deadline)
    let reply: SOCKS5.Reply = try await client.receive(input: &input, until: deadline)
    try #require(reply.code == .succeeded)
    return client
  }
}

/// Runs a server with that table while `body` lasts.
///
/// - Parameter table: made on the test's loop, so that it may have hops there.
func withServer(
  timeouts: Timeouts = Timeouts(), limits: Limits = Limits(), service: Listener.UDPService = .init(),
  nameServers: [SocketAddress] = [], _ table: @escaping @Sendable (EventLoop) throws -> RouteTable,
  _ body: @escaping @Sendable (TestServer) async throws -> Void
) async throws {
  try await onLoop { loop in
    let listener = Listener(
      address: .tcp(SocketAddress(.loopback4, port: 0)), id: ListenerID(address: "127.0.0.1:0"), udp: service)
    let table = try table(loop)
    var configuration = Configuration(
      listeners: [listener], table: table, timeouts: timeouts, limits: limits,
      upstreams: table.fallback.upstreams, groups: table.fallback.groups)
    configuration.nameServers.servers = nameServers
    let started = configuration
    let record = Record()
    let server = try Server(started, workers: 1, sink: record)
    let (listening, announce) = AsyncStream<Listener.Address>.makeStream()
    try await withThrowingTaskGroup { group in
      group.addTask { try await server.run { announce.yield($0[0]) } }
      defer {
        server.drain()
        server.drain()
      }
      for await case .tcp(let address) in listening {
        try await body(
          TestServer(
            address: address, record: record, loop: loop, server: server, configuration: started))
        break
      }
    }
  }
}

extension Outcome {
  /// The group that it is.
  fileprivate var groups: [Group] {
    guard case .plan(let plan) = self, case .group(let group) = plan.stop else { return [] }
    return [group]
  }
}

extension RouteTable {
  /// Everything by this way.
  init(_ outcome: Outcome) {
    self.init(routes: [], fallback: outcome)
  }
}

/// A client's UDP association; `@unchecked` holds because tasks of its loop use it.
final class TestAssociation: @unchecked Sendable {
  let peer: Peer
  let relay: SocketAddress
  private var control: TCPStream?

  init(_ server: TestServer) async throws {
    let deadline = Deadline.after(patience)
    let control = try await TCPStream.connect(to: server.address, on: server.loop, until: deadline)
    var input: [UInt8] = []
    try await control.write(SOCKS5.Greeting(methods: [.noAuthentication]).bytes, until: deadline)
    let _: SOCKS5.MethodSelection = try await control.receive(input: &input, until: deadline)
    let request = SOCKS5.Request(.associate, to: Endpoint(.unspecified4, port: 0))
    try await control.write(request.bytes, until: deadline)
    let reply: SOCKS5.Reply = try await control.receive(input: &input, until: deadline)
    try #require(reply.code == .succeeded)
    relay = try #require(reply.bound.socketAddress)
    peer = try Peer(on: server.loop)
    self.control = consume control
  }

  func send(_ text: String, to destination: Endpoint) throws {
    try peer.send(SOCKS5.DatagramHeader(destination).bytes + text.utf8, to: relay)
  }

  func send(_ text: String, to destination: SocketAddress) throws {
    try send(text, to: Endpoint(destination.address, port: destination.port))
  }

  /// The next answer, and whom it is said to be from.
  func receive() async throws -> (text: String, source: Endpoint) {
    let datagram = try await peer.receive()
    let (header, size) = try SOCKS5.DatagramHeader.parse(datagram.bytes.span)
    return (String(decoding: datagram.bytes.dropFirst(size), as: UTF8.self), header.peer)
  }

  func close() {
    control = nil
  }

  /// Waits until the server closes the control connection.
  func waitForEnd() async throws {
    guard let control = control.take() else { return }
    var input: [UInt8] = []
    while try await control.read(into: &input, until: .after(patience)) {}
  }
}

/// A hop that serves UDP ASSOCIATE as its script says; `@unchecked` holds because tasks of its loop use it.
final class TestHop: @unchecked Sendable {
  let address: SocketAddress
  private let listener: TCPListener

  init(on loop: EventLoop) throws {
    listener = try TCPListener(on: SocketAddress(.loopback4, port: 0), loop: loop)
    address = try #require(listener.localAddress)
  }

  /// A chain of only this.
  var chain: Outcome { TestHop.chain([self]) }

  static func chain(_ hops: [TestHop]) -> Outcome {
    .chain(
      Chain(
        hops.enumerated().map { index, hop in
          Upstream(name: "hop\(index)", endpoint: Endpoint(hop.address.address, port: hop.address.port))
        }))
  }

  /// Takes the next connection up to its request.
  ///
  /// - Parameter delay: how long it hears nothing.
  func nextRequest(on loop: EventLoop, after delay: Duration = .zero) async throws -> Requested {
    let stream = try await listener.next(on: loop)
    if delay > .zero { try await loop.sleep(until: .after(delay)) }
    let request = try await Self.hear(stream)
    return Requested(stream, request)
  }

  /// Hears a client up to its request.
  fileprivate static func hear(_ stream: borrowing TCPStream) async throws -> SOCKS5.Request {
    let deadline = Deadline.after(patience)
    var input: [UInt8] = []
    let _: SOCKS5.Greeting = try await stream.receive(input: &input, until: deadline)
    try await stream.write(SOCKS5.MethodSelection(.noAuthentication).bytes, until: deadline)
    return try await stream.receive(input: &input, until: deadline)
  }
}

/// A connection to a hop, and what it asks for; `@unchecked` holds because tasks of its loop use it.
final class Requested: @unchecked Sendable {
  let request: SOCKS5.Request
  private var stream: TCPStream?

  fileprivate init(_ stream: consuming TCPStream, _ request: SOCKS5.Request) {
    self.stream = consume stream
    self.request = request
  }

  func refuse(_ code: SOCKS5.ReplyCode) async throws {
    try await stream?.write(SOCKS5.Reply(code).bytes, until: .after(patience))
  }

  func grant(_ bound: SocketAddress) async throws {
    try await stream?.write(
      SOCKS5.Reply(.succeeded, bound: bound).bytes, until: .after(patience))
  }

  /// What comes next on the connection.
  func receive() async throws -> [UInt8] {
    var input: [UInt8] = []
    _ = try await stream?.read(into: &input, until: .after(patience))
    return input
  }

  /// Plays the hop behind this one, on the connection that leads to it.
  func hearAgain() async throws -> SOCKS5.Request {
    guard let stream = stream.take() else { throw CancellationError() }
    let request = try await TestHop.hear(stream)
    self.stream = consume stream
    return request
  }

  func close() {
    stream = nil
  }
}
