import Addresses
import TLS
import TLSPeer
import Testing

/// Peers that would keep the thread busy: with messages that carry nothing, and with arithmetic.
@Suite struct FloodTests {
  // MARK: Messages without data

  @Test(arguments: [false, true])
  func `a few tickets or new keys in a row are taken, and many end the session`(areKeys: Bool) throws {
    let call = try Call()
    func send(_ count: Int) {
      for _ in 0..<count { if areKeys { call.server.updateKeys() } else { call.server.sendTicket() } }
    }
    send(10)
    call.server.write([1])
    call.line.give(call.server.give())
    #expect(try call.client.read() == [1])
    // Data between them begins the count anew.
    for _ in 0..<10 {
      send(10)
      call.server.write([2])
    }
    call.line.give(call.server.give())
    var received: [UInt8] = []
    for _ in 0..<100 where received.count < 10 {
      received += try call.client.read() ?? []
      // Its answers to new keys.
      _ = call.line.taken()
    }
    #expect(received == [UInt8](repeating: 2, count: 10))

    // More than one look at the socket brings.
    send(1000)
    call.line.give(call.server.give())
    #expect(throws: TLSFailure.flood) {
      for _ in 0..<100 {
        _ = try call.client.read()
        _ = call.line.taken()
      }
    }
    #expect(call.client.failure == .flood)
    #expect(throws: TLSFailure.flood) { try call.client.write([1]) }
  }

  @Test func `a peer that asks for another handshake without end gets none`() throws {
    let line = try Line()
    let client = try TLSSession(try TLSContext(), to: .name(proxyName), over: line.near)
    #expect(try client.handshake() == .awaits(.readable))
    // HelloRequest (RFC 5246 §7.4.1.1), which has to be ignored during a handshake.
    let requests = [22, 3, 3, 0x3E, 0x80] + [UInt8](repeating: 0, count: 16_000)
    for _ in 0..<4 { line.give(requests) }
    #expect(throws: TLSFailure.flood) { try client.handshake() }
  }

  @Test func `a read stops after a turn's work, and says that there is more`() throws {
    let call = try Call()
    for _ in 0..<500 {
      call.server.sendTicket()
      call.server.write([7])
    }
    try expectTurns(of: call.client, over: call, atLeast: 3)
  }

  // Their data is what the inner session reads: its turn is the outer one's.
  @Test func `a read through two sessions is no longer`() throws {
    let call = try Call()
    let inner = try InnerCall(call)
    for _ in 0..<500 {
      call.server.sendTicket()
      inner.server.write([7])
      call.server.write(inner.server.give())
    }
    try expectTurns(of: inner.client, over: call, atLeast: 3)
  }

  /// Reads five hundred octets that the call's server has to give.
  private func expectTurns(of client: TLSSession, over call: Call, atLeast least: Int) throws {
    let bytes = call.server.give()
    try #require(call.line.give(bytes) == bytes.count)
    var received = 0
    var turns = 0
    while received < 500 {
      received += try client.read()?.count ?? 0
      try #require(received == 500 || !client.isDrained)
      turns += 1
    }
    #expect(turns >= least)
  }

  // MARK: Arithmetic

  // The server chooses the group, of up to 10,000 bits, each of which takes more than the one before.
  @Test func `no group over a finite field is offered, in any version`() throws {
    let line = try Line()
    let client = try TLSSession(try TLSContext(), to: .name(proxyName), over: line.near)
    #expect(try client.handshake() == .awaits(.readable))
    let hello = try #require(ClientHello(line.taken()))
    // DHE's suites (RFC 5246 and 5288, 7905), and the ffdhe groups (RFC 7919).
    let finite: Set<Int> = [0x0033, 0x0039, 0x0067, 0x006B, 0x009E, 0x009F, 0xCCAA]
    #expect(finite.isDisjoint(with: hello.suites))
    #expect(hello.groups.allSatisfy { !(0x0100...0x01FF).contains($0) })
    // X25519 and ECDHE_RSA_WITH_AES_128_GCM_SHA256, which everybody has.
    #expect(hello.groups.contains(0x001D) && hello.suites.contains(0xC02F))
  }

  @Test func `a key of more than 8_192 bits is refused before it is used`() throws {
    let large = Certificate(for: "DNS:proxy.test", rsaBits: 8208)
    for trust in [TLSContext.Trust.authorities(large.pem), .anything] {
      #expect(throws: TLSFailure.certificate(.keyTooLarge)) {
        try Call(TLSContext.Demands(trust: trust), TLSServer(large))
      }
    }
    let usual = Certificate(for: "DNS:proxy.test", rsaBits: 2048)
    _ = try Call(TLSContext.Demands(trust: .authorities(usual.pem)), TLSServer(usual))
  }
}

/// What a client offers (RFC 8446 §4.1.2).
private struct ClientHello {
  private(set) var suites: [Int] = []
  private(set) var groups: [Int] = []

  init?(_ record: [UInt8]) {
    var rest = record.dropFirst(5 + 4 + 2 + 32)
    func take(_ count: Int) -> ArraySlice<UInt8> {
      defer { rest = rest.dropFirst(count) }
      return rest.prefix(count)
    }
    func number(_ bytes: ArraySlice<UInt8>) -> Int { bytes.reduce(0) { $0 << 8 | Int($1) } }
    func numbers(_ bytes: ArraySlice<UInt8>) -> [Int] {
      stride(from: bytes.startIndex, to: bytes.endIndex - 1, by: 2).map { number(bytes[$0...($0 + 1)]) }
    }
    _ = take(number(take(1)))
    suites = numbers(take(number(take(2))))
    _ = take(number(take(1)))
    _ = take(2)
    while !rest.isEmpty {
      let kind = number(take(2))
      let content = take(number(take(2)))
      if kind == 10 { groups = numbers(content.dropFirst(2)) }
    }
    if suites.isEmpty || groups.isEmpty { return nil }
  }
}
