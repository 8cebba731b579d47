import Addresses
import Glibc
import TLS
import TLSPeer
import Testing

/// What a session does when the socket takes no more, or when a write has to read first.
@Suite struct FullLineTests {
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

  // OpenSSL reads nothing as long as it has a message of the handshake to write, as the answer to new keys is.
  @Test(arguments: [false, true])
  func `without room for the answer to new keys, reading goes on`(isNested: Bool) throws {
    let call = try Call()
    let inner = isNested ? try InnerCall(call) : nil
    let (client, server) = (inner?.client ?? call.client, inner?.server ?? call.server)
    /// Brings across what the server has to say.
    func say() {
      if inner != nil { call.server.write(server.give()) }
      call.line.give(call.server.give())
    }
    /// What the server hears.
    func hear() -> [UInt8] {
      call.server.take(call.line.taken())
      if inner != nil { server.take(call.server.read()) }
      return server.read()
    }
    _ = try client.read()
    server.updateKeys()
    say()
    #expect(try client.read() == nil)
    // Full up to the last octet, with nothing of TLS.
    var filling = 0
    while Glibc.send(call.line.near, [0], 1, Int32(MSG_DONTWAIT)) == 1 { filling += 1 }
    for number in 1...3 as ClosedRange<UInt8> {
      #expect(try client.write([9]) == .awaits(.writable))
      server.write([number])
      say()
      #expect(try client.read() == [number])
      #expect(try client.read() == nil)
      #expect(client.readingAwaits == .readable)
    }
    #expect(call.line.taken(atMost: filling).count == filling)
    #expect(try client.write([9]) == .moved(1))
    #expect(hear() == [9])
    server.updateKeys()
    say()
    #expect(try client.read() == nil)
    #expect(try client.write([8]) == .moved(1))
    #expect(hear() == [8])
    #expect(client.end() == .moved(0))
    #expect(hear() == [])
    #expect(server.hasEnded)
    #expect(!server.hasFailed && !call.server.hasFailed)
  }

  // OpenSSL fails when it has to answer while it holds the rest of a record.
  @Test(arguments: [1, 2, 3])
  func `new keys may be asked for again and again while a write is held up`(times: Int) throws {
    let call = try Call()
    _ = try call.client.read()
    let chunk = pattern(16_384)
    var written: [UInt8] = []
    while case .moved(let count) = try call.client.write(chunk) {
      try #require(count == chunk.count)
      written += chunk
    }
    for number in 1...5 as ClosedRange<UInt8> {
      for _ in 0..<times { call.server.updateKeys() }
      call.server.write([number])
      call.line.give(call.server.give())
      #expect(try call.client.read() == [number])
      #expect(try call.client.write(chunk) == .awaits(.writable))
    }
    var heard: [UInt8] = []
    for _ in 0..<64 where heard.count < written.count { heard += drain(call) }
    #expect(try call.client.write(chunk) == .moved(chunk.count))
    for _ in 0..<64 where heard.count < written.count + chunk.count { heard += drain(call) }
    #expect(heard == written + chunk)
    #expect(!call.server.hasFailed)
  }

  @Test func `a peer that asks for new keys and reads nothing is not read from without end`() throws {
    let call = try Call()
    _ = try call.client.read()
    while case .moved = try call.client.write(pattern(16_384)) {}
    var count = 0
    while count < 10_000 {
      for _ in 0..<2 { call.server.updateKeys() }
      call.server.write([1])
      call.line.give(call.server.give())
      guard try call.client.read() == [1] else { break }
      count += 1
    }
    // 32 KiB, of 27 octets each.
    #expect((100..<1300).contains(count), "\(count)")
    #expect(call.client.readingAwaits == .writable)
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
}
