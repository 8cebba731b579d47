import Foundation
import Testing

/// What flows through a tunnel, and how it ends; the rows E of the protocol's list.
@Suite(.blocking)
struct RelayTests {
  /// Directly, and through a hop.
  static let tables = ["default: direct\n", "default: hop\n"]
  private let hop: Sockeye

  init() throws {
    hop = try Sockeye("default: direct\n")
  }

  private func sockeye(_ table: String) throws -> Sockeye {
    try Sockeye("upstreams: {hop: \"socks5://\(hop.address)\"}\n" + table)
  }

  private func tunnel(_ sockeye: Sockeye, to address: String) throws -> Socket {
    let client = try Socket(to: sockeye.address)
    #expect(try client.requestConnect(to: address).code == 0)
    return client
  }

  @Test(arguments: tables)
  func `a client that has ended still gets its answer (E1)`(table: String) throws {
    let target = try Server.counting()
    let sockeye = try sockeye(table)
    let client = try tunnel(sockeye, to: target.address)
    try client.send([UInt8](repeating: 1, count: 10_000))
    client.finish()
    let (answer, closing) = try client.receiveToEnd()
    #expect(String(decoding: answer, as: UTF8.self) == "10000")
    #expect(closing == .end)
    #expect(try sockeye.session(to: target.address).contains(" up=10000 down=5 "))
  }

  @Test(arguments: tables)
  func `a target that has ended still hears its client (E2)`(table: String) throws {
    let heard = Recorder<Int>()
    let target = try Server { client in
      try client.send("bye")
      client.finish()
      heard.record(try client.receiveToEnd().bytes.count)
    }
    let sockeye = try sockeye(table)
    let client = try tunnel(sockeye, to: target.address)
    let (answer, closing) = try client.receiveToEnd()
    #expect(answer == Array("bye".utf8) && closing == .end, "\(answer), \(closing)")
    try client.send([UInt8](repeating: 1, count: 10_000))
    client.finish()
    try heard.wait(forCount: 1)
    #expect(heard.all == [10_000])
  }

  @Test func `an end that arrives together with the last bytes is seen`() throws {
    let go = Gate()
    let gone = Gate()
    let target = try Server { client in
      try go.wait()
      try client.send("bye")
      client.finish()
      gone.open()
      _ = try client.receiveToEnd()
    }
    let sockeye = try sockeye("default: direct\n")
    let client = try tunnel(sockeye, to: target.address)
    // While the program stands still, both happen.
    sockeye.signal(SIGSTOP)
    go.open()
    try gone.wait()
    sockeye.signal(SIGCONT)
    #expect(try client.receiveToEnd() == (Array("bye".utf8), .end))
  }

  @Test(arguments: tables)
  func `a target's reset is a reset for the client (E3)`(table: String) throws {
    let target = try Server { client in
      _ = try client.receive()
      client.resetWhenClosed()
    }
    let sockeye = try sockeye(table)
    let client = try tunnel(sockeye, to: target.address)
    try client.send(1)
    let rest = try client.receiveToEnd()
    #expect(rest.closing == .reset, "\(rest)")
  }

  @Test func `what a target said before it refused more is delivered before the reset`() throws {
    let gate = Gate()
    let reached = Recorder<Bool>()
    let target = try Server { client in
      reached.record(client.hasSomethingToRead(within: 10_000))
      try gate.wait()
      try client.send("too large")
      // Closed with bytes unread, which is a reset.
    }
    let sockeye = try Sockeye("default: direct\n", arguments: ["--workers", "1"])
    let client = try Socket(to: sockeye.address)
    #expect(try client.requestConnect(to: target.address).code == 0)
    try client.send("more")
    _ = try reached.wait(for: "the first bytes") { $0.first }
    // While the program is held, both come: bytes that the target will not take, and its answer.
    sockeye.signal(SIGSTOP)
    try client.send("and more")
    gate.open()
    sockeye.signal(SIGCONT)
    let (bytes, closing) = try client.receiveToEnd()
    #expect(bytes == Array("too large".utf8))
    #expect(closing == .reset)
  }

  @Test(arguments: tables)
  func `a client's reset is a reset for the target (E3)`(table: String) throws {
    let heard = Recorder<Received>()
    let target = try Server { client in
      try client.send(1)
      heard.record(try client.receiveToEnd().closing)
    }
    let sockeye = try sockeye(table)
    do {
      let client = try tunnel(sockeye, to: target.address)
      #expect(try client.receive(exactly: 1) == [1])
      client.resetWhenClosed()
    }
    try heard.wait(forCount: 1)
    #expect(heard.all == [.reset])
  }

  @Test(arguments: tables)
  func `eight mebibytes come back as they went (E4)`(table: String) throws {
    let target = try Server.echo()
    let sockeye = try sockeye(table)
    let client = try tunnel(sockeye, to: target.address)
    let finished = Gate()
    Thread.detachNewThread {
      try? Pattern.stream(8 << 20) { try client.send($0) }
      client.finish()
      finished.open()
    }
    var expected: [UInt8] = []
    try Pattern.stream(8 << 20) { expected += $0 }
    let (answer, closing) = try client.receiveToEnd()
    try finished.wait()
    #expect(answer == expected && closing == .end, "\(answer.count), \(closing)")
  }

