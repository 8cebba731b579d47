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

  /// Each call comes once before one comes twice.
  private static func chosen(_ stage: Fault.Stage, seed: UInt64) -> [Fault] {
    let all = Fault.all(in: stage).filter { only == nil || $0.call == only }
    guard !isWhole, only == nil else { return all }
    var generator = SeededGenerator(seed: seed)
    var turns: [String: Int] = [:]
    let inTurn = all.shuffled(using: &generator).map { fault in
      turns[fault.call, default: 0] += 1
      return (turn: turns[fault.call, default: 0], fault: fault)
    }
    return (1...(turns.values.max() ?? 1)).flatMap { turn in
      inTurn.filter { $0.turn == turn }.map(\.fault)
    }.prefix(count).map { $0 }
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
    var bench = try FaultBench()
    for fault in Self.chosen(.load, seed: seed) {
      Self.attempt(fault) {
        do {
          try bench.run(fault)
        } catch {
          Issue.record("\(fault): \(error)\n\(bench.sockeye.sockeye.log.suffix(30).joined(separator: "\n"))")
        }
      }
    }
  }

  private static func attempt(_ fault: Fault, _ body: () throws -> Void) rethrows {
    let start = ContinuousClock.now
    try body()
    report("\(fault): \(ContinuousClock.now - start)")
  }

  @Test(
    .enabled(if: !isSanitized),
    arguments: seeds(1))
  func `a system call that fails at the start ends the program with an error, or harms nothing`(seed: UInt64)
    throws
  {
    let echo = try Server.echo()
    for fault in Self.chosen(.start, seed: seed &+ 1) {
      try Self.attempt(fault) { try expectStart(from: fault, echo) }
    }
  }

  private func expectStart(from fault: Fault, _ echo: Server) throws {
    let faultSwitch = try FaultSwitch()
    let manager = try NotifySocket()
    let directory = try TemporaryDirectory()
    let control = directory.path + "/control"
    let file = try directory.write(
      """
      listen: 127.0.0.1:0
      control: unix:\(control)
      upstreams: {hop: "socks5+tls://127.0.0.1:9"}
      routes:
        - {host: '/^hop[.]/', via: hop}
      default: direct

      """, to: "table.yaml")
    faultSwitch.set(fault)
    let environment = try faultSwitch.environment.merging(["NOTIFY_SOCKET": manager.path]) { $1 }
    let process = try ChildProcess(
      try Sockeye.program(), ["serve", file, "--workers", "2"], environment: environment)
    // When `sendto` fails, the service manager does not hear of it, and when `write` fails, the log does not say it.
    try eventually("the start or an error, though \(fault); it said \(process.lines.all)") {
      process.hasExited || manager.messages.all.contains("READY=1")
        || (faultSwitch.calls > 0 && process.lines.all.contains { $0.contains("listening on") })
    }
    faultSwitch.clear()
    #expect(throws: Never.self, "\(fault): \(process.lines.all)") { try faultSwitch.checkReached(by: fault) }
    guard !process.hasExited else {
      let exit = try process.wait()
      #expect(exit.status == 1, "\(fault): \(exit)")
      #expect(
        fault.call == "write" || exit.errors.contains { $0.contains(/error|cannot/) }, "\(fault): \(exit)")
      return
    }
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

  @Test(.enabled(if: !isSanitized), arguments: [EMFILE, ENFILE, ENOMEM, EACCES, ENOENT])
  func `a shortage while the system's authorities are read refuses the table, and trusts nobody less`(
    error: Int32
  ) throws {
    let faultSwitch = try FaultSwitch()
    let directory = try TemporaryDirectory()
    let file = try directory.write(
      "listen: 127.0.0.1:0\nupstreams: {hop: \"socks5+tls://127.0.0.1:9\"}\ndefault: hop\n", to: "table.yaml")
    let fault = Fault(call: "fopen", effect: .error(error), rhythm: .always)
    faultSwitch.set(fault)
    let exit = try ChildProcess.run(
      try Sockeye.program(), ["check", file], environment: try faultSwitch.environment)
    try faultSwitch.checkReached(by: fault)
    let isShortage = ![EACCES, ENOENT].contains(error)
    #expect(exit.status == (isShortage ? 1 : 0), "\(exit)")
    #expect(exit.description.contains("OpenSSL cannot be used (memory or descriptors ran out") == isShortage)
  }

  @Test(
    .enabled(if: !isSanitized),
    arguments: seeds(1))
  func `a system call that fails while the program ends does not keep it`(seed: UInt64) throws {
    let echo = try Server.echo()
    for fault in Self.chosen(.end, seed: seed &+ 2) {
      try Self.attempt(fault) {
        let faultSwitch = try FaultSwitch()
        let manager = try NotifySocket()
        let controlled = try ControlledSockeye(
          "timeouts: {drain: 1s}\ndefault: direct\n",
          environment: try faultSwitch.environment.merging(["NOTIFY_SOCKET": manager.path]) { $1 })
        _ = try controlled.status()
        let client = try Socket(to: controlled.sockeye.address)
        #expect(try client.requestConnect(to: echo.address).code == 0)
        faultSwitch.set(fault)
        controlled.sockeye.signal(SIGTERM)
        client.finish()
        let exit = try controlled.sockeye.process.wait()
        #expect(exit.status == 0, "\(fault): \(exit)")
        #expect(throws: Never.self) { try faultSwitch.checkReached(by: fault) }
      }
    }
  }

  @Test(.enabled(if: !isSanitized))
  func `every function of the C library that can fail is made to fail`() throws {
    func symbols(_ option: String, of path: String) throws -> [String] {
      let exit = try ChildProcess.run(try Program("nm", package: "binutils"), ["-D", option, path])
      guard exit.status == 0 else { throw NeverHappened(description: "the symbols of \(path): \(exit)") }
      return exit.output.compactMap { $0.split(separator: " ").last.map(String.init) }
    }
    let program = try Sockeye.program().path
    let called = Set(
      try symbols("--undefined-only", of: program).compactMap { name in
        name.firstMatch(of: /^(.+)@GLIBC_/).map { String($0.1) }
      })
    let failing = Set(try symbols("--defined-only", of: FaultSwitch.library).filter { !$0.hasPrefix("_") })
    let reasons = Self.unfailing.flatMap { reason in reason.functions.map { ($0, reason.why) } }
    let excused = Set(reasons.map(\.0))
    // OpenSSL's name of `fopen`.
    #expect(failing.subtracting(["fopen64"]).symmetricDifference(Fault.callNames) == [])
    #expect(called.subtracting(failing).symmetricDifference(excused) == [])
    #expect(reasons.count == excused.count)
  }

  /// The functions that never fail on purpose.
  private static let unfailing: [(why: String, functions: [String])] = [
    (
      "no system call",
      [
        "__cxa_finalize", "__errno_location", "__libc_start_main", "__stack_chk_fail", "__tls_get_addr",
        "ceil", "exit", "floor", "free", "getenv", "htons", "memcmp", "memcpy", "memmove",
        "memset", "ntohs", "posix_spawnattr_destroy", "posix_spawnattr_init", "posix_spawnattr_setflags",
        "posix_spawnattr_setsigmask", "rint", "round", "sigaddset", "sigemptyset", "strcpy", "strerror",
        "strlen",
        "trunc", "unsetenv",
      ]
    ),
    (
      "cannot fail as it is called",
      [
        "clock_gettime", "geteuid", "getgid", "getpid", "getuid", "mallopt", "pause", "pthread_detach",
        "pthread_mutex_lock", "pthread_mutex_unlock", "pthread_once", "pthread_sigmask", "sem_destroy",
        "sem_init",
        "sem_post", "sysconf",
      ]
    ),
    (
      "its failure is an answer like others",
      ["access", "fgetxattr", "if_nametoindex", "isatty"]
    ),
    (
      "waits for standard error, for seconds at most, while the program ends: its failure costs the last lines",
      ["poll"]
    ),
    ("of `run` only, which serves one program", ["kill", "mkostemp", "posix_spawnp", "pread", "waitpid"]),
    ("reads and closes what `fopen` has opened", ["__isoc99_fscanf", "fclose"]),
  ]
}

