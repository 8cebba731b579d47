import Foundation
import Testing

/// Clients that stall or flood cost only themselves.
@Suite(.blocking)
struct LimitsTests {
  private func tunnel(_ sockeye: Sockeye, to address: String, at listener: String? = nil) throws -> Socket {
    let client = try Socket(to: listener ?? sockeye.address)
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
    let directory = try TemporaryDirectory()
    let sockeye = try Sockeye(Sockeye.listen(directory) + "limits: {per_client: 2}\ndefault: direct\n")
    let clients = try (0..<2).map { _ in try tunnel(sockeye, to: target.address) }
    // Another address of loopback is no other client.
    try expectRefused(try Socket(to: sockeye.address, from: "127.0.0.2"), to: target.address)
    try expectRefused(try Socket(to: sockeye.address), to: target.address)
    _ = try tunnel(sockeye, to: target.address, at: sockeye.userAddress)
    try sockeye.process.line(
      containing: "limit reached: per_client 2: a connection was refused, the last of 127.0.0.2 at ")
    withExtendedLifetime(clients) {}
  }

  @Test func `a user of a Unix-domain listener is one client`() throws {
    let target = try Server.silent()
    let directory = try TemporaryDirectory()
    let sockeye = try Sockeye(
      "listen: \"unix:\(directory.path)/socks\"\nlimits: {per_client: 2}\ndefault: direct\n")
    let clients = try (0..<2).map { _ in try tunnel(sockeye, to: target.address) }
    try expectRefused(try Socket(to: sockeye.address), to: target.address)
    withExtendedLifetime(clients) {}
  }

  /// A browser and a torrent client share 127.0.0.1.
  @Test(arguments: ["127.0.0.1:0", "\"[::1]:0\"", "unix:"])
  func `by default a client of this machine has more than 256 connections`(listener: String) throws {
    let target = try Server.silent()
    let directory = try TemporaryDirectory()
    let address = listener == "unix:" ? "\"unix:\(directory.path)/socks\"" : listener
    let sockeye = try Sockeye("listen: \(address)\ndefault: direct\n")
    let clients = try (0..<300).map { _ in try tunnel(sockeye, to: target.address) }
    withExtendedLifetime(clients) {}
  }

  @Test func `a client of this machine leaves a quarter of the connections to others`() throws {
    let target = try Server.silent()
    let directory = try TemporaryDirectory()
    let sockeye = try Sockeye(Sockeye.listen(directory) + "limits: {connections: 8}\ndefault: direct\n")
    let clients = try (0..<6).map { _ in try tunnel(sockeye, to: target.address) }
    try expectRefused(try Socket(to: sockeye.address), to: target.address)
    let others = try (0..<2).map { _ in try tunnel(sockeye, to: target.address, at: sockeye.userAddress) }
    try expectRefused(try Socket(to: sockeye.userAddress), to: target.address)
    for limit in ["local_client 6", "connections 8"] {
      try sockeye.process.line(containing: "limit reached: \(limit): a connection was refused")
    }
    withExtendedLifetime((clients, others)) {}
  }

