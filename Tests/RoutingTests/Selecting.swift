import Addresses
import Chance
import Testing

@testable import Routing

/// What tests of selections share: plans of upstreams whose names are one letter each, and connections that take them.
protocol Selecting {}

extension Selecting {
  static var second: Moment { 1_000_000_000 }

  func upstream(_ name: String, udp: Upstream.UDPSupport? = nil) throws -> Upstream {
    Upstream(name: name, endpoint: Endpoint(.name(try DomainName("\(name).test")), port: 1080), udp: udp)
  }

  func upstreams(_ names: String) throws -> [Stop] {
    try names.map { .upstream(try upstream(String($0))) }
  }

  func group(_ names: String, _ strategy: Group.Strategy, weights: [Int] = []) throws -> Group {
    let members = try upstreams(names).enumerated().map { index, stop in
      Group.Member(stop, weight: index < weights.count ? weights[index] : 1)
    }
    return Group(name: "g", members: members, strategy: strategy)
  }

  func itinerary(
    _ names: String, _ mode: Itinerary.Mode, length: ClosedRange<Int>? = nil
  ) throws -> Plan {
    Plan(
      .itinerary(
        Itinerary(
          name: "c", try upstreams(names).map { Itinerary.Position([$0]) }, mode: mode, length: length)))
  }

  /// The way of each of `count` connections, one after the other.
  func ways(
    _ count: Int, by plan: Plan, _ standings: inout Standings, at now: Moment = second,
    request: (Int) throws -> Request = { _ in try Request("example.com") }
  ) throws -> [String] {
    var generator = SeededGenerator(seed: 7)
    return try (0..<count).map { index in
      let selection = standings.choose(by: plan, for: try request(index), at: now, using: &generator)
      return selection?.way.description ?? "none"
    }
  }

  func counts(_ ways: [String]) -> [String: Int] {
    ways.reduce(into: [:]) { $0[$1, default: 0] += 1 }
  }

  func failing(_ names: String, at now: Moment = second) -> Standings {
    var standings = Standings()
    for name in names { standings.update(String(name)) { $0.fail(at: now, jitter: 0.5) } }
    return standings
  }
}

/// Counts the random numbers that are taken.
struct CountingGenerator: RandomNumberGenerator {
  var base: SeededGenerator
  var count = 0

  mutating func next() -> UInt64 {
    count += 1
    return base.next()
  }
}
