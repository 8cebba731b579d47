import Testing

@testable import Wire

@Suite struct GreetingTests {
  @Test func `A2: a greeting ends with its last method`() throws {
    let both = SOCKS5.Greeting(methods: [.noAuthentication, .usernamePassword])
    try expect([5, 2, 0, 2], parseAs: both)
    #expect(both.bytes == [5, 2, 0, 2])
  }

  @Test(arguments: [0, 1, 4, 6, 0x47, 0xff] as [UInt8])
  func `A1: a greeting of another version is a violation`(version: UInt8) throws {
    try expect([version], of: SOCKS5.Greeting.self, violate: .version(version))
  }

  @Test func `A3: a greeting may offer no method at all`() throws {
    try expect([5, 0], parseAs: SOCKS5.Greeting(methods: []))
  }

  @Test func `A8: 255 methods, unknown ones, duplicates and FF are data`() throws {
    let methods = (0...254).map { SOCKS5.Method(rawValue: 255 - UInt8($0 % 100)) }
    let greeting = SOCKS5.Greeting(methods: methods)
    try expect([5, 255] + methods.map(\.rawValue), parseAs: greeting)
    #expect(greeting.bytes == [5, 255] + methods.map(\.rawValue))
  }

  @Test func `A10: greeting, credentials and request may come in one piece, and the rest is early data`()
    throws
  {
    let sent: [UInt8] =
      [5, 1, 2]  // greeting
      + [1, 1, 0x61, 1, 0x62]  // a/b
      + [5, 1, 0, 1, 127, 0, 0, 1, 0, 80]  // CONNECT 127.0.0.1:80
      + ascii("GET /")
    var input = ByteReader(sent)
    #expect(try SOCKS5.Greeting(parsing: &input) == SOCKS5.Greeting(methods: [.usernamePassword]))
    #expect(
      try SOCKS5.UsernamePassword(parsing: &input)
        == SOCKS5.UsernamePassword(username: [0x61], password: [0x62]))
    #expect(try SOCKS5.Request(parsing: &input)?.destination.description == "127.0.0.1:80")
    #expect(Array(input.remaining) == ascii("GET /"))
  }

  @Test(
    arguments: [
      (.noAuthentication, 0), (.gssapi, 1), (.usernamePassword, 2), (.noneAcceptable, 0xff),
      (SOCKS5.Method(rawValue: 0x80), 0x80),
    ] as [(SOCKS5.Method, UInt8)])
  func `A4, A5, A11: a selection carries any method`(method: SOCKS5.Method, octet: UInt8) throws {
    try expect([5, octet], parseAs: SOCKS5.MethodSelection(method))
    #expect(SOCKS5.MethodSelection(method).bytes == [5, octet])
  }

  @Test func `a selection of another version is a violation`() throws {
    try expect([4], of: SOCKS5.MethodSelection.self, violate: .version(4))
  }
}
