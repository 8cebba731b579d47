import Addresses
import Testing

@testable import Wire

@Suite struct DatagramHeaderTests {
  typealias Header = SOCKS5.DatagramHeader

  private let payload = ascii("payload")

  private func endpoint(_ text: String) throws -> Endpoint { try #require(Endpoint(text)) }

  /// A header with `name` as ATYP 03, port 53.
  private func naming(_ name: [UInt8]) -> [UInt8] {
    [0, 0, 0, 3, UInt8(name.count)] + name + [0, 53]
  }

  /// Expects `bytes` to be the header, whatever stands behind it, and every beginning of them to be truncated.
  private func expect(
    _ bytes: [UInt8], parseAs peer: String, sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    for payload in [[], [0], payload] {
      let (header, byteCount) = try Header.parse((bytes + payload).span)
      #expect(try header.peer == endpoint(peer), sourceLocation: sourceLocation)
      #expect(byteCount == bytes.count, sourceLocation: sourceLocation)
    }
    for count in bytes.indices {
      expect(Array(bytes[..<count]), violates: .truncated, sourceLocation: sourceLocation)
    }
  }

  private func expect(
    _ bytes: [UInt8], violates violation: Header.Violation, sourceLocation: SourceLocation = #_sourceLocation
  ) {
    #expect(throws: violation, "\(bytes)", sourceLocation: sourceLocation) {
      _ = try Header.parse(bytes.span)
    }
  }

  // MARK: Reading

  @Test func `an IPv4 address takes ten octets`() throws {
    try expect([0, 0, 0, 1, 192, 0, 2, 1, 0x12, 0x34], parseAs: "192.0.2.1:4660")
  }

  @Test func `an IPv6 address takes 22 octets`() throws {
    try expect(
      [0, 0, 0, 4, 0x20, 1, 0xd, 0xb8] + Array(repeating: 0, count: 11) + [1, 0, 53],
      parseAs: "[2001:db8::1]:53")
  }

  @Test func `a name takes seven octets and its own`() throws {
    try expect(naming(ascii("example.com")), parseAs: "example.com:53")
    try expect(naming(ascii("EXAMPLE.com.")), parseAs: "example.com:53")
  }

  @Test func `T14: an IPv4 address mapped into IPv6 is that IPv4 address`() throws {
    try expect(
      [0, 0, 0, 4] + Array(repeating: 0, count: 10) + [0xff, 0xff, 10, 77, 0, 1, 0, 53],
      parseAs: "10.77.0.1:53")
  }

  @Test(
    arguments: [
      ("192.0.2.1", "192.0.2.1:53"), ("2001:DB8:0:0::1", "[2001:db8::1]:53"), ("[::1]", "[::1]:53"),
      ("::ffff:192.0.2.1", "192.0.2.1:53"),
    ])
  func `T12: an address in the name field is that address`(name: String, peer: String) throws {
    try expect(naming(ascii(name)), parseAs: peer)
  }

  @Test(arguments: [[0, 1], [1, 0], [0xff, 0xff]] as [[UInt8]])
  func `G9: the reserved field is not looked at`(reserved: [UInt8]) throws {
    try expect(reserved + [0, 1, 192, 0, 2, 1, 0, 53], parseAs: "192.0.2.1:53")
  }

  @Test(arguments: [1, 0x7f, 0x80, 0x81, 0xff] as [UInt8])
  func `G10: a fragment`(fragment: UInt8) {
    expect([0, 0, fragment, 1, 192, 0, 2, 1, 0, 53] + payload, violates: .fragment(fragment))
  }

  @Test func `G12: an empty datagram is truncated`() {
    expect([], violates: .truncated)
  }

  @Test func `G12: a name that runs over the end is truncated`() {
    expect([0, 0, 0, 3, 255] + payload, violates: .truncated)
    expect([0, 0, 0, 3, 7] + payload, violates: .truncated)
    expect([0, 0, 0, 3, 7] + payload + [0], violates: .truncated)
  }

  @Test(arguments: [0, 2, 5, 0xff] as [UInt8])
  func `G12: an unknown address type`(type: UInt8) {
    expect([0, 0, 0, type, 192, 0, 2, 1, 0, 53] + payload, violates: .addressType(type))
  }

  @Test(arguments: [
    "", "good.test\0.evil.test", "127.1", "0x7f000001", "a b", "a\r\n", "good.test..", "[::1%lo]", "*",
  ])
  func `T11, T13, T17: what is no name`(name: String) {
    expect(naming(ascii(name)) + payload, violates: .name(.malformed))
  }

  @Test func `T36: names too long for DNS`() {
    expect(naming(Array(repeating: 0x61, count: 255)), violates: .name(.tooLong))
    let name = Array(repeating: String(repeating: "a", count: 49), count: 5).joined(separator: ".") + ".abcd"
    expect(naming(ascii(name)), violates: .name(.tooLong))
  }

  // MARK: Writing

  @Test(
    arguments: [
      ("192.0.2.1:53", 10), ("0.0.0.0:0", 10), ("[2001:db8::1]:53", 22), ("a:1", 8),
      ("example.com:65535", 18),
    ])
  func `what is written is read back, and is as long as it says`(peer: String, byteCount: Int) throws {
    let header = Header(try endpoint(peer))
    var bytes = payload
    header.append(to: &bytes)
    #expect(bytes.starts(with: payload))
    #expect(bytes.count == payload.count + byteCount)
    #expect(header.byteCount == byteCount)
    try expect(Array(bytes[payload.count...]), parseAs: peer)
  }

  @Test func `G15: a mapped address is written as the IPv4 address it is`() throws {
    let header = Header(Endpoint(.v6(0xffff_c000_0201), port: 53))
    var bytes: [UInt8] = []
    header.append(to: &bytes)
    #expect(bytes == [0, 0, 0, 1, 192, 0, 2, 1, 0, 53])
    #expect(header.byteCount == 10)
  }

  @Test func `the longest name there is takes 260 octets`() throws {
    let name = Array(repeating: String(repeating: "a", count: 62), count: 4).joined(separator: ".") + ".b"
    let header = Header(Endpoint(.name(try DomainName(name)), port: 53))
    var bytes: [UInt8] = []
    header.append(to: &bytes)
    #expect(bytes.count == 260)
    #expect(header.byteCount == 260)
    try expect(bytes, parseAs: name + ":53")
  }

  @Test func `headers are nested, the first hop's outermost`() throws {
    let peers = ["192.0.2.2:1080", "[2001:db8::3]:1080", "hop.test:1080", "192.0.2.9:53"]
    var datagram: [UInt8] = []
    for peer in peers { Header(try endpoint(peer)).append(to: &datagram) }
    datagram += payload

    var rest = datagram.span
    for peer in peers {
      let (header, byteCount) = try Header.parse(rest)
      #expect(try header.peer == endpoint(peer))
      rest = rest.extracting(byteCount...)
    }
    #expect(rest.count == payload.count)
  }
}
