import Addresses
import Testing

@testable import Wire

@Suite struct ReplyTests {
  typealias Reply = SOCKS5.Reply

  @Test func `D1: a refusal is ten octets, its address zeros`() {
    for code in (1...8).map(SOCKS5.ReplyCode.init(rawValue:)) {
      #expect(Reply(code).bytes == [5, code.rawValue, 0, 1, 0, 0, 0, 0, 0, 0])
    }
  }

  @Test func `D1, D2: a success tells an address, 10 octets or 22`() throws {
    let four = Reply(.succeeded, bound: SocketAddress(.v4(0xc000_0201), port: 0x1234))
    #expect(four.bytes == [5, 0, 0, 1, 192, 0, 2, 1, 0x12, 0x34])
    try expect(four.bytes, parseAs: four)

    let six = Reply(.succeeded, bound: SocketAddress(.loopback6, port: 80))
    #expect(six.bytes == [5, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 80])
    try expect(six.bytes, parseAs: six)
  }

  @Test func `D2: a mapped address is told as the IPv4 address it is`() throws {
    let reply = Reply(.succeeded, bound: SocketAddress(.v6(0xffff_c000_0201), port: 80))
    #expect(reply.bytes == [5, 0, 0, 1, 192, 0, 2, 1, 0, 80])
    try expect(
      [5, 0, 0, 4] + Array(repeating: 0, count: 10) + [0xff, 0xff, 192, 0, 2, 1, 0, 80], parseAs: reply)
  }

  @Test func `J3: a reply with a name is read, and written as it came`() throws {
    let reply = Reply(.succeeded, bound: Endpoint(.name(try DomainName("proxy.test")), port: 80))
    let bytes = [5, 0, 0, 3, 10] + ascii("proxy.test") + [0, 80]
    try expect(bytes, parseAs: reply)
    #expect(reply.bytes == bytes)
  }

  @Test func `J4: what is no name is read to its end, and nothing is in it`() throws {
    for name in [[], [0], ascii("127.1"), ascii("a b"), Array(repeating: 0xff, count: 255)] {
      try expect(
        [5, 0, 0, 3, UInt8(name.count)] + name + [0, 80],
        parseAs: Reply(.succeeded, bound: SocketAddress(.unspecified4, port: 80)))
    }
  }

  @Test func `a reply with an address written as a name is read as that address`() throws {
    try expect(
      [5, 0, 0, 3, 9] + ascii("192.0.2.1") + [0, 80],
      parseAs: Reply(.succeeded, bound: SocketAddress(.v4(0xc000_0201), port: 80)))
  }

  @Test(arguments: [1, 5, 8, 9, 0x5b, 0xff] as [UInt8])
  func `J4: every code is data, and a refusal needs no more`(code: UInt8) throws {
    try expect([5, code], parseAs: Reply(SOCKS5.ReplyCode(rawValue: code)))
  }

  @Test func `the reserved octet is not looked at`() throws {
    try expect([5, 0, 0xff, 1, 0, 0, 0, 0, 0, 0], parseAs: Reply(.succeeded))
  }

  @Test func `a success with an unknown address type is a violation`() throws {
    try expect([5, 0, 0, 0], of: Reply.self, violate: .addressType(0))
  }

  @Test(arguments: [0, 1, 4, 0x48] as [UInt8])
  func `T30: a reply of another version is a violation`(version: UInt8) throws {
    try expect([version], of: Reply.self, violate: .version(version))
  }

  @Test(
    arguments: [
      (0x05, "05 (connection refused)"), (0x06, "06 (TTL expired)"), (0x09, "09"), (0x5b, "5b"), (0xff, "ff"),
    ] as [(UInt8, String)])
  func `a code is printed as logs show it`(code: UInt8, text: String) {
    #expect(SOCKS5.ReplyCode(rawValue: code).description == text)
  }
}
