import Addresses
import Testing

@Suite struct IPAddressTests {
  @Test(
    arguments: [
      ("0.0.0.0", 0), ("255.255.255.255", .max), ("192.0.2.1", 0xc000_0201), ("127.0.0.1", 0x7f00_0001),
      ("1.2.3.4", 0x0102_0304), ("10.0.200.0", 0x0a00_c800),
    ] as [(String, UInt32)])
  func `a dotted quad, there and back`(text: String, bits: UInt32) {
    #expect(IPAddress(text) == .v4(bits))
    #expect(IPAddress.v4(bits).description == text)
  }

  @Test(
    arguments: [
      "127.1", "127.0.1", "0x7f.1", "0x7f000001", "2130706433", "017700000001", "0177.0.0.1", "127.0.0.01",
      "1.2.3", "4294967295", "00.0.0.0", "0x7f.0.0.1", "1.2.3.256", "1.2.3.999", "1.2.3.4.5", "1.2.3.",
      "10.20.30.",
      ".1.2.3",
      "1..2.3", "1.2.3.4.", " 1.2.3.4", "1.2.3.4 ", "+1.2.3.4", "1.2.3.-4", "1.2.3.4\0", "1.2.3.\u{0664}", "",
      "1.2.3.0004", "99999999999.1.1.1", "...", "1.2.3.a", "1.2.3.4/8", "[1.2.3.4]",
    ])
  func `T13: the loose forms of inet_aton, and what is no address at all, are refused`(text: String) {
    #expect(IPAddress(text) == nil)
  }