  @Test func `a client over its limit takes no place of a handshake, and is not heard without end`() throws {
    let target = try Server.silent()
    let directory = try TemporaryDirectory()
    let controlled = try ControlledSockeye(
      Sockeye.listen(directory)
        + "limits: {per_client: 14, handshakes: 16}\ntimeouts: {handshake: 600s}\ndefault: direct\n")
    let sockeye = controlled.sockeye
    let tunnels = try (0..<10).map { _ in try tunnel(sockeye, to: target.address) }
    // All that one client may have.
    let handshakes = try (0..<4).map { _ in try greeted(at: sockeye.address) }
    let silent = try (0..<100).map { _ in try Socket(to: sockeye.address) }
    // One is heard: a sixteenth of `handshakes`.
    try eventually("all were closed, or more than one was not") {
      silent.count { $0.hasSomethingToRead() } == 99
    }
    for client in silent {
      if client.hasSomethingToRead() {
        #expect(try client.receiveToEnd().bytes == [])
      } else {
        try expectRefused(client, to: target.address)
      }
    }
    for client in handshakes {
      try client.send(SOCKS.connect(to: target.address))
      #expect(try client.receiveReply().code == 0)
    }
    #expect(try controlled.refusals("per_client") == 100)
    for limit in ["client_handshakes", "handshakes"] { #expect(try controlled.refusals(limit) == 0) }
    withExtendedLifetime(tunnels) {}
  }

  @Test func `no more handshakes at once than allowed, tunnels do not count`() throws {
    let target = try Server.silent()
    let directory = try TemporaryDirectory()
    let sockeye = try Sockeye(
      Sockeye.listen(directory)
        + "limits: {handshakes: 1}\ntimeouts: {handshake: 600s}\ndefault: direct\n")
    let tunnels = try (0..<5).map { _ in try tunnel(sockeye, to: target.address) }
    let first = try greeted(at: sockeye.userAddress)
    let second = try greeted(at: sockeye.address)
    #expect(try first.receiveToEnd().bytes == [])
    try sockeye.process.line(
      containing:
        "limit reached: handshakes 1: a handshake was closed for newer ones, the last the oldest of 1 of user \(geteuid())"
    )
    _ = try tunnel(sockeye, to: target.address)
    #expect(try second.receiveToEnd().bytes == [])
    withExtendedLifetime(tunnels) {}
  }

  @Test func `a client with a quarter of the handshakes is served, and loses its oldest`() throws {
    let target = try Server.silent()
    let directory = try TemporaryDirectory()
    let sockeye = try Sockeye(
      Sockeye.listen(directory)
        + "limits: {handshakes: 8}\ntimeouts: {handshake: 600s}\ndefault: direct\n")
    let other = try greeted(at: sockeye.userAddress)
    var silent = try (1..<6).map { try greeted(at: sockeye.address, from: "127.0.0.\($0)") }
    for client in silent[..<3] { #expect(try client.receiveToEnd().bytes == []) }
    silent.removeFirst(3)
    for client in silent + [other] {
      try client.send(SOCKS.connect(to: target.address))
      #expect(try client.receiveReply().code == 0)
    }
    try sockeye.process.line(
      containing:
        "limit reached: client_handshakes 2: a handshake was closed for newer ones, the last the oldest of 2 of loopback"
    )
    #expect(sockeye.log.filter { $0.contains("limit reached") }.count == 1, "\(sockeye.log)")
  }

  /// A handshake that goes on.
  private func greeted(at listener: String, from source: String? = nil) throws -> Socket {
    let client = try Socket(to: listener, from: source)
    try client.send(SOCKS.noAuthentication)
    #expect(try client.receive(exactly: 2) == [5, 0])
    return client
  }

  /// At the limits as they are without a table's word.
  @Test func `ten thousand silent clients disturb nobody and leave nothing (T8)`() throws {
    try raiseDescriptorLimit(to: 11_000)
    let target = try Server.echo()
    let directory = try TemporaryDirectory()
    let controlled = try ControlledSockeye(
      Sockeye.listen(directory) + "timeouts: {handshake: 20s}\nlog: {level: warning}\ndefault: direct\n")
    let sockeye = controlled.sockeye
    let open = try tunnel(sockeye, to: target.address)
    let before = try sockeye.process.openDescriptors
    // The addresses of this machine are one client, which has its quarter of the handshakes.
    let silent = try (0..<10_000).map { try Socket(to: sockeye.address, from: "127.0.1.\($0 % 3 + 1)") }

    for _ in 0..<100 {
      try open.send(1, 2, 3)
      #expect(try open.receive(exactly: 3) == [1, 2, 3])
      let another = try tunnel(sockeye, to: target.address, at: sockeye.userAddress)
      try another.send(4)
      #expect(try another.receive(exactly: 1) == [4])
      // Programs of this machine are the same client as the flood, and are served too.
      _ = try tunnel(sockeye, to: target.address)
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
    // A slow machine may take longer for so many connections than the first handshakes last.
    #expect((9_000...10_000).contains(try controlled.refusals("client_handshakes")))
    let lines = sockeye.log.filter { $0.contains("limit reached") }
    #expect((1...10).contains(lines.count), "one a minute: \(lines)")
  }

  // The sanitizers reserve more address space than there is.
  @Test(.enabled(if: !isSanitized))
  func `without memory newcomers are turned away, and those who are served go on`() throws {
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

  // The sanitizers reserve more address space than there is.
  @Test(.enabled(if: !isSanitized))
  func `with hardly enough memory it does not start, or serves clients`() throws {
    let target = try Server.echo()
    let directory = try TemporaryDirectory()
    let table = try directory.write("listen: 127.0.0.1:0\ndefault: direct\n", to: "t.yaml")
    /// `nil` when it does not start, for want of memory.
    func start(withMebibytes limit: Int) throws -> (process: ChildProcess, address: String?) {
      let process = try ChildProcess(
        try Program("prlimit", package: "util-linux"),
        ["--as=\(limit << 20)", try Sockeye.program().path, "serve", table, "--workers", "2"])
      let line = try process.lines.wait(for: "a line") { lines in
        // Where there are few descriptors, that comes first.
        lines.first { !$0.contains(" limits.connections ") }
      }
      return (process, line.firstMatch(of: /listening on (\S+)/).map { String($0.1) })
    }
    let needed = try start(withMebibytes: 1024).process.addressSpace >> 20
    var served: [Bool] = []
    for extra in stride(from: -12, through: 48, by: 4) {
      let (process, address) = try start(withMebibytes: needed + extra)
      served.append(address != nil)
      guard let address else {
        let exit = try process.wait()
        #expect(exit.status == 1)
        #expect(
          exit.description.contains(#/cannot start: .*LimitAS=|cannot serve: less than 32 MiB/#), "\(exit)")
        continue
      }
      for _ in 0..<3 { try Self.tunnel(through: address, to: target.address) }
    }
    #expect(
      served.first == false && served.last == true, "\(served)")
  }

  private static func tunnel(through address: String, to target: String) throws {
    let clients = try (0..<10).map { _ in try Socket(to: address) }
    for client in clients {
      #expect(try client.requestConnect(to: target).code == 0)
      try client.send(1)
      #expect(try client.receive(exactly: 1) == [1])
    }
  }

  @Test func `out of descriptors it serves on, keeps its tunnels and does not spin (T37)`() throws {
    let target = try Server.echo()
    let sockeye = try Sockeye("timeouts: {handshake: 3s}\ndefault: direct\n")
    let old = try tunnel(sockeye, to: target.address)
    // Later than its limits know of.
    try sockeye.process.limitDescriptors(to: try sockeye.process.lowestFreeDescriptor + 30)
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

  // A tunnel takes two descriptors: with one limit or the other, the last client gets one and its dial none.
  @Test func `out of descriptors for the dial, the client is told 01`() throws {
    let last = try [64, 65].map { try lastCode(descriptors: $0) }
    #expect(last.contains(1), "\(last)")
  }

  /// The reply to the last client that was heard, of as many as there were descriptors for.
  private func lastCode(descriptors: Int) throws -> UInt8? {
    let target = try Server.silent()
    let sockeye = try Sockeye("default: direct\n", arguments: ["--workers", "1"])
    try sockeye.process.limitDescriptors(to: descriptors)
    var clients: [Socket] = []
    var codes: [UInt8] = []
    while clients.count < 64, codes.last != 1 {
      let client = try Socket(to: sockeye.address)
      try client.send(SOCKS.noAuthentication + SOCKS.connect(to: target.address))
      // Without a descriptor for it, it is closed or waits, and the log tells.
      try eventually("neither an answer nor a word of the log came") {
        client.hasSomethingToRead(within: 10) || sockeye.log.contains { $0.contains("warning turned away ") }
      }
      guard client.hasSomethingToRead(), try client.receive(exactly: 2) == [5, 0] else { break }
      codes.append(try client.receiveReply().code)
      clients.append(client)
    }
    #expect(codes.count > 1 && codes.dropLast().allSatisfy { $0 == 0 }, "\(codes)")
    clients = []
    try eventually("served again") {
      let client = try Socket(to: sockeye.address)
      client.setTimeouts(5)
      return (try? client.requestConnect(to: target.address).code) == 0
    }
    return codes.last
  }
}

/// Asks again and again, for what sends no event of its own.
func eventually(
  _ what: @autoclosure () throws -> String, within seconds: TimeInterval = patience,
  _ holds: () throws -> Bool
) throws {
  let deadline = Date(timeIntervalSinceNow: seconds)
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
