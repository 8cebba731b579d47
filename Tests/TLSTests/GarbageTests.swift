import Addresses
import Chance
import TLS
import TLSPeer
import Testing

/// What is no TLS, or TLS with a wrong octet.
@Suite struct GarbageTests {
  @Test(arguments: [
    "HTTP/1.1 400 Bad Request\r\n\r\n", "\u{5}\u{0}", "SSH-2.0-OpenSSH_9.2\r\n",
    "\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}",
  ])
  func `who answers something else does not speak TLS`(answer: String) throws {
    let line = try Line()
    let client = try TLSSession(try TLSContext(), to: .name(proxyName), over: line.near)
    #expect(try client.handshake() == .awaits(.readable))
    _ = line.taken()
    line.give(Array(answer.utf8))
    line.give([UInt8](repeating: 0, count: 16))
    #expect(throws: TLSFailure.notTLS) { try client.handshake() }
  }

  // Each octet that a server says until the first bytes were relayed, and then some.
  @Test func `one wrong octet is never taken for anything`() throws {
    let certificate = Certificate(for: "DNS:proxy.test")
    let context = try TLSContext(TLSContext.Demands(trust: .authorities(certificate.pem)))
    var position = 0
    while true {
      let line = try Line()
      let client = try TLSSession(context, to: .name(proxyName), over: line.near)
      let server = TLSServer(certificate)
      var offset = 0
      var isSpoilt = false
      var received: [UInt8] = []
      var isEnded = false
      func give(_ bytes: [UInt8]) {
        var bytes = bytes
        if (offset..<offset + bytes.count).contains(position) {
          bytes[position - offset] ^= 1 << UInt8(position % 8)
          isSpoilt = true
        }
        offset += bytes.count
        line.give(bytes)
      }
      do throws(TLSFailure) {
        for _ in 0..<4 {
          if case .moved = try client.handshake() { break }
          server.take(line.taken())
          give(server.give())
        }
        server.take(line.taken())
        if server.isEstablished {
          server.write([1, 2, 3])
          server.end()
        }
        give(server.give())
        while let bytes = try client.read() {
          isEnded = bytes.isEmpty
          if isEnded { break }
          received += bytes
        }
      } catch {
        isEnded = false
      }
      if !isSpoilt { break }
      // The version in a record's head means nothing and is not protected.
      #expect(received == [1, 2, 3] || received.isEmpty && !isEnded, "octet \(position)")
      position += 1
    }
    #expect(position > 500)
  }

  @Test(arguments: [freshSeed])
  func `random octets are never taken for anything`(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    let context = try TLSContext()
    for round in 0..<500 {
      let line = try Line()
      let client = try TLSSession(context, to: .name(proxyName), over: line.near)
      _ = try client.handshake()
      var bytes = (0..<Int.random(in: 1...2000, using: &random)).map { _ in
        UInt8.random(in: 0...255, using: &random)
      }
      // Half of them look like a record of TLS.
      if round % 2 == 0 {
        bytes = [[22, 3, 3], [21, 3, 3], [20, 3, 3], [23, 3, 3]][round / 2 % 4] + bytes
      }
      line.give(bytes)
      _ = line.taken()
      line.hangUp()
      #expect(throws: TLSFailure.self) {
        while case .awaits = try client.handshake() {}
        _ = try client.read()
      }
    }
  }
}
