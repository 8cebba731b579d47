import Addresses
import TLS
import TLSPeer
import Testing

/// A session within a session: the way to a second peer through a first.
@Suite struct NestedTests {
  private struct Way {
    let line: Line
    let outer: TLSSession
    let first: TLSServer
    let inner: TLSSession
    let second: TLSServer

    init(innerTrust: TLSContext.Trust? = nil) throws {
      let call = try Call()
      let certificate = Certificate(for: "DNS:second.test")
      let context = try TLSContext(TLSContext.Demands(trust: innerTrust ?? .authorities(certificate.pem)))
      line = call.line
      outer = call.client
      first = call.server
      second = TLSServer(certificate)
      inner = try TLSSession(
        context, to: .name(try DomainName("second.test")), over: line.near, within: outer)
    }

    /// Brings bytes across until nothing moves any more; the first peer passes on what it gets.
    func exchange(atMost limit: Int = 1 << 20) {
      while true {
        let received = line.taken(atMost: limit)
        first.take(received)
        second.take(first.read())
        let answer = second.give()
        if !answer.isEmpty { first.write(answer) }
        let sent = line.give(first.give())
        if received.isEmpty, sent == 0 { return }
      }
    }

    func establish() throws {
      while case .awaits = try inner.handshake() { exchange() }
      exchange()
    }
  }

  @Test func `bytes pass both, and each end is told`() throws {
    let way = try Way()
    try way.establish()
    #expect(try way.inner.write(pattern(60_000)) == .moved(60_000))
    way.exchange()
    #expect(way.second.read() == pattern(60_000))
    way.second.write(pattern(50_000))
    way.exchange()
    var received: [UInt8] = []
    while let bytes = try way.inner.read() { received += bytes }
    #expect(received == pattern(50_000))

    #expect(way.inner.end() == .moved(0))
    way.exchange()
    #expect(way.second.read() == [])
    #expect(way.second.hasEnded)
    #expect(way.first.hasEnded)
    way.second.write([1])
    way.second.end()
    way.exchange()
    #expect(try way.inner.read() == [1])
    #expect(try way.inner.read() == [])
  }

  @Test func `what is held up on the way goes on, whole and in order`() throws {
    let way = try Way()
    try way.establish()
    let sent = pattern(2 << 20)
    var written = 0
    var received: [UInt8] = []
    while received.count < sent.count {
      if written < sent.count, case .moved(let count) = try way.inner.write(sent[written...].prefix(65_536)) {
        written += count
      }
      way.first.take(way.line.taken(atMost: 30_000))
      way.second.take(way.first.read())
      received += way.second.read()
    }
    #expect(received == sent)
  }

  @Test func `a failure is told of the session in which it is`() throws {
    let refused = try Way(innerTrust: .system)
    #expect(throws: TLSFailure.certificate(.selfSigned)) { try refused.establish() }
    #expect(refused.outer.failure == nil)
    // And the peer is told why, through the first.
    refused.exchange()
    #expect(refused.second.hasFailed)
    #expect(!refused.first.hasFailed)
  }

  @Test func `an end of the outer session cuts the inner one`() throws {
    let way = try Way()
    try way.establish()
    way.second.write([1])
    way.exchange()
    way.first.end()
    way.line.give(way.first.give())
    #expect(try way.inner.read() == [1])
    #expect(throws: TLSFailure.truncated) { try way.inner.read() }
  }

  @Test func `a failure of the outer session is the inner one's too`() throws {
    let way = try Way()
    try way.establish()
    way.line.give([23, 3, 3, 0, 32] + [UInt8](repeating: 7, count: 32))
    do throws(TLSFailure) {
      _ = try way.inner.read()
      Issue.record("what the outer session refuses was read")
    } catch {
      guard case .violation = error else {
        Issue.record("\(error)")
        return
      }
    }
  }
}
