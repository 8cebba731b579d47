import Addresses
import Testing

@Suite struct EmbeddedAddressTests {
  @Test(
    arguments: [
      ("::ffff:10.77.0.1", "10.77.0.1"),  // mapped, RFC 4291 §2.5.5.2
      ("::10.77.0.1", "10.77.0.1"),  // compatible, RFC 4291 §2.5.5.1
      ("64:ff9b::10.77.0.1", "10.77.0.1"),  // NAT64, RFC 6052 §2.1
      ("64:ff9b:1::10.77.0.1", "10.77.0.1"), ("64:ff9b:1:ffff:ffff:ffff:10.77.0.1", "10.77.0.1"),  // RFC 8215
      ("2002:a4d:1::1", "10.77.0.1"),  // 6to4, RFC 3056 §2
      ("2001:0:4136:e378:8000:63bf:3fff:fdd2", "192.0.2.45"),  // Teredo, the example of RFC 4380 §4
      ("2001::f5b2:fffe", "10.77.0.1"),
    ])
  func `C12, T14: an IPv6 address tells the IPv4 address in it`(text: String, embedded: String) throws {
    #expect(try #require(IPAddress(text)).embedded4 == IPAddress(embedded))
  }

  @Test(
    arguments: [
      "::", "::1", "10.77.0.1", "::fffe:10.77.0.1", "::1:10.77.0.1", "::1:ffff:10.77.0.1",
      "64:ff9b::1:10.77.0.1",
      "64:ff9b:2::10.77.0.1", "64:ff9a::10.77.0.1", "2003:a4d:1::1", "2001:1::f5b2:fffe",
      "2001:db8::10.77.0.1",
      "fe80::10.77.0.1",
    ])
  func `C12: other addresses embed nothing`(text: String) throws {
    #expect(try #require(IPAddress(text)).embedded4 == nil)
  }
}
