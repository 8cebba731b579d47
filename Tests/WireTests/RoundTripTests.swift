import Addresses
import Chance
import Testing

@testable import Wire

/// Messages made of random values, the same on every run: what is written is read back. Of a refusal no more is read than
/// that it is one.
@Suite struct RoundTripTests {
  @Test(arguments: seeds(200))
  func `a UDP header, whatever stands behind it`(seed: UInt64) throws {
    var random = RandomValues(seed: seed)
    let header = SOCKS5.DatagramHeader(try random.endpoint())
    var bytes: [UInt8] = []
    header.append(to: &bytes)
    let count = bytes.count
    #expect(count == header.byteCount)
    let (found, byteCount) = try SOCKS5.DatagramHeader.parse((bytes + random.octets(0...20)).span)
    #expect(found == header)
    #expect(byteCount == count)
  }

  @Test(arguments: seeds(200))
  func `SOCKS5 requests and replies`(seed: UInt64) throws {
    var random = RandomValues(seed: seed)
    let command = SOCKS5.Command(rawValue: .random(in: 0...255, using: &random))
    let request = SOCKS5.Request(command, to: try random.endpoint())
    try expect(request.bytes, parseAs: request)
    let success = SOCKS5.Reply(.succeeded, bound: try random.endpoint())
    try expect(success.bytes, parseAs: success)
    let code = SOCKS5.ReplyCode(rawValue: .random(in: 1...255, using: &random))
    let refusal = SOCKS5.Reply(code, bound: try random.endpoint())
    try expect(Array(refusal.bytes.prefix(2)), parseAs: SOCKS5.Reply(code))
  }

  @Test(arguments: seeds(200))
  func `SOCKS4 requests and replies`(seed: UInt64) throws {
    var random = RandomValues(seed: seed)
    let command = SOCKS4.Command(rawValue: .random(in: 0...255, using: &random))
    let userID = random.octets(0...255).filter { $0 != 0 }
    if let request = SOCKS4.Request(command, to: try random.endpoint(), userID: userID, as: .socks4a) {
      try expect(request.bytes, parseAs: request)
    }
    let success = SOCKS4.Reply(.granted, bound: SocketAddress(random.address(), port: 80))
    try expect(success.bytes, parseAs: success)
    let code = SOCKS4.ReplyCode(rawValue: .random(in: 0..<90, using: &random))
    try expect(Array(SOCKS4.Reply(code).bytes.prefix(2)), parseAs: SOCKS4.Reply(code))
  }
}

extension RoundTripTests {
  @Test(arguments: seeds(50))
  func `HTTP requests and responses`(seed: UInt64) throws {
    var random = RandomValues(seed: seed)
    let username = random.octets(0...255).filter { $0 != UInt8(ascii: ":") }
    let credentials = HTTP.BasicCredentials(username: username, password: random.octets(0...255))
    let request = HTTP.Request(connectingTo: try random.endpoint(), credentials: credentials)
    try expect(request.bytes, parseAs: request)
    for codes in [100...100, 102...299] as [ClosedRange<UInt16>] {
      let response = HTTP.Response(HTTP.Status(rawValue: .random(in: codes, using: &random)))
      try expect(response.bytes, parseAs: response)
    }
    let refusal = HTTP.Response(HTTP.Status(rawValue: .random(in: 300...999, using: &random)))
    try expect(Array(refusal.bytes.dropLast(2)), parseAs: refusal)
  }
}

private struct RandomValues: RandomNumberGenerator {
  private var generator: SeededGenerator

  init(seed: UInt64) { generator = SeededGenerator(seed: seed) }

  mutating func next() -> UInt64 { generator.next() }

  mutating func octets(_ counts: ClosedRange<Int>) -> [UInt8] {
    (0..<Int.random(in: counts, using: &self)).map { _ in .random(in: 0...255, using: &self) }
  }

  /// Unmapped, as addresses are once they were read; often one of 0.0.0.0/23, where SOCKS4a finds its names.
  mutating func address() -> IPAddress {
    switch Int.random(in: 0...2, using: &self) {
    case 0: .v4(.random(in: 0...511, using: &self))
    case 1: .v4(.random(in: 0 ... .max, using: &self))
    default: IPAddress.v6(.random(in: 0 ... .max, using: &self)).unmapped
    }
  }

  mutating func name() throws -> DomainName {
    let letters = Array("abcxyz0189-_".utf8)
    var labels = (0..<Int.random(in: 0...3, using: &self)).map { _ in
      (0..<Int.random(in: 1...62, using: &self)).compactMap { _ in letters.randomElement(using: &self) }
    }
    labels.append(ascii("test"))
    return try DomainName(Array(labels.joined(separator: ascii("."))))
  }

  mutating func endpoint() throws -> Endpoint {
    let port = UInt16.random(in: 0 ... .max, using: &self)
    return Bool.random(using: &self)
      ? Endpoint(address(), port: port) : Endpoint(.name(try name()), port: port)
  }
}
