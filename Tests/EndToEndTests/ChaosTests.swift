import Chance
import Foundation
import Testing

/// Hops that die and come back at random under load.
@Suite(.blocking, .serialized)
struct ChaosTests {
  // How long hops are killed, and what chance is made from.
  private static let seconds = environment("SOCKEYE_CHAOS_SECONDS") ?? 6
  private static let seed = environment("SOCKEYE_CHAOS_SEED") ?? .random(in: 1...UInt64.max)

  private static func environment(_ name: String) -> UInt64? {
    ProcessInfo.processInfo.environment[name].flatMap(UInt64.init)
  }

  /// One target for each way to lead there, so that it can tell which connections have no business there.
  private struct Destination: Sendable {
    let name: String
    let via: String
    /// Where connections to it come from, when they came the way that the table says.
    let sources: String
    let target: Server
    /// Whether each of its hops resets what it cannot finish, so that a cut stream cannot look whole.
    var resets = false

    init(_ name: String, via: String, sources: String, resets: Bool = false) throws {
      self.name = name
      self.via = via
      self.sources = sources
      self.resets = resets
      target = try Server.content()
    }
  }

  private let entries: [MortalHop]
  private let exits: [MortalHop]
  private let resetting: [MortalHop]
  private let behind: MortalHop
  private let steady: Sockeye
  private let lasting: Microsocks
  /// Which closes whatever comes.
  private let dead: Server
  private let destinations: [Destination]

  init() throws {
    try raiseDescriptorLimit(to: 4096)
    let behind = try MortalHop(external: "127.0.2.2") { try Microsocks(on: $0, external: $1) }
    self.behind = behind
    entries = [
      try MortalHop(external: "127.0.2.1") { try Dante(on: $0, external: $1) },
      try MortalHop(external: "127.0.2.2") { port, _ in
        try Sockeye(
          """
          listen: 127.0.0.1:\(port)
          upstreams: {behind: "socks5://\(behind.address)"}
          limits: {per_client: 5000}
          default: behind

          """)
      },
      try MortalHop(external: "127.0.2.3") { try Tinyproxy(on: $0, external: $1) },
    ]
    exits = [
      try MortalHop(external: "127.0.1.1") { try Microsocks(on: $0, external: $1) },
      try MortalHop(external: "127.0.1.2") { try Dante(on: $0, external: $1) },
      try MortalHop(external: "127.0.1.3") { try Tinyproxy(on: $0, external: $1) },
    ]
    resetting = try (5...6).map {
      try MortalHop(external: "127.0.1.\($0)") { try ResettingHop(on: $0, external: $1) }
    }
    steady = try Sockeye("limits: {per_client: 5000}\ndefault: direct\n")
    lasting = try Microsocks(external: "127.0.1.9")
    dead = try Server { _ in }
    destinations = [
      try Destination("failover", via: "[entries, failover]", sources: "127.0.1."),
      try Destination("turns", via: "ready", sources: "127.0.1."),
      try Destination("random", via: "[entries, random]", sources: "127.0.1."),
      try Destination("fastest", via: "[entries, fastest]", sources: "127.0.1."),
      try Destination("least", via: "[entries, least]", sources: "127.0.1."),
      try Destination("sticky", via: "[entries, sticky]", sources: "127.0.1."),
      try Destination("one", via: "entries", sources: "127.0.2."),
      try Destination("three", via: "[first, second, failover]", sources: "127.0.1."),
      try Destination("dynamic", via: "dynamic", sources: "127.0.2."),
      try Destination("tour", via: "tour", sources: "127.0.2."),
      try Destination("circle", via: "circle", sources: "127.0.2."),
      try Destination("resetting", via: "resetting", sources: "127.0.1.", resets: true),
      try Destination("two-resetting", via: "[steady, resetting]", sources: "127.0.1.", resets: true),
      try Destination("known", via: "known", sources: "127.0.1.9"),
    ]
  }

