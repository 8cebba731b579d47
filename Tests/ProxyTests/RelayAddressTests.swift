import Addresses
import Testing

@testable import Proxy

/// 2.2 of the rules for UDP through hops: where a hop's relay is, when the hop says where.
struct RelayAddressTests {
  @Test(
    arguments: [
      // A hop that tells what others can use is believed.
      ("203.0.113.9:4000", "203.0.113.1", "203.0.113.9:4000"),
      ("10.0.0.9:4000", "10.0.0.1", "10.0.0.9:4000"), ("10.0.0.9:4000", "192.168.0.1", "10.0.0.9:4000"),
      ("203.0.113.9:4000", "10.0.0.1", "203.0.113.9:4000"),
      ("203.0.113.9:4000", "127.0.0.1", "203.0.113.9:4000"),
      ("127.0.0.9:4000", "127.0.0.1", "127.0.0.9:4000"), ("10.0.0.9:4000", "127.0.0.1", "10.0.0.9:4000"),
      ("[2001:db8::9]:4000", "2001:db8::1", "[2001:db8::9]:4000"),
      ("relay.example:4000", "203.0.113.1", "relay.example:4000"),
      // A wildcard, in either family.
      ("0.0.0.0:4000", "203.0.113.1", "203.0.113.1:4000"), ("[::]:4000", "203.0.113.1", "203.0.113.1:4000"),
      ("0.0.0.0:4000", "2001:db8::1", "[2001:db8::1]:4000"), ("0.0.0.0:4000", "127.0.0.1", "127.0.0.1:4000"),
      // Addresses of no host.
      ("224.0.0.1:4000", "203.0.113.1", "203.0.113.1:4000"),
      ("255.255.255.255:4000", "203.0.113.1", "203.0.113.1:4000"),
      ("[ff02::1]:4000", "2001:db8::1", "[2001:db8::1]:4000"),
      // Loopback, of a hop that is elsewhere.
      ("127.0.0.1:4000", "203.0.113.1", "203.0.113.1:4000"), ("127.0.0.1:4000", "10.0.0.1", "10.0.0.1:4000"),
      ("[::1]:4000", "2001:db8::1", "[2001:db8::1]:4000"),
      // The inner side of a NAT, of a hop that is outside.
      ("10.0.0.9:4000", "203.0.113.1", "203.0.113.1:4000"),
      ("172.16.0.9:4000", "203.0.113.1", "203.0.113.1:4000"),
      ("192.168.0.9:4000", "203.0.113.1", "203.0.113.1:4000"),
      ("100.64.0.9:4000", "203.0.113.1", "203.0.113.1:4000"),
      ("169.254.0.9:4000", "203.0.113.1", "203.0.113.1:4000"),
      ("[fd00::9]:4000", "2001:db8::1", "[2001:db8::1]:4000"),
      // A hop that is known by name: nobody here knows where it is.
      ("203.0.113.9:4000", "hop.example", "203.0.113.9:4000"),
      ("10.0.0.9:4000", "hop.example", "10.0.0.9:4000"),
      ("0.0.0.0:4000", "hop.example", "hop.example:4000"),
      ("127.0.0.1:4000", "hop.example", "hop.example:4000"),
      ("127.0.0.1:4000", "localhost", "127.0.0.1:4000"),
      ("224.0.0.1:4000", "hop.example", "hop.example:4000"),
      ("relay.example:4000", "hop.example", "relay.example:4000"),
      // A name of the hop's own network.
      ("relay:4000", "203.0.113.1", "203.0.113.1:4000"), ("localhost:4000", "10.0.0.1", "10.0.0.1:4000"),
      ("relay.lan:4000", "2001:db8::1", "[2001:db8::1]:4000"),
      ("relay.local:4000", "hop.example", "hop.example:4000"),
      ("a.b.home.arpa:4000", "10.0.0.1", "10.0.0.1:4000"), ("mylan:4000", "10.0.0.1", "10.0.0.1:4000"),
      ("my.planlan:4000", "10.0.0.1", "my.planlan:4000"),
    ])
  func `the hop's own address stands in for one of no use outside`(
    told: String, hop: String, relay: String
  ) throws {
    let told = try #require(Endpoint(told))
    let hop = try Host(nameField: Array(hop.utf8))
    #expect(relayAddress(told: told, by: hop)?.description == relay)
  }

  @Test(arguments: ["203.0.113.9:0", "0.0.0.0:0", "relay.example:0", "[2001:db8::9]:0"])
  func `a relay at port 0 is none`(told: String) throws {
    #expect(relayAddress(told: try #require(Endpoint(told)), by: .address(.v4(0xcb00_7101))) == nil)
  }
}
