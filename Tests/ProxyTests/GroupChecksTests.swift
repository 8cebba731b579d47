import Addresses
import Routing
import Settings
import Testing
import Transport
import Wire

@testable import Proxy

/// Rounds of a group's checks.
@Suite(.timeLimit(.minutes(10))) struct GroupChecksTests {
  private static let check = Group.Check(
    to: Endpoint(.v4(0xc000_0201), port: 80), every: .seconds(3600), timeout: .seconds(600))

  private static func group(_ name: String, _ count: Int, at hop: SocketAddress) -> Group {
    let members = (0..<count).map { index in
      let upstream = Upstream(name: "\(name)\(index)", endpoint: Endpoint(hop.address, port: hop.port))
      return Group.Member(.upstream(upstream))
    }
    return Group(name: name, members: members, check: check)
  }

  @Test func `a round dials no more members at once than limits allow, and comes to all of them`()
    async throws
  {
    var limits = Limits()
    limits.checks = 4
    let (hops, offer) = AsyncStream<SilentHop>.makeStream()
    try await withServer(limits: limits) { loop in
      let hop = try SilentHop(on: loop)
      offer.yield(hop)
      return RouteTable(.plan(Plan(.group(Self.group("exits", 12, at: hop.address)))))
    } _: { server in
      let hop = try #require(await hops.first { _ in true })
      let client = try await TCPStream.connect(
        to: server.address, on: server.loop, until: .after(patience))
      let request = SOCKS5.Request(.connect, to: Endpoint(.v4(0xc000_0202), port: 80))
      try await client.write(
        SOCKS5.Greeting(methods: [.noAuthentication]).bytes + request.bytes, until: .after(patience))
      // The first is the client's own, which has the group checked.
      for _ in 0..<5 { try await hop.takeNext() }
      for _ in 4..<12 {
        // What the server's loop has to do is done.
        await server.server.passTurns(besides: server.loop)
        #expect(try !hop.hasNext)
        // One check that ends makes room for the next.
        hop.close(1)
        try await hop.takeNext()
      }
      await server.server.passTurns(besides: server.loop)
      #expect(try !hop.hasNext)
      client.resetOnClose()
    }
  }

  @Test func `groups share what is checked at once by their numbers of members`() throws {
    let hop = SocketAddress(.loopback4, port: 1)
    let groups = [Self.group("large", 1000, at: hop), Self.group("small", 10, at: hop)]
    let server = try Server(
      Configuration(listeners: [], table: RouteTable(.direct), groups: groups), workers: 1, sink: Record())
    #expect(server.checkPlaces(for: groups[0]) == 63)
    #expect(server.checkPlaces(for: groups[1]) == 1)
    // A reload has taken it away, or it is the only one.
    #expect(server.checkPlaces(for: Self.group("other", 20, at: hop)) == 1)
    let alone = try Server(
      Configuration(listeners: [], table: RouteTable(.direct), groups: [groups[1]]), workers: 1,
      sink: Record())
    #expect(alone.checkPlaces(for: groups[1]) == 10)
  }
}

/// A hop that holds connections and says nothing; `@unchecked` holds because tasks of its loop use it.
private final class SilentHop: @unchecked Sendable {
  private final class Held {
    let stream: TCPStream

    init(_ stream: consuming TCPStream) { self.stream = stream }
  }

  let address: SocketAddress
  private let listener: TCPListener
  private let loop: EventLoop
  private var held: [Held] = []

  init(on loop: EventLoop) throws {
    self.loop = loop
    listener = try TCPListener(on: SocketAddress(.loopback4, port: 0), loop: loop)
    address = try #require(listener.localAddress)
  }

  func takeNext() async throws { held.append(Held(try await listener.next(on: loop))) }

  /// Whether another has connected. It is closed.
  var hasNext: Bool {
    get throws {
      guard let connection = try listener.accept() else { return false }
      connection.close()
      return true
    }
  }

  func close(_ place: Int) { held.remove(at: place) }
}
