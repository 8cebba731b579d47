import Addresses
import Testing

@Suite struct PrefixTests {
  @Test(
    arguments: [
      ("10.0.0.0/8", "10.0.0.0/8"), ("192.0.2.1", "192.0.2.1/32"), ("0.0.0.0/0", "0.0.0.0/0"),
      ("::/0", "::/0"),
      ("FC00::/7", "fc00::/7"), ("2001:db8::1", "2001:db8::1/128"), ("192.0.2.1/32", "192.0.2.1/32"),
      ("::ffff:10.0.0.0/104", "10.0.0.0/8"), ("::ffff:10.0.0.1", "10.0.0.1/32"),
      ("::ffff:0:0/96", "0.0.0.0/0"),
    ])
  func `a range, or a single address, in one notation`(text: String, canonical: String) throws {
    let prefix = try #require(Prefix(text))
    #expect(prefix.description == canonical)
    #expect(Prefix(canonical) == prefix)
  }

  @Test(
    arguments: [
      "", "/", "/8", "10.0.0.0/", "10.0.0.0/33", "::/129", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/08",
      "10.0.0.0/8 ",
      "10.0.0.0/8/8", "10.0.0.0/a", "10/8", "10.0.0/8", "[::]/0", "::%lo/128", "10.0.0.0/255.0.0.0",
      "10.0.0.0/99999999999999999999", "::ffff:10.0.0.0/95", "010.0.0.0/8",
    ])
  func `what is no range is refused`(text: String) {
    #expect(Prefix(text) == nil)
  }

  @Test(arguments: ["10.0.0.1/8", "10.0.0.128/24", "2001:db8::1/64", "::ffff:10.0.0.1/104", "128.0.0.0/0"])
  func `bits set behind the prefix are refused in text`(text: String) {
    #expect(Prefix(text) == nil)
  }

  @Test func `bits set behind the prefix are cleared in code`() throws {
    let address = try #require(IPAddress("10.1.2.3"))
    #expect(Prefix(address, length: 8).description == "10.0.0.0/8")
    #expect(Prefix(address, length: 0).description == "0.0.0.0/0")
    #expect(Prefix(address).description == "10.1.2.3/32")
  }

  @Test(
    arguments: [
      ("10.0.0.0/8", "10.0.0.0", true), ("10.0.0.0/8", "10.255.255.255", true),
      ("10.0.0.0/8", "11.0.0.0", false),
      ("10.0.0.0/8", "9.255.255.255", false), ("192.0.2.1", "192.0.2.1", true),
      ("192.0.2.1", "192.0.2.0", false),
      ("0.0.0.0/0", "255.255.255.255", true), ("0.0.0.0/0", "::1", false), ("::/0", "10.0.0.1", false),
      ("::/0", "ffff::", true), ("fc00::/7", "fdff::1", true), ("fc00::/7", "fe00::", false),
      ("192.0.2.0/25", "192.0.2.127", true), ("192.0.2.0/25", "192.0.2.128", false), ("::1", "::1", true),
    ])
  func `a range holds its own addresses and no others`(prefix: String, address: String, holds: Bool) throws {
    #expect(try #require(Prefix(prefix)).contains(try #require(IPAddress(address))) == holds)
  }
}
