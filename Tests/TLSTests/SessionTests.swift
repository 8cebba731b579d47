import Addresses
import TLS
import TLSPeer
import Testing

@Suite struct SessionTests {
  @Test(arguments: [TLSServer.Version.tls12, .tls13])
  func `what one end writes the other reads, and then the end`(version: TLSServer.Version) throws {
    let call = try Call(version: version)
    #expect(try call.client.write(pattern(100_000)) == .moved(100_000))
    call.line.exchange(with: call.server)
    #expect(call.server.read() == pattern(100_000))
    call.server.write(pattern(100_000))
    var received: [UInt8] = []
    while received.count < 100_000 {
      call.line.exchange(with: call.server)
      received += try call.client.read() ?? []
    }
    #expect(received == pattern(100_000))

    // The end of one direction leaves the other open.
    #expect(call.client.end() == .moved(0))
    call.line.exchange(with: call.server)
    #expect(call.server.read() == [])
    #expect(call.server.hasEnded)
    call.server.write([1, 2, 3])
    call.server.end()
    call.line.exchange(with: call.server)
    #expect(try call.client.read() == [1, 2, 3])
    #expect(try call.client.read() == [])
    #expect(try call.client.read() == [])
    #expect(call.client.failure == nil)
  }

  @Test func `who has heard the end may go on writing`() throws {
    let call = try Call()
    call.server.end()
    call.line.exchange(with: call.server)
    #expect(try call.client.read() == [])
    #expect(try call.client.write([1, 2, 3]) == .moved(3))
    call.line.exchange(with: call.server)
    #expect(call.server.read() == [1, 2, 3])
  }

  @Test func `a read that leaves nothing behind says so, and one that may have left something does not`()
    throws
  {
    let call = try Call()
    #expect(!call.client.isDrained)
    #expect(try call.client.read() == nil)
    #expect(call.client.isDrained)
    call.server.write(pattern(100))
    call.line.exchange(with: call.server)
    #expect(try call.client.read(atMost: 60) == Array(pattern(100).prefix(60)))
    #expect(!call.client.isDrained)
    #expect(try call.client.read() == Array(pattern(100).suffix(40)))
    #expect(call.client.isDrained)
    // An end that came along, behind the bytes.
    call.server.write([1])
    call.server.end()
    call.line.exchange(with: call.server)
    #expect(try call.client.read() == [1])
    #expect(!call.client.isDrained)
    #expect(try call.client.read() == [])
  }

  @Test func `bytes that arrive one by one are read when their record is whole`() throws {
    let certificate = Certificate(for: "DNS:proxy.test")
    let server = TLSServer(certificate)
    let line = try Line()
    let context = try TLSContext(TLSContext.Demands(trust: .authorities(certificate.pem)))
    let client = try TLSSession(context, to: .name(proxyName), over: line.near)
    var isEstablished = false
    while !isEstablished {
      if case .moved = try client.handshake() { isEstablished = true }
      server.take(line.taken())
      for octet in server.give() {
        line.give([octet])
        if !isEstablished, case .moved = try client.handshake() { isEstablished = true }
      }
    }
    server.take(line.taken())
    server.write(pattern(20_000))
    server.end()
    var received: [UInt8] = []
    for octet in server.give() {
      line.give([octet])
      if let bytes = try client.read() { received += bytes }
    }
    #expect(received == pattern(20_000))
    #expect(try client.read() == [])
  }
}