/// The program with the fault library in it, and everybody that it talks to, without.
private struct FaultBench {
  /// A new one for each fault.
  private(set) var sockeye: ControlledSockeye
  private let table: String
  private let faultSwitch: FaultSwitch
  private let first: Sockeye
  private let second: Sockeye
  private let tls: Stunnel
  private let names: NameServer
  private let direct: Server
  private let chained: Server
  private let secured: Server
  private let bulk: Server
  private let cut: Server
  private let datagrams: DatagramServer
  private let chainedDatagrams: DatagramServer

  private static let bulkCount = 3 << 20
  private static let cutCount = 20_000

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
    cut = try Server { client in
      _ = try client.receive(exactly: 1)
      try Pattern.stream(Self.cutCount) { try client.send($0) }
      client.resetWhenClosed()
    }
    datagrams = try .echo(recording: false)
    chainedDatagrams = try .echo(recording: false)
    table = """
      upstreams:
        h1: {url: "socks5://\(first.address)", pipeline: no}
        h2: {url: "socks5://\(second.address)", pipeline: no}
        t1: {url: "socks5+tls://\(tls.address)", insecure: true, pipeline: no}
      timeouts: {handshake: 3s, dns: 1s, dial: 2s, bind: 3s, udp_idle: 5s, drain: 1s}
      limits: {per_client: 5000}
      \(names.table)
      routes:
        - {host: '/^never[.]/', via: reject}
        - {port: [\(chained.port), \(chainedDatagrams.port)], via: [h1, h2]}
        - {port: \(secured.port), via: [t1, h2]}
      default: direct

      """
    sockeye = try ControlledSockeye(table, environment: try faultSwitch.environment)
  }

  /// Runs the load while the call fails, and then until it passes without.
  mutating func run(_ fault: Fault) throws {
    faultSwitch.clear()
    // What it keeps for later would spare it calls.
    sockeye = try ControlledSockeye(table, environment: try faultSwitch.environment)
    let blamed = try blame()
    let before = try descriptors()
    faultSwitch.set(fault)
    _ = try load(patience: 4)
    let time = try sockeye.sockeye.process.processorTime
    // Nothing goes on now: whoever is busy spins.
    poll(nil, 0, 200)
    let spent = try sockeye.sockeye.process.processorTime - time
    faultSwitch.clear()
    try faultSwitch.checkReached(by: fault)
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
    try eventually(
      "as many descriptors as before (\(before)); open are \(try sockeye.sockeye.process.openFiles.sorted())",
      within: 60
    ) {
      try descriptors() == before
    }
  }

  /// How many descriptors are open, but for tunnels that are ready for later connections, and pipes, which are kept too.
  private func descriptors() throws -> Int {
    let ready = try sockeye.status().warm_chains.map(\.ready).reduce(0, +)
    // Swift keeps /dev/urandom open when getrandom(2) has failed.
    let files = try sockeye.sockeye.process.openFiles.filter {
      !$0.hasPrefix("pipe:") && $0 != "/dev/urandom"
    }
    return files.count - ready
  }

  /// How often each upstream failed, by phase.
  private func blame() throws -> [String: [String: Int]] {
    Dictionary(uniqueKeysWithValues: try sockeye.status().upstreams.map { ($0.name, $0.failed) })
  }

  private func expectRecovery(from fault: Fault) throws {
    sockeye.sockeye.signal(SIGHUP)
    var last: [Result<Void, any Error>] = []
    try eventually("the load passes after \(fault); the last said \(last)", within: 60) {
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
      { [self] in try downloadUntilCut(patience) },
      { [self] in try echoDatagram(datagrams.address, patience) },
      { [self] in try echoDatagram(chainedDatagrams.address, patience) },
      { [self] in try awaitPeer(patience) },
      { [self] in _ = try sockeye.status() },
      { [self] in try reload() },
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

  /// What the server has sent before it resets arrives, and then a reset.
  private func downloadUntilCut(_ patience: TimeInterval) throws {
    let client = try client(patience)
    guard try client.requestConnect(to: cut.address).code == 0 else {
      throw NeverHappened(description: "a connection that is cut")
    }
    try client.send(1)
    try Pattern.stream(Self.cutCount) { try expect($0, from: client) }
    guard try client.receiveToEnd() == ([], .reset) else { throw NeverHappened(description: "the reset") }
  }

  /// A listener comes and goes.
  private func reload() throws {
    sockeye.sockeye.signal(SIGHUP)
    let other = "listen: [127.0.0.1:0, \"unix:\(sockeye.sockeye.directory.path)/socks\"]\n"
    for table in [other + table, table] {
      try sockeye.write(table)
      let exit = try sockeye.ask("reload")
      guard exit.status == 0 else { throw NeverHappened(description: "a reload: \(exit)") }
    }
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
