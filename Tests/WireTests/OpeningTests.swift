import Testing

@testable import Wire

@Suite struct OpeningTests {
  @Test func `A1: the first octet tells the protocol`() {
    for octet in UInt8.min ... .max {
      let expected: Opening =
        switch octet {
        case 5: .socks5
        case 4: .socks4
        case _ where ascii("GHPCOD\r\n").contains(octet): .http
        default: .unknown
        }
      #expect(Opening(firstOctet: octet) == expected)
    }
  }

  @Test func `A1: a browser is told in at most 200 octets of HTTP that this is no web proxy`() {
    let text = String(decoding: Opening.http.refusal, as: UTF8.self)
    #expect(text.hasPrefix("HTTP/1.0 501 Not Implemented\r\n"))
    #expect(text.contains("\r\n\r\n"))
    #expect(text.utf8.count <= 200)
    #expect(text.utf8.filter { $0 == 0x0a }.count == text.utf8.filter { $0 == 0x0d }.count)
  }

  @Test func `T3: SOCKS4 is refused with code 91 and six octets that mean nothing`() {
    #expect(Opening.socks4.refusal == [0, 0x5b, 0, 0, 0, 0, 0, 0])
  }

  @Test func `SOCKS5 is refused with no acceptable method`() {
    #expect(Opening.socks5.refusal == [5, 0xff])
  }

  @Test func `A1: what speaks no known protocol is told nothing`() {
    #expect(Opening.unknown.refusal.isEmpty)
  }
}
