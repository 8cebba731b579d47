import Addresses
import Testing

@testable import Wire

@Suite struct RequestTests {
  typealias Request = SOCKS5.Request

  /// A CONNECT to `name` as ATYP 03, port 80.
  private func connect(_ name: [UInt8]) -> [UInt8] {
    [5, 1, 0, 3, UInt8(name.count)] + name + [0, 80]
  }

  private func endpoint(_ text: String) throws -> Endpoint { try #require(Endpoint(text)) }

  @Test func `an IPv4 destination`() throws {
    let request = Request(.connect, to: try endpoint("192.0.2.1:443"))
    try expect([5, 1, 0, 1, 192, 0, 2, 1, 1, 0xbb], parseAs: request)
    #expect(request.bytes == [5, 1, 0, 1, 192, 0, 2, 1, 1, 0xbb])
  }

  @Test func `an IPv6 destination`() throws {
    let request = Request(.connect, to: try endpoint("[2001:db8::1]:80"))
    let bytes: [UInt8] = [5, 1, 0, 4, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 80]
    try expect(bytes, parseAs: request)
    #expect(request.bytes == bytes)
  }

  @Test func `a name`() throws {
    let request = Request(.connect, to: try endpoint("example.com:80"))
    try expect(connect(ascii("example.com")), parseAs: request)
    #expect(request.bytes == connect(ascii("example.com")))
  }

  @Test(arguments: [0, 1, 4, 6] as [UInt8])
  func `C1: another version is a violation, answered 01`(version: UInt8) throws {
    try expect([version], of: Request.self, violate: .version(version))
    #expect(SOCKS5.Violation.version(version).reply == .generalFailure)
  }

  @Test func `C2: the reserved octet is not looked at`() throws {
    try expect(
      [5, 1, 0xff, 1, 192, 0, 2, 1, 0, 80], parseAs: Request(.connect, to: try endpoint("192.0.2.1:80")))
  }

  @Test(
    arguments: [
      (1, .connect), (2, .bind), (3, .associate), (0xf0, .resolve), (0xf1, .resolvePTR),
      (0, SOCKS5.Command(rawValue: 0)), (0x77, SOCKS5.Command(rawValue: 0x77)),
    ] as [(UInt8, SOCKS5.Command)])
  func `C3: every command is data, read with its whole address`(octet: UInt8, command: SOCKS5.Command) throws
  {
    try expect(
      [5, octet, 0, 1, 192, 0, 2, 1, 0, 80], parseAs: Request(command, to: try endpoint("192.0.2.1:80")))
  }

  @Test(arguments: [0, 2, 5, 0xff] as [UInt8])
  func `C4: an unknown address type is answered 08`(type: UInt8) throws {
    try expect([5, 1, 0, type], of: Request.self, violate: .addressType(type))
    #expect(SOCKS5.Violation.addressType(type).reply == .addressTypeNotSupported)
  }

  @Test(
    arguments: [
      "",  // C5
      "[::1%lo]", "::1%lo", "[192.0.2.1]",  // C7
      "127.1", "127.0.1", "0x7f.1", "0x7f000001", "2130706433", "017700000001", "0177.0.0.1", "127.0.0.01",
      "1.2.3", "1.2.3.", "4294967295", "192.0.2.1.", "0X7F.0X1",  // C8, T13
      "good.test..", ".", "..", ".good.test", "good..test",  // C9, T17
      "good.test\0.evil.test", "good.test\0", "\u{1}", "a b", " a", "a\n", "a\r\n", "a:80", "a/b", "a\\b",
      "u@a",
      "a%b", "*", "*.test", "bücher.test", "evil\u{3002}test", "a\u{7f}",  // C10, T11
    ])
  func `C5 to C10, T11 to T13, T17: what is no name is answered 01 when it was read to its end`(name: String)
    throws
  {
    try expect(connect(ascii(name)), of: Request.self, violate: .name(.malformed))
    #expect(SOCKS5.Violation.name(.malformed).reply == .generalFailure)
  }

  @Test(arguments: ["0", "", "127.1", "a b"])
  func `G1: where a client will send from is no name, and one that is none says nothing`(name: String) throws
  {
    let bytes = [5, 3, 0, 3, UInt8(name.utf8.count)] + ascii(name) + [0x9b, 0x95]
    try expect(bytes, parseAs: Request(.associate, to: try endpoint("0.0.0.0:0")))
  }

  @Test func `C10: bytes that are no UTF-8 are answered 01`() throws {
    try expect(connect([0x61, 0xff]), of: Request.self, violate: .name(.malformed))
    try expect(connect([0xc0, 0xae]), of: Request.self, violate: .name(.malformed))
  }

  @Test(arguments: [
    String(repeating: "a", count: 64) + ".test",
    "test." + String(repeating: "a", count: 64),
    Array(repeating: String(repeating: "a", count: 49), count: 5).joined(separator: ".") + ".abcd",  // 254
    Array(repeating: String(repeating: "a", count: 50), count: 5).joined(separator: "."),  // 254
    Array(repeating: String(repeating: "a", count: 50), count: 5).joined(separator: ".") + "b",  // 255
    String(repeating: "a", count: 255),
  ])
  func `C6, T36: names too long for DNS are read to their end and answered 04`(name: String) throws {
    try expect(connect(ascii(name)), of: Request.self, violate: .name(.tooLong))
    #expect(SOCKS5.Violation.name(.tooLong).reply == .hostUnreachable)
  }

  @Test func `C6: a name of 253 octets is forwarded as it came`() throws {
    let name = Array(repeating: String(repeating: "a", count: 62), count: 4).joined(separator: ".") + ".b"
    #expect(name.utf8.count == 253)
    let request = Request(.connect, to: Endpoint(.name(try DomainName(name)), port: 80))
    try expect(connect(ascii(name)), parseAs: request)
    #expect(request.bytes == connect(ascii(name)))
    try expect(connect(ascii(name + ".")), parseAs: request)
  }

  @Test(
    arguments: [
      ("192.0.2.1", "192.0.2.1:80"), ("::1", "[::1]:80"), ("[::1]", "[::1]:80"),
      ("2001:DB8:0:0::1", "[2001:db8::1]:80"),
      ("::ffff:192.0.2.1", "192.0.2.1:80"), ("::FFFF:c000:201", "192.0.2.1:80"),
      ("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:80"),
    ])
  func `C7, T12: an address in the name field is that address`(name: String, destination: String) throws {
    try expect(connect(ascii(name)), parseAs: Request(.connect, to: try endpoint(destination)))
  }

  @Test(
    arguments: [
      ("GOOD.Test", "good.test"), ("good.test.", "good.test"), ("LOCALHOST.", "localhost"),
      ("a_b-c", "a_b-c"),
      ("xn--bcher-kva.test", "xn--bcher-kva.test"), ("1.2.3.4.test", "1.2.3.4.test"),
      ("0x7f.test", "0x7f.test"),
      ("3com", "3com"), ("0x7g", "0x7g"),
    ])
  func `C9, T17: names have one spelling`(sent: String, name: String) throws {
    try expect(
      connect(ascii(sent)), parseAs: Request(.connect, to: Endpoint(.name(try DomainName(name)), port: 80)))
  }

  @Test func `C11, T14: an IPv4 address mapped into IPv6 is that IPv4 address`() throws {
    let mapped: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 77, 0, 1]
    let request = Request(.connect, to: try endpoint("10.77.0.1:80"))
    try expect([5, 1, 0, 4] + mapped + [0, 80], parseAs: request)
    #expect(request.bytes == [5, 1, 0, 1, 10, 77, 0, 1, 0, 80])
  }