  /// The table; `variant` is what changes from one reload to the next.
  private func table(_ variant: Int) -> String {
    let members = variant.isMultiple(of: 2) ? "[x1, x2, x3, x4]" : "[x3, x2, x1]"
    let routes = destinations.map {
      "  - {name: \($0.name), port: \($0.target.port), via: \($0.via)}"
    }
    return """
      listen: 127.0.0.1:0
      upstreams:
        e1: {url: "socks5://\(entries[0].address)", timeout: 2s}
        e2: {url: "socks4a://\(entries[1].address)", timeout: \(2 + variant % 3)s}
        e3: {url: "http://\(entries[2].address)", timeout: 2s}
        e4: {url: "http://\(entries[1].address)", timeout: 2s}
        x1: {url: "socks5://\(exits[0].address)", timeout: 2s}
        x2: {url: "socks5://\(exits[1].address)", timeout: 2s}
        x3: {url: "http://\(exits[2].address)", timeout: 2s}
        x4: {url: "socks4://\(exits[1].address)", timeout: 2s}
        r1: {url: "socks5://\(resetting[0].address)", timeout: 2s}
        r2: {url: "socks5://\(resetting[1].address)", timeout: 2s}
        steady: socks5://\(steady.address)
        dead: {url: "socks5://\(dead.address)", timeout: 2s}
        lasting: socks5://\(lasting.address)
      groups:
        entries: {members: [e1, e2, e3, e4], strategy: round-robin}
        failover: {members: \(members)}
        turns: {members: \(members), strategy: round-robin}
        random: {members: \(members), strategy: random}
        fastest:
          members: \(members)
          strategy: fastest
          check: {to: "\(steady.address)", every: 500ms, timeout: 2s}
        least: {members: \(members), strategy: least-connections}
        sticky: {members: \(members), strategy: sticky, sticky: destination}
        resetting: {members: [r1, r2], strategy: round-robin}
        known: {members: [dead, lasting]}
      chains:
        first: [{any: [e1, e2]}]
        second: [{any: [e3, e4], optional: true}]
        ready: {hops: [entries, turns], warm: 8}
        dynamic: {hops: [e1, e2, e3], mode: dynamic, warm: 4}
        tour: {hops: [e1, e2, e3], mode: random, length: 1-3}
        circle: {hops: [e1, e3, e4], mode: round-robin, length: 2}
      timeouts: {dial: 10s}
      limits: {per_client: 5000, handshakes: 5000}
      routes:
      \(routes.joined(separator: "\n"))
      default: reject

      """
  }

  private var mortals: [MortalHop] { entries + exits + resetting + [behind] }

