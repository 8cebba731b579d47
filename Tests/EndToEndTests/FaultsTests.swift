import Chance
import Foundation
import TLSPeer
import Testing

/// System calls that fail on purpose, under a load that checks itself: no crash, no hang, no wrong byte, no lost
/// descriptor, no hop blamed for what is the machine's own, and everything works when the fault has ended.
@Suite(.blocking, .serialized)
struct FaultsTests {
  // How many faults of all are tried; without a number about one in twenty, drawn by the seed.
  private static let environment = ProcessInfo.processInfo.environment
  private static let isWhole = environment["SOCKEYE_FAULTS"] == "all"
  private static let count = environment["SOCKEYE_FAULTS"].flatMap(Int.init) ?? 12
  private static let only = environment["SOCKEYE_FAULTS_CALL"]

  private static func chosen(seed: UInt64) -> [Fault] {
    let all = Fault.all.filter { only == nil || $0.call == only }
    guard !isWhole, only == nil else { return all }
    var generator = SeededGenerator(seed: seed)
    return Array(all.shuffled(using: &generator).prefix(count))
  }

  /// Tells how far a long run is.
  private static func report(_ line: String) {
    guard environment["SOCKEYE_FAULTS"] != nil else { return }
    FileHandle.standardError.write(Data("\(line)\n".utf8))
  }

  // The sanitizers' own libraries must be the first, and take the same calls' places.
  @Test(
    .enabled(if: !isSanitized),
    arguments: seeds(1))
  func `a system call that fails costs what it was for and nothing else`(seed: UInt64) throws {
    let faults = Self.chosen(seed: seed)
    var bench = try FaultBench()
    var reached: Set<String> = []
    for fault in faults {
      let before = bench.sockeye.sockeye.log.count
      let start = ContinuousClock.now
      defer { Self.report("\(fault): \(ContinuousClock.now - start)") }
      do {
        if try bench.run(fault) > 0 { reached.insert(fault.call) }
      } catch {
        let log = bench.sockeye.sockeye.log.dropFirst(before)
        Issue.record("\(fault): \(error)\n\(log.suffix(30).joined(separator: "\n"))")
        bench = try FaultBench()
      }
    }
    Self.report("calls that failed: \(reached.sorted())")
  }

  @Test(
    .enabled(if: !isSanitized),
    arguments: seeds(1))
  func `a system call that fails at the start ends the program with an error, or harms nothing`(seed: UInt64)
    throws
  {
    for fault in Self.chosen(seed: seed &+ 1) {
      let faultSwitch = try FaultSwitch()
      let directory = try TemporaryDirectory()
      let control = directory.path + "/control"
      let file = try directory.write(
        "listen: 127.0.0.1:0\ncontrol: unix:\(control)\ndefault: direct\n", to: "table.yaml")
      faultSwitch.set(fault)
      let process = try ChildProcess(
        try Sockeye.program(), ["serve", file, "--workers", "2"], environment: try faultSwitch.environment)
      // The control socket is opened last. What it says may be lost when `write` fails.
      try eventually("the start or an error, though \(fault); it said \(process.lines.all)") {
        process.hasExited || access(control, F_OK) == 0
          || process.lines.all.contains { $0.contains("listening on") }
      }
      faultSwitch.clear()
      guard !process.hasExited else {
        let exit = try process.wait()
        #expect(exit.status == 1, "\(fault): \(exit)")
        #expect(
          fault.call == "write" || exit.errors.contains { $0.contains(/error|cannot/) }, "\(fault): \(exit)")
        continue
      }
      let echo = try Server.echo()
      try eventually("the program serves after \(fault); it said \(process.lines.all)") {
        guard !process.hasExited else { throw NeverHappened(description: "\(try process.wait())") }
        let status = try ChildProcess.run(try Sockeye.program(), ["status", file, "--json"])
        guard let address = status.output.first?.firstMatch(of: /127\.0\.0\.1:[1-9]\d*/)?.output,
          let client = try? Socket(to: String(address))
        else { return false }
        client.setTimeouts(2)
        return (try? client.requestConnect(to: echo.address).code) == 0
      }
      process.signal(SIGTERM)
      let exit = try process.wait()
      #expect(exit.status == 0, "\(fault): \(exit)")
    }
  }
}

