import Chance
import Foundation
import Testing

/// Sockeyes behind each other, under load.
@Suite(.blocking)
struct ChainUnderLoadTests {
  private static let name = "target.test"
  private let target: Server
  private let hops: [Sockeye]

  init() throws {
    try raiseDescriptorLimit(to: 4096)
    target = try Server.content()
    // Only the last knows where the target is. Whoever takes a shorter way finds nothing.
    hops = try ["127.0.0.66", "127.0.0.66", "127.0.0.1"].map {
      try Sockeye(Self.table("default: direct", knowing: $0), arguments: ["--workers", "2"])
    }
  }

  private static func table(_ rest: String, knowing address: String) -> String {
    """
    limits: {per_client: 5000, handshakes: 5000}
    hosts: {\(name): \(address)}
    \(rest)

    """
  }

  @Test(arguments: [freshSeed])
  func `three Sockeyes in a chain under 500 downloads and reloads lose nothing and keep nothing`(
    seed: UInt64
  ) throws {
    func table(_ variant: Int) -> String {
      Self.table(
        """
        upstreams:
          a: {url: "socks5://\(hops[0].address)", timeout: \(10 + variant % 3)s}
          b: {url: "socks4a://\(hops[1].address)", timeout: 10s}
          c: {url: "http://\(hops[2].address)", timeout: 10s}
        default: [a, b, c]
        """, knowing: "127.0.0.66")
    }
    let first = try Sockeye(table(0), arguments: ["--workers", "2"])
    let sockeyes = [first] + hops
    let destination = "\(Self.name):\(target.port)"
    func expectWhole() throws {
      let download = Download(content: Content(number: 7, count: 300_000), delivery: .untilTheEnd)
      #expect(try download.run(through: first.address, to: destination) == .whole)
    }

    try expectWhole()
    let descriptors = try sockeyes.map { try $0.process.openDescriptors }
    let load = Load(500, through: first.address, seed: seed) { generator in
      let download = Download.random(Delivery.allCases, using: &generator)
      return Load.Task(name: "\(download.delivery)", target: destination, download: download)
    }
    var resident: [Int] = []
    for number in 1...10 {
      try load.wait(forCount: 100 * number)
      try first.reload(table(number))
      for hop in hops.dropLast() {
        try hop.reload(Self.table("default: direct\nlog: {level: info}", knowing: "127.0.0.66"))
      }
      if number == 5 { resident = try sockeyes.map { try $0.process.residentBytes } }
    }
    try load.end()
    #expect(load.faults == [])
    try expectWhole()
    // For this one no tunnel is kept ready.
    try first.reload("default: reject\n")

    // What the target throws away is thrown away here; everything else comes, unless the client had enough.
    for delivery in Delivery.allCases {
      let expected: Set<Download.Outcome> = [delivery == .reset ? .short(isReset: true) : .whole, .left]
      let outcomes = load.outcomes["\(delivery)"] ?? [:]
      #expect(Set(outcomes.keys).isSubset(of: expected), "\(delivery): \(outcomes)")
    }
    for (index, sockeye) in sockeyes.enumerated() {
      try eventually("of \(index): \(try sockeye.process.openDescriptors), not \(descriptors[index])") {
        // Two ends of each pipe in the pools of two workers.
        try sockeye.process.openDescriptors <= descriptors[index] + 2 * 16 * 2
      }
      let grown = try sockeye.process.residentBytes - resident[index]
      #expect(grown < memoryTolerance, "of \(index): \(grown) bytes")
      #expect(!sockeye.process.hasExited)
    }
  }
}
