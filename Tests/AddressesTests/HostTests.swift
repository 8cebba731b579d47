import Addresses
import Testing

private let label62 = String(repeating: "a", count: 62)
private let name253 = Array(repeating: label62, count: 4).joined(separator: ".") + ".b"

@Suite struct DomainNameTests {
  @Test(
    arguments: [
      ("example.com", "example.com"), ("EXAMPLE.Com", "example.com"), ("example.com.", "example.com"),
      ("localhost", "localhost"), ("_sip._tcp.test", "_sip._tcp.test"), ("a-b", "a-b"), ("3com", "3com"),
      ("a", "a"),
      ("1.2.3.4.test", "1.2.3.4.test"), ("0x7f.test", "0x7f.test"), ("0x7g", "0x7g"), ("127.1a", "127.1a"),
      ("xn--bcher-kva.test", "xn--bcher-kva.test"), ("x0", "x0"), ("0xf.0xfg", "0xf.0xfg"),
    ])
  func `C9, T17: a name has one spelling`(text: String, name: String) throws {
    #expect(try DomainName(text).text == name)
    #expect(try DomainName(text) == DomainName(name))
  }

  @Test(
    arguments: [
      "", ".", "..", "a..b", ".a", "a..", "a b", " a", "a ", "a\n", "a\0", "a\0b", "a:1", "a/b", "a\\b",
      "a@b", "a%b",
      "a*b", "*", "a[", "a`", "a{", "a\u{7f}", "bücher", "a\u{3002}b", "ａ", "a,b", "a\"b",
    ])
  func `C5, C10: what is no name is malformed`(text: String) {
    #expect(throws: DomainName.Violation.malformed) { try DomainName(text) }
  }

  @Test(arguments: [
    "1", "127.1", "127.0.1", "0x7f.1", "0x7f000001", "0X7F000001", "2130706433", "017700000001", "0177.0.0.1",
    "127.0.0.01", "1.2.3", "1.2.3.", "4294967295", "a.1", "a.0x", "0x", "a.0xff.", "192.0.2.1", "192.0.2.1.",
    "00",
  ])
  func `C8, T13: what inet_aton would read as a number is malformed`(text: String) {
    #expect(throws: DomainName.Violation.malformed) { try DomainName(text) }
  }

  @Test func `every octet but letters, digits, dot, hyphen and underscore is malformed`() {
    for octet in UInt8.min ... .max {
      let isLegal =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_".utf8.contains(octet)
      #expect(((try? DomainName([0x61, octet, 0x61])) != nil) == isLegal, "octet \(octet)")
    }
  }

  @Test func `C6: 253 octets are a name, 254 are too long`() throws {
    #expect(try DomainName(name253).text == name253)
    #expect(try DomainName(name253 + ".").text == name253)
    #expect(throws: DomainName.Violation.tooLong) { try DomainName(name253 + "c") }
    #expect(throws: DomainName.Violation.tooLong) { try DomainName(name253 + "c.") }
  }

  @Test func `C6: a label of 63 octets is legal, one of 64 too long, wherever it stands`() throws {
    let label = label62 + "a"
    for name in [label, label + ".test", "a." + label + ".test", "a." + label, "a." + label + "."] {
      #expect(throws: Never.self) { try DomainName(name) }
      let longer = name.replacing(label, with: label + "a")
      #expect(throws: DomainName.Violation.tooLong) { try DomainName(longer) }
    }
  }

  @Test func `a name both too long and malformed is malformed`() {
    #expect(throws: DomainName.Violation.malformed) {
      try DomainName(String(repeating: "a", count: 300) + "\0")
    }
    #expect(throws: DomainName.Violation.malformed) { try DomainName(String(repeating: "1", count: 300)) }
  }
}

@Suite struct HostTests {
  private func host(_ text: String) throws(DomainName.Violation) -> Host {
    try Host(nameField: Array(text.utf8))
  }

  @Test(
    arguments: [
      ("10.77.0.1", "10.77.0.1"), ("::1", "::1"), ("2001:DB8:0::1", "2001:db8::1"),
      ("::ffff:10.77.0.1", "10.77.0.1"),
      ("0:0:0:0:0:FFFF:0A4D:0001", "10.77.0.1"), ("[::1]", "::1"), ("[2001:DB8:0::1]", "2001:db8::1"),
      ("[::ffff:10.77.0.1]", "10.77.0.1"),
    ])
  func `C7, T12, T14: an address literal in a name field is the address, unmapped`(
    text: String, address: String
  ) throws {
    #expect(try host(text) == .address(try #require(IPAddress(address))))
  }

  @Test(arguments: [
    "[::1%lo]", "::1%lo", "[10.77.0.1]", "[[::1]]", "[::1", "::1]", "[]", "[a]", "10.77.0.1.", "127.1",
    "0x0a4d0001", "172818433", "::1.",
    "::ffff:127.1",
  ])
  func `T12, T13: what only resembles an address is malformed`(text: String) {
    #expect(throws: DomainName.Violation.malformed) { try host(text) }
  }

  @Test func `T11: a NUL does not end a name`() {
    #expect(throws: DomainName.Violation.malformed) { try host("good.test\0.evil.test") }
    #expect(throws: DomainName.Violation.malformed) { try host("10.77.0.1\0") }
  }

  @Test func `every other text is a name`() throws {
    #expect(try host("Example.COM.") == .name(try DomainName("example.com")))
    #expect(try host("example.com").name?.text == "example.com")
    #expect(try host("example.com").address == nil)
  }
}

@Suite struct EndpointTests {
  @Test(
    arguments: [
      ("example.com:443", "example.com:443"), ("Example.com.:0", "example.com:0"),
      ("192.0.2.1:65535", "192.0.2.1:65535"),
      ("[::1]:80", "[::1]:80"), ("[2001:DB8:0::1]:80", "[2001:db8::1]:80"),
      ("[::ffff:10.0.0.1]:80", "10.0.0.1:80"),
      ("a:00080", "a:80"),
    ])
  func `host and port, in one notation`(text: String, canonical: String) throws {
    let endpoint = try #require(Endpoint(text))
    #expect(endpoint.description == canonical)
    #expect(Endpoint(canonical) == endpoint)
  }

  @Test(arguments: [
    "", ":", ":80", "example.com", "example.com:", "example.com:65536", "example.com:000080",
    "example.com:-1",
    "example.com:+1", "example.com: 1", "example.com:80a", "example.com:\u{0661}", "::1:80", "[::1]",
    "[::1]80",
    "[192.0.2.1]:80", "[example.com]:80", "[]:80", "[:80", "]:80", "[::1:80", "::1]:80", "[[::1]]:80",
    "127.1:80",
    "a:80:80", "[::1%lo]:80", "http://a:80",
  ])
  func `what is no endpoint is refused`(text: String) {
    #expect(Endpoint(text) == nil)
  }

  @Test func `a socket address is written as its endpoint is`() {
    #expect(SocketAddress(.loopback4, port: 80).description == "127.0.0.1:80")
    #expect(SocketAddress(.loopback6, port: 80).description == "[::1]:80")
  }
}
