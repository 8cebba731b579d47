import Addresses
import Testing

@testable import Wire

@Suite struct SOCKS4RequestTests {
  typealias Request = SOCKS4.Request

  private func endpoint(_ text: String) throws -> Endpoint { try #require(Endpoint(text)) }

  private func request(
    _ command: SOCKS4.Command, to destination: String, userID: String = ""
  ) throws -> Request {
    try #require(Request(command, to: try endpoint(destination), userID: ascii(userID), as: .socks4a))
  }

  /// A CONNECT of alice to port 80 of `address`, with `name` behind it.
  private func connect(_ address: [UInt8], _ name: String? = nil) -> [UInt8] {
    [4, 1, 0, 80] + address + ascii("alice\0") + (name.map { ascii($0 + "\0") } ?? [])
  }

  // MARK: Reading

  @Test func `H1: an address ends with the user id's NUL`() throws {
    let bytes = connect([192, 0, 2, 1])
    let request = try request(.connect, to: "192.0.2.1:80", userID: "alice")
    try expect(bytes, parseAs: request)
    #expect(request.bytes == bytes)
  }

  @Test func `H1: a user id may be empty, or any octets`() throws {
    try expect([4, 1, 0, 80, 192, 0, 2, 1, 0], parseAs: try request(.connect, to: "192.0.2.1:80"))
    let odd = try #require(
      Request(.connect, to: try endpoint("192.0.2.1:80"), userID: [0xff, 0x0d, 0x0a, 0x1b], as: .socks4))
    try expect([4, 1, 0, 80, 192, 0, 2, 1, 0xff, 0x0d, 0x0a, 0x1b, 0], parseAs: odd)
  }

  @Test func `H2: a name follows 0.0.0.x`() throws {
    for last in [1, 2, 128, 255] as [UInt8] {
      try expect(
        connect([0, 0, 0, last], "example.com"),
        parseAs: try request(.connect, to: "example.com:80", userID: "alice"))
    }
    try expect(
      [4, 1, 0, 80, 0, 0, 0, 1, 0] + ascii("a\0"), parseAs: try request(.connect, to: "a:80"))
  }

  // Xray tests only the first octet.
  @Test(
    arguments: [[0, 0, 0, 0], [0, 1, 2, 3], [0, 0, 1, 0], [0, 0, 1, 1], [0, 1, 0, 1], [1, 0, 0, 1]]
      as [[UInt8]])
  func `H2: no name follows any other address`(address: [UInt8]) throws {
    let text = address.map(String.init).joined(separator: ".")
    try expect(connect(address), parseAs: try request(.connect, to: text + ":80", userID: "alice"))
  }

  @Test(
    arguments: [
      ("192.0.2.1", "192.0.2.1:80"), ("::ffff:192.0.2.1", "192.0.2.1:80"), ("0.0.0.0", "0.0.0.0:80"),
      ("GOOD.Test.", "good.test:80"),
    ])
  func `H3, T12: the name is an address or has one spelling`(name: String, destination: String) throws {
    try expect(
      connect([0, 0, 0, 1], name), parseAs: try request(.connect, to: destination, userID: "alice"))
  }

  @Test(arguments: ["2001:db8::1", "0.0.0.7"])
  func `H3: an address that cannot be said otherwise stays in the name's place`(name: String) throws {
    let bytes = connect([0, 0, 0, 1], name)
    var input = ByteReader(bytes)
    let request = try #require(try Request(parsing: &input))
    #expect(request.destination.host.address == IPAddress(name))
    #expect(request.bytes == bytes)
    try expect(bytes, parseAs: request)
  }

  @Test(
    arguments: [
      "",  // sing connects to 127.0.0.1
      "127.1", "0x7f000001", "2130706433", "127.0.0.01", "[::1%lo]", "good.test..", ".", " a", "a\r\n",
      "a:80",
      "\u{1}", "bücher.test", "*",
    ])
  func `H3, T10, T13, T17: what is no name is a violation when it was read to its end`(name: String) throws {
    try expect(connect([0, 0, 0, 1], name), of: Request.self, violate: .name(.malformed))
  }

  @Test func `T11: a name ends with its NUL, and what follows is early data`() throws {
    var input = ByteReader(connect([0, 0, 0, 1], "good.test") + ascii(".evil.test\0"))
    #expect(try Request(parsing: &input)?.destination.description == "good.test:80")
    #expect(Array(input.remaining) == ascii(".evil.test\0"))
  }

  @Test func `H4, T36: a user id has at most 255 octets`() throws {
    let longest = String(repeating: "u", count: 255)
    try expect(
      [4, 1, 0, 80, 192, 0, 2, 1] + ascii(longest + "\0"),
      parseAs: try request(.connect, to: "192.0.2.1:80", userID: longest))
    try expect(
      [4, 1, 0, 80, 192, 0, 2, 1] + ascii(longest + "u"), of: Request.self, violate: .userIDTooLong)
    try expect(
      [4, 1, 0, 80, 0, 0, 0, 1] + ascii(longest + "u"), of: Request.self, violate: .userIDTooLong)
  }

