import Addresses
import Testing
import Transport

@testable import Proxy

struct ClientPortTests {
  static let remote = IPAddress.v4(0xcb00_7101)
  static let start = Deadline.now

  /// A hint, and the port that the client is held to.
  @Test(
    arguments: [
      (remote, "0.0.0.0:0", nil), (remote, "0.0.0.0:4000", nil), (remote, "[::]:4000", nil),
      (remote, "203.0.113.1:4000", 4000), (remote, "203.0.113.2:4000", nil), (remote, "some.test:4000", nil),
      (.loopback4, "0.0.0.0:0", nil), (.loopback4, "0.0.0.0:4000", 4000),
      (.loopback4, "127.0.0.1:4000", 4000),
      (.loopback4, "127.0.0.2:4000", nil), (.loopback6, "[::]:4000", 4000), (.loopback6, "[::1]:4000", 4000),
    ] as [(IPAddress, String, UInt16?)])
  func `a port at no address is believed on loopback only, where no NAT changes it (G1, G2)`(
    client: IPAddress, hint: String, port: UInt16?
  ) throws {
    #expect(
      ClientPort(of: client, isLocal: client.isLoopback, hint: try #require(Endpoint(hint))).number == port)
  }

  @Test func `the first datagram decides, and others are strangers (G7, G8)`() throws {
    var port = ClientPort(of: Self.remote, isLocal: false, hint: try #require(Endpoint("0.0.0.0:4000")))
    #expect(port.admits(5000, at: Self.start))
    #expect(port.use(5000, at: Self.start) == nil)
    #expect(port.admits(5000, at: Self.start + .seconds(100)))
    #expect(!port.admits(4000, at: Self.start))
    #expect(port.use(5000, at: Self.start) == nil)
  }

  @Test func `a client that moves after ten seconds of silence is followed (G8)`() throws {
    var port = ClientPort(of: Self.remote, isLocal: false, hint: try #require(Endpoint("0.0.0.0:0")))
    _ = port.use(5000, at: Self.start)
    _ = port.use(5000, at: Self.start + .seconds(3))
    #expect(!port.admits(6000, at: Self.start + .milliseconds(12_999)))
    #expect(port.admits(6000, at: Self.start + .seconds(13)))
    #expect(port.use(6000, at: Self.start + .seconds(13)) == 5000)
    #expect(!port.admits(5000, at: Self.start + .seconds(14)))
    #expect(port.admits(6000, at: Self.start + .seconds(14)))
  }

  @Test func `a client that only receives is not silent, and keeps its port (G8, T21)`() throws {
    var port = ClientPort(of: Self.remote, isLocal: false, hint: try #require(Endpoint("0.0.0.0:0")))
    _ = port.use(5000, at: Self.start)
    port.answer(at: Self.start + .seconds(9))
    #expect(!port.admits(6000, at: Self.start + .seconds(18)))
    #expect(port.admits(6000, at: Self.start + .seconds(19)))
  }

  @Test func `a client at an address of this host does not move, since others have the same address (T21)`()
    throws
  {
    var port = ClientPort(of: Self.remote, isLocal: true, hint: try #require(Endpoint("0.0.0.0:0")))
    _ = port.use(5000, at: Self.start)
    #expect(!port.admits(6000, at: Self.start + .seconds(1000)))
  }

  @Test(arguments: [(remote, "203.0.113.1:4000"), (.loopback4, "0.0.0.0:4000"), (.loopback4, "0.0.0.0:0")])
  func `a client that told its port, or is on loopback, does not move (G2)`(client: IPAddress, hint: String)
    throws
  {
    var port = ClientPort(of: client, isLocal: client.isLoopback, hint: try #require(Endpoint(hint)))
    _ = port.use(4000, at: Self.start)
    #expect(!port.admits(5000, at: Self.start + .seconds(1000)))
  }
}
