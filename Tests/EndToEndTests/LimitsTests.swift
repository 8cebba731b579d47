import Foundation
import Testing

/// Clients that stall or flood cost only themselves.
@Suite(.blocking)
struct LimitsTests {
  private func tunnel(_ sockeye: Sockeye, to address: String, from source: String? = nil) throws -> Socket {
    let client = try Socket(to: sockeye.address, from: source)
    #expect(try client.requestConnect(to: address).code == 0)
    return client
  }

  /// Heard, and refused.
  private func expectRefused(_ client: Socket, to address: String) throws {
    #expect(try client.requestConnect(to: address).code == 1)
    #expect(try client.receiveToEnd() == ([], .end))
  }

  @Test func `no more connections than allowed, and a place that is left is free again`() throws {
    let target = try Server.silent()
    let sockeye = try Sockeye("limits: {connections: 3}\ndefault: direct\n")
    var clients = try (0..<3).map { _ in try tunnel(sockeye, to: target.address) }
    try expectRefused(try Socket(to: sockeye.address), to: target.address)
    let last = clients.removeLast()
    last.finish()
    _ = try last.receiveToEnd()
    _ = try sockeye.session(to: target.address)
    _ = try tunnel(sockeye, to: target.address)
  }

  @Test func `no more connections of one client than allowed, others come in`() throws {
    let target = try Server.silent()
    let sockeye = try Sockeye("limits: {per_client: 2}\ndefault: direct\n")
    let clients = try (0..<2).map { _ in try tunnel(sockeye, to: target.address) }
    try expectRefused(try Socket(to: sockeye.address), to: target.address)
    _ = try tunnel(sockeye, to: target.address, from: "127.0.0.2")
    withExtendedLifetime(clients) {}
  }

  @Test func `no more handshakes at once than allowed, tunnels do not count`() throws {
    let target = try Server.silent()
    let sockeye = try Sockeye("limits: {handshakes: 2}\ntimeouts: {handshake: 600s}\ndefault: direct\n")
    let tunnels = try (0..<5).map { _ in try tunnel(sockeye, to: target.address) }
    let silent = try (0..<2).map { _ in
      let client = try Socket(to: sockeye.address)
      try client.send(SOCKS.noAuthentication)
      #expect(try client.receive(exactly: 2) == [5, 0])
      return client
    }
    #expect(try Socket(to: sockeye.address).receiveToEnd().bytes == [])
    withExtendedLifetime((tunnels, silent)) {}
  }

  @Test func `ten thousand silent clients disturb nobody and leave nothing (T8)`() throws {
    try raiseDescriptorLimit(to: 11_000)
    let count = 10_000
    let target = try Server.echo()
    let sockeye = try Sockeye(
      """
      limits: {connections: 20000, per_client: 20000, handshakes: 20000}
      timeouts: {handshake: 10s}
      log: {level: warning}
      default: direct

      """)
    let open = try tunnel(sockeye, to: target.address)
    let before = try sockeye.process.openDescriptors
    let silent = try (0..<count).map { try Socket(to: sockeye.address, from: "127.0.1.\($0 % 200 + 1)") }

    for _ in 0..<100 {
      try open.send(1, 2, 3)
      #expect(try open.receive(exactly: 3) == [1, 2, 3])
      let another = try tunnel(sockeye, to: target.address)
      try another.send(4)
      #expect(try another.receive(exactly: 1) == [4])
    }
    for client in silent {
      let (bytes, _) = try client.receiveToEnd()
      #expect(bytes == [])
    }
    // The thread sanitizer opens two for its own purposes.
    try eventually("\(try sockeye.process.openDescriptors) descriptors never became \(before)") {
      try sockeye.process.openDescriptors <= before + 2
    }
    _ = try tunnel(sockeye, to: target.address)
  }

  @Test func `without memory newcomers are turned away, and those who are served go on`() throws {
    let target = try Server.echo()
    let datagrams = try DatagramServer.echo()
    let sockeye = try Sockeye("default: direct\n")
    let old = try tunnel(sockeye, to: target.address)
    let association = try Association(through: sockeye.address)
    // Room for what those who are served need, and not for newcomers.
    try sockeye.process.limitAddressSpace(to: try sockeye.process.addressSpace + 2 << 20)
    try eventually("a newcomer is turned away") {
      (try? Socket(to: sockeye.address).requestConnect(to: target.address).code) == nil
    }
    try sockeye.process.line(containing: ": out of memory")
    // Its first datagram.
    try association.expectEcho("hello", from: datagrams.address)
    try old.send(1)
    #expect(try old.receive(exactly: 1) == [1])

    try sockeye.process.limitAddressSpace(to: nil)
    try eventually("newcomers are served again") {
      (try? Socket(to: sockeye.address).requestConnect(to: target.address).code) == 0
    }
  }

  @Test func `out of descriptors it serves on, keeps its tunnels and does not spin (T37)`() throws {
    let target = try Server.echo()
    let sockeye = try Sockeye("timeouts: {handshake: 3s}\ndefault: direct\n", descriptors: 64)
    let old = try tunnel(sockeye, to: target.address)
    let before = try sockeye.process.processorTime
    do {
      let flood = try (0..<200).map { _ in try Socket(to: sockeye.address) }
      for _ in 0..<50 {
        try old.send(1)
        #expect(try old.receive(exactly: 1) == [1])
      }
      // Some are accepted and time out after three seconds, which makes room for the next.
      for client in flood { _ = try client.receiveToEnd() }
    }
    let used = try sockeye.process.processorTime - before
    // Two loops that spin for three seconds would have used six.
    #expect(used < .seconds(2), "\(used)")
    let new = try tunnel(sockeye, to: target.address)
    for client in [old, new] {
      try client.send(2)
      #expect(try client.receive(exactly: 1) == [2])
    }
  }

  @Test func `out of descriptors for the dial, the client is told 01`() throws {
    let target = try Server.silent()
    let sockeye = try Sockeye("default: direct\n", arguments: ["--workers", "1"], descriptors: 64)
    var clients: [Socket] = []
    var codes: Set<UInt8> = []
    while clients.count < 64, !codes.contains(1) {
      let client = try Socket(to: sockeye.address)
      try client.send(SOCKS.noAuthentication + SOCKS.connect(to: target.address))
      guard client.hasSomethingToRead(within: 1000), try client.receive(exactly: 2) == [5, 0] else { break }
      codes.insert(try client.receiveReply().code)
      clients.append(client)
    }
    #expect(codes.isSubset(of: [0, 1]), "\(codes)")
    clients = []
    try eventually("served again") {
      let client = try Socket(to: sockeye.address)
      client.setTimeouts(5)
      return try client.requestConnect(to: target.address).code == 0
    }
  }
}

/// Asks again and again, for what sends no event of its own.
func eventually(_ what: @autoclosure () throws -> String, _ holds: () throws -> Bool) throws {
  let deadline = Date(timeIntervalSinceNow: patience)
  while try !holds() {
    guard Date() < deadline else { throw NeverHappened(description: try what()) }
    poll(nil, 0, 10)
  }
}

func raiseDescriptorLimit(to wanted: UInt) throws {
  var limit = rlimit()
  getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
  limit.rlim_cur = limit.rlim_max
  setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
  guard limit.rlim_cur >= wanted else {
    throw NeverHappened(description: "\(wanted) descriptors: ulimit -Hn is \(limit.rlim_max)")
  }
}