/// The program with the fault library in it, and everybody that it talks to, without.
private struct FaultBench {
  let sockeye: ControlledSockeye
  private let faultSwitch: FaultSwitch
  private let first: Sockeye
  private let second: Sockeye
  private let tls: Stunnel
  private let names: NameServer
  private let direct: Server
  private let chained: Server
  private let secured: Server
  private let bulk: Server
  private let datagrams: DatagramServer
  private let chainedDatagrams: DatagramServer
  private var descriptors = 0

  private static let bulkCount = 3 << 20

  init() throws {
    faultSwitch = try FaultSwitch()
    // A hop that is reached through another must be another program.
    first = try Sockeye("limits: {per_client: 5000}\ndefault: direct\n")
    second = try Sockeye("limits: {per_client: 5000}\ndefault: direct\n")
    tls = try Stunnel(before: first.address, Certificate(for: "DNS:localhost"))
    names = try NameServer(["direct.test": .inTurn([["127.0.0.1"]])])
    direct = try Server.echo()
    chained = try Server.echo()
    secured = try Server.echo()
    bulk = try Server { client in
      _ = try client.receive(exactly: 1)
      try Pattern.stream(Self.bulkCount) { try client.send($0) }
    }
    datagrams = try .echo(recording: false)
    chainedDatagrams = try .echo(recording: false)
    sockeye = try ControlledSockeye(
      """
      listen: 127.0.0.1:0
      upstreams:
        h1: {url: "socks5://\(first.address)", pipeline: no}
        h2: {url: "socks5://\(second.address)", pipeline: no}
        t1: {url: "socks5+tls://\(tls.address)", insecure: true, pipeline: no}
      timeouts: {handshake: 3s, dns: 1s, dial: 2s, bind: 3s, udp_idle: 5s, drain: 1s}
      limits: {per_client: 5000}
      \(names.table)
      routes:
        - {port: [\(chained.port), \(chainedDatagrams.port)], via: [h1, h2]}
        - {port: \(secured.port), via: [t1, h2]}
      default: direct

      """, environment: try faultSwitch.environment)
    for _ in 0..<3 { try expectRecovery(from: nil) }
    // Pipes that are kept for later are no loss.
    descriptors = try sockeye.sockeye.process.openDescriptors + 16
  }

  /// Runs the load while the call fails, and then until it passes without; how often the call failed.
  mutating func run(_ fault: Fault) throws -> Int {
    let blamed = try blame()
    faultSwitch.set(fault)
    _ = try load(patience: 4)
    let time = try sockeye.sockeye.process.processorTime
    // Nothing goes on now: whoever is busy spins.
    poll(nil, 0, 200)
    let spent = try sockeye.sockeye.process.processorTime - time
    faultSwitch.clear()
    guard spent < .milliseconds(120) else {
      throw NeverHappened(description: "rest; it used \(spent) in 200 ms")
    }
    guard !sockeye.sockeye.process.hasExited else {
      throw NeverHappened(description: "survival: \(try sockeye.sockeye.process.wait())")
    }
    try expectRecovery(from: fault)
    if !fault.mayBeAPeers, try blame() != blamed {
      throw NeverHappened(
        description: "failures of nobody's but ours; there were \(try blame()), before \(blamed)")
    }
    let limit = descriptors
    try eventually(
      "\(try sockeye.sockeye.process.openDescriptors) descriptors are open, \(limit) before", within: 60
    ) {
      try sockeye.sockeye.process.openDescriptors <= limit
    }
    return faultSwitch.faults
  }

  /// How often each upstream failed, by phase.
  private func blame() throws -> [String: [String: Int]] {
    Dictionary(uniqueKeysWithValues: try sockeye.status().upstreams.map { ($0.name, $0.failed) })
  }

  private func expectRecovery(from fault: Fault?) throws {
    sockeye.sockeye.signal(SIGHUP)
    var last: [Result<Void, any Error>] = []
    try eventually(
      "the load passes after \(fault.map { "\($0)" } ?? "the start"); the last said \(last)", within: 60
    ) {
      last = try load(patience: 10)
      return last.allSatisfy { if case .success = $0 { true } else { false } }
    }
  }

  struct WrongBytes: Error { let what: String }

