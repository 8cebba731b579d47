import Addresses
import Glibc
import TLS
import TLSPeer
import Testing

/// Peers that leave without a word, or refuse to go on.
@Suite struct BadEndTests {
  @Test func `an end that nobody announced is a failure, also behind bytes`() throws {
    let call = try Call()
    call.server.write([1, 2, 3])
    call.line.exchange(with: call.server)
    call.line.hangUp()
    #expect(try call.client.read() == [1, 2, 3])
    for _ in 0..<2 { #expect(throws: TLSFailure.truncated) { try call.client.read() } }
    #expect(call.client.failure == .truncated)
  }

  @Test func `a refusal behind bytes is no end`() throws {
    let call = try Call()
    call.server.write([1, 2, 3])
    // What cannot be decrypted makes the server refuse to go on.
    call.server.take([23, 3, 3, 0, 32] + [UInt8](repeating: 7, count: 32))
    _ = call.server.read()
    #expect(call.server.hasFailed)
    call.line.exchange(with: call.server)
    #expect(try call.client.read() == [1, 2, 3])
    for _ in 0..<2 { #expect(throws: TLSFailure.alert(20)) { try call.client.read() } }
    #expect(throws: TLSFailure.alert(20)) { try call.client.write([1]) }
  }

  // SIGPIPE would end this very process.
  @Test func `to write to who has gone is a failure, and no signal`() throws {
    let call = try Call()
    call.line.hangUp()
    #expect(throws: TLSFailure.system(EPIPE)) { try call.client.write([1]) }
    #expect(call.client.end() == .moved(0))
  }

  @Test(arguments: [TLSServer.Version.tls12, .tls13])
  func `to write to a peer that has ended and gone is a failure`(version: TLSServer.Version) throws {
    let call = try Call(version: version)
    call.server.end()
    call.line.exchange(with: call.server)
    #expect(try call.client.read() == [])
    call.line.hangUp()
    for _ in 0..<2 {
      #expect(throws: TLSFailure.system(EPIPE)) { try call.client.write([1]) }
    }
  }

  @Test func `a peer that ends in the middle of the handshake has cut it`() throws {
    let line = try Line()
    let client = try TLSSession(try TLSContext(), to: .name(proxyName), over: line.near)
    #expect(try client.handshake() == .awaits(.readable))
    // An alert: close_notify.
    line.give([21, 3, 3, 0, 2, 1, 0])
    #expect(throws: TLSFailure.truncated) { try client.handshake() }
  }

  @Test func `who hangs up during the handshake has cut it`() throws {
    let line = try Line()
    let client = try TLSSession(try TLSContext(), to: .name(proxyName), over: line.near)
    #expect(try client.handshake() == .awaits(.readable))
    // What lies unread there would make it a reset.
    _ = line.taken()
    line.hangUp()
    #expect(throws: TLSFailure.truncated) { try client.handshake() }
  }
}