  @Test(arguments: ["[::10.0.0.1]:80", "[64:ff9b::10.0.0.1]:80", "[2002:a00:1::]:80"])
  func `C12: other embeddings stay IPv6`(destination: String) throws {
    let bytes = Request(.connect, to: try endpoint(destination)).bytes
    #expect(bytes[3] == 4)
    try expect(bytes, parseAs: Request(.connect, to: try endpoint(destination)))
  }

  @Test(
    arguments: [
      ("0.0.0.0:80", .notAllowed), ("[::]:80", .notAllowed), ("[::ffff:0.0.0.0]:80", .notAllowed),
      ("255.255.255.255:80", .notAllowed), ("224.0.0.1:80", .notAllowed), ("239.255.255.255:80", .notAllowed),
      ("[ff02::1]:80", .notAllowed), ("0.0.0.0:0", .notAllowed),
      ("192.0.2.1:0", .generalFailure), ("[2001:db8::1]:0", .generalFailure),
      ("example.com:0", .generalFailure),
      ("192.0.2.1:1", nil), ("240.0.0.1:80", nil), ("[fe80::1]:80", nil), ("example.com:65535", nil),
    ] as [(String, SOCKS5.ReplyCode?)])
  func `C13, C14, T15: what no CONNECT can reach is refused without a route`(
    destination: String, refusal: SOCKS5.ReplyCode?
  ) throws {
    #expect(Request(.connect, to: try endpoint(destination)).connectRefusal == refusal)
  }

  @Test func `C15: what follows the request is left in the reader`() throws {
    var input = ByteReader(connect(ascii("example.com")) + ascii("early"))
    _ = try Request(parsing: &input)
    #expect(Array(input.remaining) == ascii("early"))
    #expect(input.remaining.startIndex == connect(ascii("example.com")).count)
  }
}
