import Addresses
import Testing

/// What counts as one client.
@Suite struct ClientTests {
  private func client(_ text: String, scope: UInt32 = 0) throws -> Client {
    Client(at: try #require(IPAddress(text)), scope: scope)
  }

  @Test func `an IPv6 network of 64 bits is one client`() throws {
    #expect(try client("2001:db8::1") == client("2001:db8::ffff:1:2:3"))
    #expect(try client("2001:db8::1") != client("2001:db8:0:1::1"))
  }

  @Test func `an IPv4 address is one client, mapped into IPv6 or not`() throws {
    #expect(try client("192.0.2.1") != client("192.0.2.2"))
    #expect(try client("::ffff:192.0.2.1") == client("192.0.2.1"))
    #expect(try client("::ffff:192.0.2.1") != client("::ffff:192.0.2.2"))
  }

  @Test func `all of loopback is one client of this machine`() throws {
    for address in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
      #expect(try client(address) == .loopback)
    }
    #expect(Client.loopback.isLocal)
    // Its neighbours in what would be its /64 are not.
    #expect(try client("::2") != .loopback)
  }

  @Test func `the link-local addresses of one interface are one client`() throws {
    #expect(try client("fe80::1", scope: 2) == client("fe80::2:1", scope: 2))
    #expect(try client("fe80::1", scope: 2) == client("febf:1:2:3::4", scope: 2))
    #expect(try client("fe80::1", scope: 2) != client("fe80::1", scope: 3))
    #expect(try client("fec0::1") != client("fe80::1"))
    let address = SocketAddress(try #require(IPAddress("fe80::1")), port: 9, scope: 2)
    #expect(try Client(at: address) == client("fe80::2", scope: 2))
  }

  @Test func `each user of a Unix-domain listener is one client of this machine`() throws {
    #expect(Client(user: 0) != Client(user: 1))
    #expect(Client(user: 0) != .loopback)
    #expect(Client(user: 1000).isLocal)
    #expect(try client("0.0.0.1") != Client(user: 1))
    #expect(try client("fe80::1", scope: 1) != Client(user: 1))
  }

  @Test(arguments: ["192.0.2.1", "10.0.0.1", "fe80::1", "2001:db8::1", "::2"])
  func `other addresses are another machine`(address: String) throws {
    #expect(try !client(address).isLocal)
  }

  @Test(arguments: [
    ("192.0.2.1", "192.0.2.1"), ("::ffff:192.0.2.1", "192.0.2.1"),
    ("2001:db8:0:1:2:3:4:5", "2001:db8:0:1::/64"),
    ("127.0.0.9", "loopback"), ("::1", "loopback"),
  ])
  func `a client is told as what it is`(address: String, text: String) throws {
    #expect(try client(address).description == text)
    #expect(Client(user: 1000).description == "user 1000")
  }
}
