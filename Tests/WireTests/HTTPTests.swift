import Addresses
import Testing

@testable import Wire

@Suite struct HTTPRequestTests {
  typealias Request = HTTP.Request

  private func request(to destination: String, _ user: String? = nil, _ password: String = "") throws
    -> Request
  {
    let credentials = try user.map {
      try #require(HTTP.BasicCredentials(username: ascii($0), password: ascii(password)))
    }
    return Request(connectingTo: try #require(Endpoint(destination)), credentials: credentials)
  }

  // MARK: Reading

  @Test func `K1: a request ends with its empty line`() throws {
    let bytes = ascii("CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n")
    let request = try request(to: "example.com:443")
    try expect(bytes, parseAs: request)
    #expect(request.bytes == bytes)
  }

  @Test(
    arguments: [
      "CONNECT example.com:443 HTTP/1.1\n\n",
      "CONNECT example.com:443 HTTP/1.1\r\n\n",
      "CONNECT example.com:443 HTTP/1.1\n\r\n",
      "CONNECT  example.com:443\tHTTP/1.1 \r\n\r\n",
      "CONNECT example.com:443 HTTP/1.1\r\nHost:other:1\r\nhost: third\r\n\r\n",
      "CONNECT example.com:443 HTTP/1.1\r\nX:\r\nY: \t \r\nZ: a: b\t\r\n\r\n",
      "CONNECT example.com:443 HTTP/1.1\r\nX: a\r\n  b\r\n\tc\r\n\r\n",
      "CONNECT example.com:443 HTTP/1.1\r\nContent-Length: 10\r\nTransfer-Encoding: chunked\r\n\r\n",
      "CONNECT example.com:443 HTTP/1.1\r\nUser-Agent: caf\u{e9}\r\n\r\n",
      "\r\nCONNECT example.com:443 HTTP/1.1\r\n\r\n", "\nCONNECT example.com:443 HTTP/1.1\n\n",
      "\r\n\n\r\nCONNECT example.com:443 HTTP/1.1\r\n\r\n",
    ])
  func `K2: every style is the same request`(text: String) throws {
    try expect(ascii(text), parseAs: try request(to: "example.com:443"))
  }

  @Test(
    arguments: [
      "CONNECT\r\n\r\n", "\rCONNECT a:1 HTTP/1.1\r\n\r\n", " \r\nCONNECT a:1 HTTP/1.1\r\n\r\n",
      "CONNECT a:1\r\n\r\n", "CONNECT a:1 HTTP/1.1 x\r\n\r\n",
      "CONNECT a:1 HTTP/1\r\n\r\n", "CONNECT a:1 HTTP/11.1\r\n\r\n", "CONNECT a:1 http/1.1\r\n\r\n",
      "CONNECT a:1 HTTP/x.y\r\n\r\n", "CONNECT a:1\u{0} HTTP/1.1\r\n\r\n", "CONNECT ä:1 HTTP/1.1\r\n\r\n",
      "CONN(ECT a:1 HTTP/1.1\r\n\r\n", "CONNECT a:1\rHTTP/1.1\r\n\r\n",
      "CONNECT a:1 HTTP/1.1\r\nno colon\r\n\r\n", "CONNECT a:1 HTTP/1.1\r\n: no name\r\n\r\n",
      "CONNECT a:1 HTTP/1.1\r\nHost : a\r\n\r\n", "CONNECT a:1 HTTP/1.1\r\n folded: from nothing\r\n\r\n",
      "CONNECT a:1 HTTP/1.1\r\nX: a\rY: b\r\n\r\n", "CONNECT a:1 HTTP/1.1\r\nX: a\u{0}\r\n\r\n",
      "CONNECT a:1 HTTP/1.1\r\nX: a\u{1b}[2J\r\n\r\n",
      "CONNECT a:1 HTTP/1.1\r\nProxy-Authorization: Basic YTpi\r\nProxy-Authorization: Basic YTpi\r\n\r\n",
    ])
  func `K2: what no client writes is a violation when it was read to its end`(text: String) throws {
    try expect(ascii(text), of: Request.self, violate: .malformed)
  }

  @Test(
    arguments: [
      ("GET http://u:p@example.com/ HTTP/1.1\r\n\r\n", "GET", 1, 1),
      ("PRI * HTTP/2.0\r\n\r\n", "PRI", 2, 0), ("CONNECT a:1 HTTP/1.0\r\n\r\n", "CONNECT", 1, 0),
      ("connect a:1 HTTP/3.9\r\n\r\n", "connect", 3, 9),
    ] as [(String, String, UInt8, UInt8)])
  func `K3: method and version are data`(text: String, method: String, major: UInt8, minor: UInt8) throws {
    var input = ByteReader(ascii(text))
    let request = try #require(try Request(parsing: &input))
    try expect(ascii(text), parseAs: request)
    #expect(request.method.rawValue == method)
    #expect(request.version == HTTP.Version(major: major, minor: minor))
    #expect((request.method == .connect) == (method == "CONNECT"))
  }

  @Test(
    arguments: [
      ("example.com:443", "example.com:443"), ("EXAMPLE.com.:0443", "example.com:443"),
      ("192.0.2.1:80", "192.0.2.1:80"), ("[2001:db8::1]:80", "[2001:db8::1]:80"),
      ("[::ffff:192.0.2.1]:80", "192.0.2.1:80"), ("a:0", "a:0"), ("a:65535", "a:65535"),
    ])
  func `K4, T12, T14: a destination has one spelling`(target: String, destination: String) throws {
    var input = ByteReader(ascii("CONNECT \(target) HTTP/1.1\r\n\r\n"))
    #expect(try Request(parsing: &input)?.destination == Endpoint(destination))
  }

  @Test(
    arguments: [
      "example.com", "example.com:", ":443", ":", "example.com:http", "example.com:65536", "example.com:+1",
      "example.com:000443", "http://example.com:443", "example.com:443/", "user@example.com:443", "a:1:2",
      "2001:db8::1:80", "[192.0.2.1]:80", "[::1%lo]:80", "[::1]", "[]:80", "[a]:80", "127.1:80",
      "0x7f000001:80", "2130706433:80", "127.0.0.01:80", "a..b:80", "*:80", "a%00:80", "/",
    ])
  func `K4, T13, T17: what is no host and port is no destination`(target: String) throws {
    var input = ByteReader(ascii("CONNECT \(target) HTTP/1.1\r\n\r\n"))
    let request = try #require(try Request(parsing: &input))
    #expect(request.destination == nil)
  }

  @Test func `K5, T36: a head has at most 16 KiB, and no more are waited for`() throws {
    let start = "CONNECT example.com:443 HTTP/1.1\r\nX: "
    let longest = start + String(repeating: "x", count: 16_384 - start.utf8.count - 4) + "\r\n\r\n"
    var input = ByteReader(ascii(longest))
    #expect(try Request(parsing: &input) == (try request(to: "example.com:443")))
    #expect(input.remaining.isEmpty)
    for endless in [
      ascii(longest.replacing("\r\n\r\n", with: "x\r\n\r\n")), Array(repeating: 0x43, count: 16_384),
      Array(repeating: UInt8(ascii: "\n"), count: 16_384), ascii(String(repeating: "\r\n", count: 8192)),
    ] {
      input = ByteReader(Array(endless.prefix(16_383)))
      #expect(try Request(parsing: &input) == nil)
      input = ByteReader(endless)
      #expect(throws: HTTP.Violation.tooLong) { try Request(parsing: &input) }
    }
  }

  @Test func `K5: a request line has at most 4096 octets`() throws {
    let line = "CONNECT \(String(repeating: "a", count: 4080)) HTTP/1.1"
    #expect(line.utf8.count == 4097)
    var input = ByteReader(ascii(line + "\r\n\r\n"))
    #expect(throws: HTTP.Violation.tooLong) { try Request(parsing: &input) }
    let shorter = "CONNECT \(String(repeating: "a", count: 4079)) HTTP/1.1\r\n\r\n"
    input = ByteReader(ascii(shorter))
    #expect(try Request(parsing: &input)?.target.utf8.count == 4079)
  }

  // MARK: Credentials

  @Test(
    arguments: [
      ("Basic YWxpY2U6c2VjcmV0", "alice", "secret"), ("basic  YWxpY2U6c2VjcmV0", "alice", "secret"),
      ("BASIC\tYWxpY2U6", "alice", ""), ("Basic Og==", "", ""), ("Basic Og", "", ""),
      ("Basic YTpiOmM=", "a", "b:c"), ("Basic YTpiOmM", "a", "b:c"),
    ])
  func `K6: the first colon ends the name`(value: String, user: String, password: String) throws {
    try expect(
      ascii("CONNECT example.com:443 HTTP/1.1\r\nPROXY-authorization:\(value)\r\n\r\n"),
      parseAs: try request(to: "example.com:443", user, password))
  }

  @Test(
    arguments: [
      "", "Basic", "Basic ", "Basic !!!!", "Basic YQ==", "Basic YTpi=", "Basic YTpiOg=", "Basic Y", "Basic =",
      "Basic YTpi YTpi", "Bearer YTpi", "Negotiate YTpi", "Digest username=\"a\"", "YTpi", "Basic YT-_",
    ])
  func `K6: what is not Basic is not there`(value: String) throws {
    try expect(
      ascii("CONNECT example.com:443 HTTP/1.1\r\nProxy-Authorization: \(value)\r\n\r\n"),
      parseAs: try request(to: "example.com:443"))
  }

  @Test func `K6, B4: a name and a password are octets, and a client's at most 255 of each`() throws {
    let octets = (0...255).map { UInt8($0) }.filter { $0 != UInt8(ascii: ":") }
    let credentials = try #require(HTTP.BasicCredentials(username: octets, password: octets))
    let request = Request(connectingTo: try #require(Endpoint("a:1")), credentials: credentials)
    try expect(request.bytes, parseAs: request)
    #expect(HTTP.BasicCredentials(username: ascii("a:b"), password: []) == nil)
    let long = Base64.encode(Array(repeating: 0x61, count: 256) + ascii(":x"))
    try expect(
      ascii("CONNECT a:1 HTTP/1.1\r\nProxy-Authorization: Basic ") + long + ascii("\r\n\r\n"),
      parseAs: try self.request(to: "a:1"))
  }

  @Test func `J9: towards a proxy they have up to 8192 octets each`() throws {
    let octets = Array(repeating: UInt8(ascii: "x"), count: 8192)
    let credentials = try #require(HTTP.BasicCredentials(username: octets, password: octets))
    let request = Request(connectingTo: try #require(Endpoint("a:1")), credentials: credentials)
    #expect(request.bytes.contains(Base64.encode(octets + [UInt8(ascii: ":")] + octets)))
    #expect(HTTP.BasicCredentials(username: octets + [0], password: octets) == nil)
    #expect(HTTP.BasicCredentials(username: octets, password: octets + [0]) == nil)
  }

  @Test func `B9: however they are printed, no Basic password shows`() throws {
    let request = try request(to: "a:1", "alice", "s3cret")
    var dumped = ""
    dump(request, to: &dumped)
    for text in ["\(request)", "\(request.credentials as Any)", String(reflecting: request), dumped] {
      #expect(
        !text.contains("s3cret")
          && !text.contains(String(decoding: Base64.encode(ascii("s3cret")), as: UTF8.self)))
    }
  }

  @Test(
    arguments: [
      ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
      ("foobar", "Zm9vYmFy"),
    ])
  func `base 64 is that of RFC 4648`(text: String, code: String) {
    #expect(Base64.encode(ascii(text)) == ascii(code))
    #expect(Base64.decode(ascii(code)[...]) == ascii(text))
    #expect(Base64.decode(ascii(code).filter { $0 != UInt8(ascii: "=") }[...]) == ascii(text))
  }

  // MARK: Writing

  @Test func `J9: a request to a proxy names destination, host and user, and no more`() throws {
    #expect(
      try request(to: "[2001:db8::1]:443", "Aladdin", "open sesame").bytes
        == ascii(
          "CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: [2001:db8::1]:443\r\n"
            + "Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n"))
  }

  @Test func `J9: field lines are written behind the others, in their order`() throws {
    let request = Request(
      connectingTo: try #require(Endpoint("a:1")),
      fields: [try HTTP.Field("X-B", "1 2"), try HTTP.Field("a", "")])
    #expect(request.bytes == ascii("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nX-B: 1 2\r\na: \r\n\r\n"))
  }

  @Test(
    arguments: [
      ("", "x", .name), ("a b", "x", .name), ("a:", "x", .name), ("a\r\nb", "x", .name), ("ä", "x", .name),
      ("a\0", "x", .name), ("Host", "x", .reserved), ("hOST", "x", .reserved),
      ("Proxy-Authorization", "x", .reserved), ("Content-Length", "0", .reserved),
      ("transfer-encoding", "chunked", .reserved), ("Connection", "close", .reserved),
      ("Upgrade", "h2c", .reserved), ("Expect", "100-continue", .reserved), ("a", "x\r\ny", .value),
      ("a", "x\n", .value), ("a", "x\0", .value), ("a", " x", .value), ("a", "x ", .value),
      ("a", "x\ty", .value), ("a", "ä", .value), ("a", "\u{7f}", .value),
    ] as [(String, String, HTTP.Field.Violation)])
  func `J9: what could make another request of it is no field`(
    name: String, value: String, violation: HTTP.Field.Violation
  ) {
    #expect(throws: violation) { try HTTP.Field(name, value) }
  }

  @Test func `B9: however it is printed, no field's value shows`() throws {
    let field = try HTTP.Field("X-Token", "s3cret")
    var dumped = ""
    dump([field], to: &dumped)
    for text in ["\(field)", String(reflecting: field), dumped] { #expect(!text.contains("s3cret")) }
  }
}

@Suite struct HTTPResponseTests {
  typealias Response = HTTP.Response

  @Test func `K7: success is a status line and an empty line`() throws {
    let response = Response(.ok)
    #expect(response.bytes == ascii("HTTP/1.1 200 Connection established\r\n\r\n"))
    try expect(response.bytes, parseAs: response)
  }

  @Test(
    arguments: [
      ("HTTP/1.0 200 Connection established\r\nProxy-agent: x\r\n\r\n", 200), ("HTTP/1.1 200\n\n", 200),
      ("HTTP/1.1 200 \r\n\r\n", 200), ("HTTP/1.1  204  OK\r\n\r\n", 204), ("HTTP/2 299 x\n\r\n", 299),
      ("HTTP/1.1 200 OK\r\nno colon\r\n folded\r\nX: \u{0}\u{1b}\r\n\r\n", 200),
      ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 200),
      ("HTTP/1.1 100 Continue\r\n\r\n", 100), ("HTTP/1.1 103\nLink: x\n\n", 103),
      // A refusal is complete with its status line.
      ("HTTP/1.1 403 Forbidden\r\n", 403), ("HTTP/1.0 407\n", 407), ("HTTP/1.1 101 x\r\n", 101),
      ("HTTP/1.1 502 Bad\rGateway\r\n", 502), ("HTTP/1.1 999 \u{e9}\r\n", 999),
    ] as [(String, UInt16)])
  func `J9: every style of a response is read`(text: String, status: UInt16) throws {
    try expect(ascii(text), parseAs: Response(HTTP.Status(rawValue: status)))
  }

  @Test(
    arguments: [
      "HTTP/1.1\r\n", "HTTP/1.1 20\r\n", "HTTP/1.1 2000\r\n", "HTTP/1.1 000\r\n", "HTTP/1.1 OK 200\r\n",
      "HTTP/ 200 OK\r\n", "HTTP/x 200 OK\r\n", "HTTP/1.1 099 x\r\n", "HTTP/1.1 200Connected\r\n",
    ])
  func `J10, T30: a status line without a status is a violation`(text: String) throws {
    try expect(ascii(text), of: Response.self, violate: .malformed)
  }

  @Test(arguments: [
    [5], [0], ascii("\r"), ascii("<"), ascii("HTTP1"), ascii("http"), ascii("ICY"), ascii("HTTPS"),
  ])
  func `J10, T30: what is not HTTP is known with the octet that shows it`(bytes: [UInt8]) throws {
    let shown = zip(bytes, ascii("HTTP/")).prefix { $0 == $1 }.count + 1
    try expect(Array(bytes.prefix(shown)), of: Response.self, violate: .notHTTP)
  }

  @Test func `J10, T30: a flood of fields is a violation after 16 KiB`() throws {
    let fields = ascii("HTTP/1.1 200 OK\r\n") + Array(repeating: ascii("X: y\r\n"), count: 3000).joined()
    for flood in [fields, ascii("HTTP/1.1 403 ") + Array(repeating: 0x78, count: 16_384)] {
      var input = ByteReader(Array(flood.prefix(16_383)))
      #expect(try Response(parsing: &input) == nil)
      input = ByteReader(flood)
      #expect(throws: HTTP.Violation.tooLong) { try Response(parsing: &input) }
    }
  }

  @Test func `codes are told apart`() {
    for code in UInt16(100)...999 {
      let status = HTTP.Status(rawValue: code)
      #expect(status.isSuccess == (code / 100 == 2))
      #expect(status.isInterim == (code / 100 == 1 && code != 101))
    }
    #expect("\(HTTP.Status.badGateway)" == "502 (Bad Gateway)")
    #expect("\(HTTP.Status(rawValue: 418))" == "418")
  }

  @Test func `K7: a refusal is whole, closes, and says in words what failed`() throws {
    let refusal = HTTP.Refusal(.forbidden, "Not here.")
    #expect(
      refusal.bytes
        == ascii(
          "HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nContent-Length: 11\r\nConnection: close\r\n\r\n"
            + "Not here.\r\n"))
    #expect(refusal.bytes == refusal.head + ascii("Not here.\r\n"))
    var input = ByteReader(refusal.bytes)
    #expect(try Response(parsing: &input) == Response(.forbidden))
  }

  @Test func `K6: only 407 carries a challenge`() {
    let challenge = "\r\nProxy-Authenticate: Basic realm=\"sockeye\"\r\n"
    for status in [HTTP.Status.proxyAuthenticationRequired, .forbidden, .badGateway] {
      let head = String(decoding: HTTP.Refusal(status, "x").head, as: UTF8.self)
      #expect(head.contains(challenge) == (status == .proxyAuthenticationRequired))
    }
  }
}