  /// All that the program can do, at the same time. Each ends within about `patience` seconds.
  ///
  /// - Throws: when bytes are wrong, or one does not end.
  private func load(patience: TimeInterval) throws -> [Result<Void, any Error>] {
    let works: [@Sendable () throws -> Void] = [
      { [self] in try echo(direct.address, patience) },
      { [self] in try echo("direct.test:\(direct.port)", patience) },
      { [self] in try echo(chained.address, patience) },
      { [self] in try echo(secured.address, patience) },
      { [self] in try download(patience) },
      { [self] in try echoDatagram(datagrams.address, patience) },
      { [self] in try echoDatagram(chainedDatagrams.address, patience) },
      { [self] in try awaitPeer(patience) },
      { [self] in _ = try sockeye.status() },
      { [self] in sockeye.sockeye.signal(SIGHUP) },
    ]
    let results = Recorder<Result<Void, any Error>>()
    for work in works {
      Thread.detachNewThread { results.record(Result { try work() }) }
    }
    try results.wait(forCount: works.count)
    for case .failure(let error as WrongBytes) in results.all { throw error }
    return results.all
  }

  private func client(_ patience: TimeInterval) throws -> Socket {
    let client = try Socket(to: sockeye.sockeye.address)
    client.setTimeouts(patience)
    return client
  }

  private func expect(_ bytes: [UInt8], from client: Socket) throws {
    let received = try client.receive(exactly: bytes.count)
    guard bytes.starts(with: received) else { throw WrongBytes(what: "\(received) for \(bytes)") }
    guard received.count == bytes.count else {
      throw NeverHappened(description: "the rest of \(bytes.count) bytes")
    }
  }

  private func echo(_ destination: String, _ patience: TimeInterval) throws {
    let client = try client(patience)
    let reply = try client.requestConnect(to: destination)
    guard reply.code == 0 else { throw NeverHappened(description: "\(destination); reply \(reply.code)") }
    for length in [1, 300, 20_000] {
      let bytes = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 31 + length) }
      try client.send(bytes)
      try expect(bytes, from: client)
    }
    client.finish()
    guard try client.receiveToEnd() == ([], .end) else { throw NeverHappened(description: "the end") }
  }

  private func download(_ patience: TimeInterval) throws {
    let client = try client(patience)
    guard try client.requestConnect(to: bulk.address).code == 0 else {
      throw NeverHappened(description: "bulk")
    }
    try client.send(1)
    var count = 0
    try Pattern.stream(Self.bulkCount) { block in
      try expect(block, from: client)
      count += block.count
    }
    guard try client.receiveToEnd() == ([], .end) else { throw NeverHappened(description: "the end") }
  }

  private func echoDatagram(_ destination: String, _ patience: TimeInterval) throws {
    let control = try client(patience)
    let reply = try control.requestAssociation()
    guard reply.code == 0 else { throw NeverHappened(description: "an association; reply \(reply.code)") }
    let socket = try DatagramSocket()
    let payload = Array("datagram \(UInt64.random(in: 0...UInt64.max))".utf8)
    // Datagrams may be lost; they may not be changed.
    for _ in 0..<Int(patience * 5) {
      try socket.send(SOCKS.datagram(to: destination, payload), to: reply.bound)
      guard socket.hasSomethingToRead(within: 200) else { continue }
      let answer = try socket.receive()
      guard let (source, bytes) = SOCKS.unwrap(answer.bytes), source == destination, bytes == payload else {
        throw WrongBytes(what: "\(answer)")
      }
      return
    }
    throw NeverHappened(description: "an answer of \(destination)")
  }

  private func awaitPeer(_ patience: TimeInterval) throws {
    let client = try client(patience)
    try client.send(SOCKS.noAuthentication)
    guard try client.receive(exactly: 2) == [5, 0] else { throw NeverHappened(description: "method 00") }
    let reply = try client.request(SOCKS.request(command: 2, to: "127.0.0.1:4711"))
    guard reply.code == 0 else { throw NeverHappened(description: "a port; reply \(reply.code)") }
    let peer = try Socket(to: reply.bound)
    peer.setTimeouts(patience)
    guard try client.receiveReply().code == 0 else { throw NeverHappened(description: "the peer") }
    try peer.send("to the client")
    try expect(Array("to the client".utf8), from: client)
  }
}