  /// RFC 4291 §2.2, 2.3 and RFC 5952 §1–5: as it may be written, and as we write it.
  @Test(
    arguments: [
      ("ABCD:EF01:2345:6789:ABCD:EF01:2345:6789", "abcd:ef01:2345:6789:abcd:ef01:2345:6789"),
      ("2001:DB8:0:0:8:800:200C:417A", "2001:db8::8:800:200c:417a"),
      ("2001:DB8::8:800:200C:417A", "2001:db8::8:800:200c:417a"),
      ("FF01:0:0:0:0:0:0:101", "ff01::101"),
      ("FF01::101", "ff01::101"),
      ("0:0:0:0:0:0:0:1", "::1"),
      ("::1", "::1"),
      ("0:0:0:0:0:0:0:0", "::"),
      ("::", "::"),
      ("0:0:0:0:0:0:13.1.68.3", "::d01:4403"),
      ("::13.1.68.3", "::d01:4403"),
      ("0:0:0:0:0:FFFF:129.144.52.38", "::ffff:129.144.52.38"),
      ("::FFFF:129.144.52.38", "::ffff:129.144.52.38"),
      ("::ffff:8190:3426", "::ffff:129.144.52.38"),
      ("2001:0DB8:0000:CD30:0000:0000:0000:0000", "2001:db8:0:cd30::"),
      ("2001:0DB8::CD30:0:0:0:0", "2001:db8:0:cd30::"),
      ("2001:db8::001", "2001:db8::1"),
      ("2001:db8:0:0:0:0:2:1", "2001:db8::2:1"),
      ("2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),  // §4.2.2: one group of zeros is written out
      ("2001:0:0:1:0:0:0:1", "2001:0:0:1::1"),  // §4.2.3: the longest run
      ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),  // the first of equals
      ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"),
      ("::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"),
      ("1::", "1::"),
      ("1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"),
      ("1::1.2.3.4", "1::102:304"),
      ("::1:0:0:0:0", "0:0:0:1::"),
      ("fe80::", "fe80::"),
      ("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ])
  func `IPv6 text is read in every form and written in one`(text: String, canonical: String) throws {
    let address = try #require(IPAddress(text))
    #expect(address.bitWidth == 128)
    #expect(address.description == canonical)
    #expect(IPAddress(canonical) == address)
  }

  @Test(
    arguments: [
      ":", ":::", "1", "1:2", ":1::2", "1::2:", "1:", ":1", "1:::2", "1::2::3", "::1::", "1:2:3:4:5:6:7:8:9",
      "1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8", "1:2:3:4::5:6:7:8", "1:2:3:4:5:6:7", "12345::", "g::",
      "::1%lo",
      "::1/128", "[::1]", "::1.2.3", "::1.2.3.256", "::1.2.3.4:5", "1.2.3.4::", "::1.2.3.4.5", "::01.2.3.4",
      "1:2:3:4:5:6:7:1.2.3.4", "::127.1", " ::1", "::1 ", "::1\0", "::\u{0661}", "::-1", "::+1", "::0x1",
      "ffff:ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255",
    ])
  func `what is no IPv6 address is refused`(text: String) {
    #expect(IPAddress(text) == nil)
  }

  @Test func `every pattern of zero groups survives being written and read`() {
    for pattern in 0..<256 {
      let bits = (0..<8).reduce(UInt128(0)) { $0 << 16 | (pattern >> $1 & 1 == 1 ? 0xa0b : 0) }
      let text = IPAddress.v6(bits).description
      #expect(IPAddress(text) == .v6(bits), "\(text)")
    }
  }

  @Test(
    arguments: [
      ("::ffff:10.77.0.1", "10.77.0.1"), ("::ffff:0.0.0.0", "0.0.0.0"), ("10.77.0.1", "10.77.0.1"),
      ("::10.77.0.1", "::a4d:1"), ("64:ff9b::10.77.0.1", "64:ff9b::a4d:1"),
      ("::fffe:10.77.0.1", "::fffe:a4d:1"),
      ("::1:ffff:10.77.0.1", "::1:ffff:a4d:1"), ("::1", "::1"),
    ])
  func `C11, T14: only mapped addresses are unmapped`(text: String, unmapped: String) throws {
    #expect(try #require(IPAddress(text)).unmapped.description == unmapped)
  }

  @Test(
    arguments: [
      ("0.0.0.0", "unspecified"), ("::", "unspecified"), ("0.0.0.1", ""), ("127.0.0.1", "loopback"),
      ("127.255.255.255", "loopback"), ("::1", "loopback"), ("128.0.0.1", ""), ("126.255.255.255", ""),
      ("::2", ""),
      ("223.255.255.255", ""), ("224.0.0.0", "multicast"), ("239.255.255.255", "multicast"),
      ("240.0.0.0", ""),
      ("ff00::", "multicast"), ("ff02::1", "multicast"), ("feff::1", ""), ("255.255.255.255", "broadcast"),
      ("255.255.255.254", ""), ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "multicast"),
    ])
  func `special ranges end where they should`(text: String, kind: String) throws {
    let address = try #require(IPAddress(text))
    #expect(address.isUnspecified == (kind == "unspecified"))
    #expect(address.isLoopback == (kind == "loopback"))
    #expect(address.isMulticast == (kind == "multicast"))
    #expect(address.isBroadcast == (kind == "broadcast"))
    #expect(address.isDialable == (kind == "" || kind == "loopback"))
  }

  @Test(
    arguments: [
      ("9.255.255.255", false), ("10.0.0.0", true), ("10.255.255.255", true), ("11.0.0.0", false),
      ("172.15.255.255", false), ("172.16.0.0", true), ("172.31.255.255", true), ("172.32.0.0", false),
      ("192.167.255.255", false), ("192.168.0.0", true), ("192.168.255.255", true), ("192.169.0.0", false),
      ("100.63.255.255", false), ("100.64.0.0", true), ("100.127.255.255", true), ("100.128.0.0", false),
      ("169.253.255.255", false), ("169.254.0.0", true), ("169.254.255.255", true), ("169.255.0.0", false),
      ("127.0.0.1", false), ("0.0.0.0", false), ("8.8.8.8", false),
      ("fbff:ffff::", false), ("fc00::", true), ("fdff:ffff::", true), ("fe00::", false),
      ("fe7f:ffff::", false), ("fe80::", true), ("febf:ffff::", true), ("fec0::", false),
      ("::1", false), ("2001:db8::1", false),
    ])
  func `private ranges end where they should`(text: String, isPrivate: Bool) throws {
    #expect(try #require(IPAddress(text)).isPrivate == isPrivate)
  }
}