  @Test func `H4, T36: a name has at most 253 octets, and no more than 255 are waited for`() throws {
    let name = Array(repeating: String(repeating: "a", count: 62), count: 4).joined(separator: ".") + ".b"
    try expect(
      connect([0, 0, 0, 1], name + "."), parseAs: try request(.connect, to: name + ":80", userID: "alice"))
    try expect(connect([0, 0, 0, 1], name + "bb"), of: Request.self, violate: .name(.tooLong))
    let endless = connect([0, 0, 0, 1]) + Array(repeating: 0x61, count: 256)
    try expect(endless, of: Request.self, violate: .name(.tooLong))
  }

  @Test(arguments: [0, 1, 5, 0x47] as [UInt8])
  func `a request of another version is a violation`(version: UInt8) throws {
    try expect([version], of: Request.self, violate: .version(version))
  }

  @Test(
    arguments: [
      (1, .connect), (2, .bind), (0, SOCKS4.Command(rawValue: 0)), (0xf0, SOCKS4.Command(rawValue: 0xf0)),
    ] as [(UInt8, SOCKS4.Command)])
  func `H5: every command is data, read with its whole address`(octet: UInt8, command: SOCKS4.Command) throws
  {
    try expect(
      [4, octet, 0, 80, 192, 0, 2, 1, 0], parseAs: try request(command, to: "192.0.2.1:80"))
  }

  // MARK: Writing

  @Test func `a name is written behind 0.0.0.1`() throws {
    let request = try request(.connect, to: "example.com:443", userID: "bob")
    #expect(request.bytes == [4, 1, 1, 0xbb, 0, 0, 0, 1] + ascii("bob\0example.com\0"))
  }

  @Test(
    arguments: [
      ("192.0.2.1:80", true, true), ("0.0.0.0:0", true, true), ("[::ffff:192.0.2.1]:80", true, true),
      ("example.com:80", false, true),
      ("[2001:db8::1]:80", false, false), ("0.0.0.1:80", false, false), ("0.0.0.255:80", false, false),
    ])
  func `J5: a dialect has words for some destinations only`(
    destination: String, plain: Bool, extended: Bool
  ) throws {
    let destination = try endpoint(destination)
    #expect((Request(.connect, to: destination, as: .socks4) != nil) == plain)
    #expect((Request(.connect, to: destination, as: .socks4a) != nil) == extended)
  }

  @Test func `T9, T10: no user id can end early or reach into the name`() throws {
    let destination = try endpoint("example.com:80")
    for userID in [[0], ascii("a\0b"), Array(repeating: 0x61, count: 256)] as [[UInt8]] {
      #expect(Request(.connect, to: destination, userID: userID, as: .socks4a) == nil)
    }
    #expect(
      Request(.connect, to: destination, userID: Array(repeating: 0x61, count: 255), as: .socks4a) != nil)
  }
}

@Suite struct SOCKS4ReplyTests {
  typealias Reply = SOCKS4.Reply

  @Test func `H1: a reply is eight octets, its version 00`() throws {
    let reply = Reply(.granted, bound: SocketAddress(.v4(0xc000_0201), port: 0x1234))
    #expect(reply.bytes == [0, 90, 0x12, 0x34, 192, 0, 2, 1])
    try expect(reply.bytes, parseAs: reply)
    #expect(Reply(.rejected).bytes == [0, 91, 0, 0, 0, 0, 0, 0])
  }

  @Test func `H8: IPv6 is written as zeros, and a mapped address as IPv4`() throws {
    #expect(
      Reply(.granted, bound: SocketAddress(.loopback6, port: 80))
        == Reply(.granted, bound: SocketAddress(.v4(0), port: 80)))
    #expect(
      Reply(.granted, bound: SocketAddress(.v6(0xffff_c000_0201), port: 80)).bytes
        == [0, 90, 0, 80, 192, 0, 2, 1])
  }

  @Test func `a server may repeat the request's version`() throws {
    try expect([4, 90, 0, 0, 0, 0, 0, 0], parseAs: Reply(.granted))
  }

  @Test(arguments: [1, 5, 90, 0x48, 0xff] as [UInt8])
  func `T30: a reply of another version is a violation`(version: UInt8) throws {
    try expect([version], of: Reply.self, violate: .version(version))
  }

  @Test(
    arguments: [
      (90, "90 (granted)"), (91, "91 (rejected or failed)"), (92, "92 (identd not reached)"),
      (93, "93 (identd names another user)"), (0, "0"), (255, "255"),
    ] as [(UInt8, String)])
  func `every code is data, printed as logs show it`(code: UInt8, text: String) throws {
    let reply = Reply(SOCKS4.ReplyCode(rawValue: code))
    try expect(code == 90 ? [0, code, 0, 0, 0, 0, 0, 0] : [0, code], parseAs: reply)
    #expect(reply.code.description == text)
  }
}