  @Test(arguments: [seed])
  func `hops die at random under 500 downloads: each is whole or visibly failed, none goes direct (T32)`(
    seed: UInt64
  ) throws {
    let sockeye = try Sockeye(table(0), arguments: ["--workers", "2"])
    try expectWhole(through: sockeye)
    let descriptors = try sockeye.process.openDescriptors
    let start = Date()
    let destinations = destinations
    let load = Load(500, through: sockeye.address, seed: seed) { generator in
      let destination = destinations.randomElement(using: &generator)!
      return Load.Task(
        name: destination.name, target: destination.target.address,
        download: .random(destination.resets ? Delivery.allCases : [.counted], using: &generator))
    }
    let resident = try wreak(havocOn: sockeye, seed: seed)
    for hop in mortals { try hop.revive() }
    try load.end()
    #expect(load.faults == [])
    try expectWhole(through: sockeye)
    // For this one no tunnel is kept ready, and no group is checked.
    try sockeye.reload("default: reject\n")

    for destination in destinations {
      let outcomes = load.outcomes[destination.name] ?? [:]
      #expect(outcomes[.whole, default: 0] > 0, "\(destination.name): \(outcomes)")
      if destination.resets {
        #expect(outcomes[.short(isReset: false)] == nil, "\(destination.name): a cut stream looks whole")
      }
      let strangers = destination.target.accepted.all.filter { !$0.hasPrefix(destination.sources) }
      #expect(strangers == [], "\(destination.name): not by \(destination.via)")
    }
    for exit in exits {
      let strangers = exit.clients.filter { !$0.hasPrefix("127.0.2.") && $0 != exit.external }
      #expect(strangers == [], "to \(exit.external) around the first hop")
    }
    // Else nothing was put to the test.
    let cut = load.outcomes.values.reduce(0) { $0 + $1[.short(isReset: true), default: 0] }
    #expect(cut > 0 && load.count > 500, "\(load.outcomes)")

    let pauses = log2(Date().timeIntervalSince(start) / 0.75 + 1)
    #expect(dead.accepted.all.count <= 4 + Int(pauses), "a reload made a dead hop look alive")

    #expect(!sockeye.process.hasExited)
    let sessions = load.count + 2 * destinations.count
    try eventually("\(sessions) sessions in the log; there are \(sockeye.sessionCount)") {
      sockeye.sessionCount == sessions
    }
    // Beside what it had: two ends of each pipe in the pools of two workers.
    try eventually("there are \(try sockeye.process.openDescriptors) descriptors of \(descriptors)") {
      try sockeye.process.openDescriptors <= descriptors + 2 * 16 * 2
    }
    let grown = try sockeye.process.residentBytes - resident
    #expect(grown < memoryTolerance, "\(grown) bytes")
  }

  /// Fresh downloads by every way.
  private func expectWhole(through sockeye: Sockeye) throws {
    for destination in destinations {
      let download = Download(content: Content(number: 7, count: 300_000), delivery: .untilTheEnd)
      let outcome = try download.run(through: sockeye.address, to: destination.target.address)
      #expect(outcome == .whole, "\(destination.name)")
    }
  }

  /// Kills hops and brings them back, freezes and thaws them, and reloads the table, until time is over; the most memory
  /// that was in use in the first half.
  private func wreak(havocOn sockeye: Sockeye, seed: UInt64) throws -> Int {
    var generator = SeededGenerator(seed: seed)
    let start = Date()
    let half = start.addingTimeInterval(Double(Self.seconds) / 2)
    let end = start.addingTimeInterval(Double(Self.seconds))
    var resident = 0
    var variant = 0
    while Date() < end {
      poll(nil, 0, .random(in: 20...200, using: &generator))
      let fallen = mortals.filter { $0.state != .up }
      if Int.random(in: 0..<4, using: &generator) < fallen.count {
        let hop = fallen.randomElement(using: &generator)!
        if hop.state == .frozen, .random(using: &generator) { try hop.kill() }
        try hop.revive()
      } else if let hop = mortals.filter({ $0.state == .up }).randomElement(using: &generator) {
        if Int.random(in: 0..<4, using: &generator) == 0 { hop.freeze() } else { try hop.kill() }
      }
      if .random(using: &generator) {
        variant += 1
        try sockeye.reload(table(variant))
      }
      if Date() < half { resident = max(resident, try sockeye.process.residentBytes) }
    }
    return resident
  }
}

extension Sockeye {
  /// How many sessions of CONNECT the log has told of.
  fileprivate var sessionCount: Int { log.count { $0.contains(" connect client=") } }
}

extension MortalHop {
  /// The addresses of those it says it had as clients.
  fileprivate var clients: Set<String> {
    let microsocks = #/client\[\d+\] ([\d.]+): connected to/#
    let tinyproxy = #/Connect \(file descriptor \d+\): ([\d.]+)/#
    let dante = #/: ([\d.]+)\.\d+ [\d.]+ -> /#
    return Set(
      log.compactMap { line in
        line.firstMatch(of: microsocks).map { String($0.1) }
          ?? line.firstMatch(of: tinyproxy).map { String($0.1) }
          ?? line.firstMatch(of: dante).map { String($0.1) }
      })
  }
}
