import Chance
import Addresses
import Glibc
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

  // MARK: Full sockets

  @Test func `what the socket does not take is taken when it is written again, from anywhere in memory`()
    throws
  {
    let call = try Call()
    let sent = pattern(4 << 20)
    var written = 0
    var received: [UInt8] = []
    var blocked = 0
    while received.count < sent.count {
      if written < sent.count {
        let rest = sent[written...].prefix(70_000)
        switch try call.client.write(rest) {
        case .moved(let count):
          written += count
          if count < rest.count { blocked += 1 }
        case .awaits(let awaited):
          #expect(awaited == .writable)
        }
      }
      // A little more than it writes, so that it is held up again and again.
      call.server.take(call.line.taken(atMost: 50_000))
      received += call.server.read()
    }
    #expect(blocked > 10)
    #expect(received == sent)
  }

  @Test func `the end waits for room as bytes do`() throws {
    let call = try Call()
    var written = 0
    while case .moved(let count) = try call.client.write(pattern(written + 16_384).suffix(16_384)) {
      written += count
    }
    // The record that was held up has to go first.
    let held = pattern(written + 16_384).suffix(16_384)
    var received: [UInt8] = []
    while received.count < written { received += drain(call) }
    guard case .moved(let count) = try call.client.write(held) else {
      Issue.record("the record was held up for ever")
      return
    }
    written += count
    // Fill it once more, up to the last octet.
    while Glibc.send(call.line.near, [0], 1, Int32(MSG_DONTWAIT)) == 1 {}
    #expect(call.client.end() == .awaits(.writable))
    #expect(call.client.writingAwaits == .writable)
  }

  private func drain(_ call: Call) -> [UInt8] {
    call.server.take(call.line.taken())
    return call.server.read()
  }

  // An answer to it has to be written by who only reads.
  @Test(arguments: [false, true])
  func `new keys are taken in the middle of everything`(isFull: Bool) throws {
    let call = try Call()
    _ = try call.client.read()
    var written: [UInt8] = []
    if isFull {
      while case .moved(let count) = try call.client.write(pattern(16_384)) {
        written += pattern(16_384).prefix(count)
      }
    }
    call.server.write([1])
    call.server.updateKeys()
    call.server.write([2])
    call.line.give(call.server.give())
    // While its own side is full, it may have to wait before it goes on to read.
    var received = try call.client.read() ?? []
    #expect(received.first == 1)
    if isFull {
      if try call.client.read() == nil {
        #expect([.readable, .writable].contains(call.client.readingAwaits))
      }
      var heard: [UInt8] = []
      for _ in 0..<64 where heard.count < written.count { heard += drain(call) }
      #expect(heard == written)
      guard case .moved(let count) = try call.client.write(pattern(16_384)) else {
        Issue.record("the record was held up for ever")
        return
      }
      heard = []
      for _ in 0..<64 where heard.count < count { heard += drain(call) }
      #expect(heard == Array(pattern(16_384).prefix(count)))
    }
    while received.count < 2, let more = try call.client.read() { received += more }
    #expect(received == [1, 2])
    // And both go on with the new ones.
    #expect(try call.client.write([3]) == .moved(1))
    #expect(drain(call) == [3])
    call.server.write([4])
    call.line.exchange(with: call.server)
    #expect(try call.client.read() == [4])
    #expect(!call.server.hasFailed)
  }

  // A message of the handshake that has come in part: nothing may be said before it is whole.
  @Test func `a write that has to read first says so`() throws {
    let call = try Call.withLongTickets()
    let server = call.server
    _ = try call.client.read()
    server.sendTicket()
    let ticket = server.give()
    try #require(ticket.count > 600)
    call.line.give(ticket.prefix(600))
    #expect(try call.client.read() == nil)
    #expect(try call.client.write([1]) == .awaits(.readable))
    #expect(call.client.writingAwaits == .readable)
    #expect(call.client.end() == .awaits(.readable))
    call.line.give(ticket.dropFirst(600))
    #expect(try call.client.write([1]) == .moved(1))
    #expect(call.client.writingAwaits == .writable)
    #expect(call.client.end() == .moved(0))
    #expect(drain(call) == [1])
    #expect(server.hasEnded)
  }

  // It reads for the rest of a message of the handshake, and takes data that came behind it.
  @Test(arguments: [false, true])
  func `a write that has read leaves something behind to read`(isNested: Bool) throws {
    let call = try Call.withLongTickets()
    let inner = isNested ? try InnerCall(call) : nil
    let client = inner?.client ?? call.client
    func say(_ bytes: [UInt8]) {
      guard let inner else { return call.server.write(bytes) }
      inner.server.write(bytes)
      call.server.write(inner.server.give())
    }
    #expect(try client.read() == nil)
    call.server.sendTicket()
    say([7])
    let sent = call.server.give()
    try #require(sent.count > 600)
    call.line.give(sent.prefix(600))
    #expect(try client.read() == nil)
    #expect(client.isDrained)
    call.line.give(sent.dropFirst(600))
    #expect(try client.write([1]) == .moved(1))
    #expect(!client.isDrained)
    #expect(try client.read() == [7])
    #expect(client.isDrained)
  }

  // MARK: Bad ends

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

  @Test func `who hangs up during the handshake has cut it`() throws {
    let line = try Line()
    let client = try TLSSession(try TLSContext(), to: .name(proxyName), over: line.near)
    #expect(try client.handshake() == .awaits(.readable))
    // What lies unread there would make it a reset.
    _ = line.taken()
    line.hangUp()
    #expect(throws: TLSFailure.truncated) { try client.handshake() }
  }

  // MARK: Garbage

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