  @Test(arguments: tables)
  func `a reader that stalls stalls its sender and costs no memory (E4)`(table: String) throws {
    let size = 64 << 20
    let stalled = Gate()
    let target = try Server { client in
      try Pattern.stream(size) { block in
        // For a second the far end took nothing: everything between us is full.
        if !client.canSend(within: 1000) { stalled.open() }
        try client.send(block)
      }
    }
    let sockeye = try sockeye(table)
    let client = try tunnel(sockeye, to: target.address)
    let before = try sockeye.process.residentBytes
    try stalled.wait()
    let grown = try sockeye.process.residentBytes - before
    #expect(grown < 4 << 20, "\(grown) bytes")

    try client.expectPattern(size)
  }

  @Test func `what a client sends before its tunnel stands waits with the client (A10)`() throws {
    let size = 64 << 20
    let gate = Gate()
    let hop = try Server { client in
      try client.acceptRequest()
      try gate.wait()
      try client.send(SOCKS.failure(0))
      while case .bytes(let bytes) = try client.receive() { try client.send(bytes) }
    }
    let sockeye = try Sockeye("upstreams: {hop: \"socks5://\(hop.address)\"}\ndefault: hop\n")
    let client = try Socket(to: sockeye.address)
    let before = try sockeye.process.residentBytes
    try client.send(SOCKS.noAuthentication + SOCKS.connect(to: "some.test:80"))
    let stalled = Gate()
    Thread.detachNewThread {
      try? Pattern.stream(size) { block in
        if !client.canSend(within: 1000) { stalled.open() }
        try client.send(block)
      }
      client.finish()
    }
    try stalled.wait()
    let grown = try sockeye.process.residentBytes - before
    #expect(grown < 4 << 20, "\(grown) bytes")
    gate.open()
    #expect(try client.receive(exactly: 2) == [5, 0])
    #expect(try client.receiveReply().code == 0)
    try client.expectPattern(size)
  }

  @Test func `a silent tunnel is closed at its idle limit (E5)`() throws {
    let target = try Server.silent()
    let sockeye = try Sockeye("timeouts: {idle: 1s}\ndefault: direct\n")
    let client = try tunnel(sockeye, to: target.address)
    #expect(try client.receiveToEnd().bytes == [])
    _ = try sockeye.session(to: target.address)
  }

  @Test func `a route has an idle limit of its own (E5)`() throws {
    let target = try Server.silent()
    let sockeye = try Sockeye("routes:\n  - {ip: 127.0.0.1, via: direct, idle: 1s}\ndefault: direct\n")
    let client = try tunnel(sockeye, to: target.address)
    #expect(try client.receiveToEnd().bytes == [])
    #expect(try sockeye.session(to: target.address).hasSuffix(" end=idle"))
  }

  @Test(arguments: tables)
  func `urgent data does not get a tunnel into disorder, and is not relayed (E7)`(table: String) throws {
    let target = try Server.echo()
    let sockeye = try sockeye(table)
    let client = try tunnel(sockeye, to: target.address)
    for round: UInt8 in 0..<5 {
      try client.send(round, 10)
      try client.sendUrgently(99)
      try client.send(20, round)
      #expect(try client.receive(exactly: 4) == [round, 10, 20, round])
    }
    client.finish()
    #expect(try client.receiveToEnd() == ([], .end))
  }

  @Test(arguments: tables)
  func `urgent data among many bytes does not hold them up (E7)`(table: String) throws {
    let half = [UInt8](repeating: 1, count: 8 << 20)
    let arrived = Recorder<Int>()
    let target = try Server { client in
      var count = 0
      while case .bytes(let bytes) = try client.receive() {
        count += bytes.count
        if count == 2 * half.count { arrived.record(count) }
      }
    }
    let sockeye = try sockeye(table)
    let client = try tunnel(sockeye, to: target.address)
    try client.send(half)
    try client.sendUrgently(2)
    try client.send(half)
    try arrived.wait(forCount: 1)
  }

  @Test func `a tunnel of which one end is silent for ever is closed at the half-closed limit`() throws {
    let target = try Server { client in
      _ = try client.receiveToEnd()
      // Having heard the end it keeps its own direction open, and silent.
      while !client.hasBeenClosed(within: 1000) {}
    }
    let sockeye = try Sockeye("timeouts: {half_closed: 1s}\ndefault: direct\n")
    let client = try tunnel(sockeye, to: target.address)
    client.finish()
    #expect(try client.receiveToEnd().bytes == [])
    _ = try sockeye.session(to: target.address)
  }

  @Test func `many tunnels at once do not mix`() throws {
    let target = try Server.echo()
    let sockeye = try sockeye("default: hop\n")
    let clients = try (0..<200).map { _ in try tunnel(sockeye, to: target.address) }
    for round in 0..<5 {
      for (number, client) in clients.enumerated() {
        try client.send([UInt8(number), UInt8(round), 0xFF])
      }
      for (number, client) in clients.enumerated() {
        #expect(try client.receive(exactly: 3) == [UInt8(number), UInt8(round), 0xFF])
      }
    }
  }
}
