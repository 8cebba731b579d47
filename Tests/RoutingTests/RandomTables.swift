import Addresses
import Chance

@testable import Routing

/// Small tables over few values, so that routes collide, nest and hide one another as often as they can.
struct RandomTables: RandomNumberGenerator {
  private var generator: SeededGenerator
  /// Whether conditions speak of names.
  private let hasNames: Bool

  init(seed: UInt64, hasNames: Bool = true) {
    generator = SeededGenerator(seed: seed)
    self.hasNames = hasNames
  }

  mutating func next() -> UInt64 { generator.next() }

  mutating func pick<Value>(_ values: [Value]) -> Value {
    values[Int.random(in: values.indices, using: &self)]
  }

  mutating func some<Value>(_ make: (inout RandomTables) throws -> Value) rethrows -> [Value] {
    try (0..<Int.random(in: 1...3, using: &self)).map { _ in try make(&self) }
  }

  mutating func name() throws -> DomainName {
    let labels = some { $0.pick(["a", "b", "xa", "a-b"]) } + [pick(["test", "example", "a"])]
    return try DomainName(labels.joined(separator: "."))
  }

  mutating func address() -> IPAddress {
    let bits =
      UInt32(pick([0, 10, 127, 192])) << 24 | UInt32(pick([0, 1, 255])) << 16 | UInt32(pick([0, 1, 2]))
    switch Int.random(in: 0...7, using: &self) {
    case 0: return .v6(UInt128(bits))
    case 1: return .v6(0x64_ff9b << 96 | UInt128(bits))
    case 2: return .v6(0x2002 << 112 | UInt128(bits) << 80 | UInt128(pick([0, 1])))
    case 3: return .v6(pick([0, 1, 0xfc00 << 112, 0xfd00 << 112 | 1]))
    default: return .v4(bits)
    }
  }

  mutating func prefix() -> Prefix {
    let address = address()
    let lengths = [0, 1, 7, 8, 9, 16, 24, 31, 32] + (address.bitWidth == 128 ? [48, 96, 104, 127, 128] : [])
    return Prefix(address, length: pick(lengths))
  }

  mutating func pattern() throws -> HostPattern {
    switch Int.random(in: 0...5, using: &self) {
    case 0: try HostPattern("*." + name().text)
    case 1: try HostPattern(pick(["*", "a*", "*a*", "*a.*a", "*.*.*", "a*b*test"]))
    case 2: try HostPattern(pick(["/^a/", "/b.*test$/", "/^(a|b)\\./"]))
    case 3: .exact(.address(address().unmapped))
    default: .exact(.name(try name()))
    }
  }

  mutating func condition(depth: Int) throws -> Condition {
    switch Int.random(in: (hasNames ? 0 : 4)...(depth > 0 ? 15 : 10), using: &self) {
    case 0, 1: .domain(try some { try $0.name() })
    case 2, 3: .host(try some { try $0.pattern() })
    case 4, 5: .ip(some { $0.prefix() })
    case 6:
      .port(
        some {
          let low = UInt16($0.pick([25, 80, 443])); return low...($0.pick([low, 443, 65535]))
        })
    case 7: pick([.network([.tcp]), .network([.udp]), .network([.udp, .tcp])])
    case 8: pick([.command([.bind]), .command([.connect, .udp])])
    case 9: .client(some { $0.prefix() })
    case 10:
      pick([
        .user(["alice"]), .user(["bob", "alice"]), .listener(["inside"]), .listener(["[::1]:1080", "x"]),
      ])
    case 11, 12:
      .any(try (0..<Int.random(in: 0...3, using: &self)).map { _ in try condition(depth: depth - 1) })
    case 13, 14:
      .all(try (0..<Int.random(in: 0...3, using: &self)).map { _ in try condition(depth: depth - 1) })
    default: .not(try condition(depth: depth - 1))
    }
  }

  mutating func routes() throws -> [Route] {
    try (1...Int.random(in: 1...12, using: &self)).map { line in
      let outcome = try outcome()
      return Route(
        condition: try condition(depth: 3), outcome: outcome, udp: try alternative(to: outcome),
        source: SourceLine(file: "random.yaml", line: line))
    }
  }

  mutating func outcome() throws -> Outcome {
    try pick([
      .direct, .reject, .drop, .through(.auto), .through(.yes), .through(.no), .through(.auto, .no),
    ])
  }

  private mutating func alternative(to outcome: Outcome) throws -> Outcome? {
    guard case .chain = outcome else { return nil }
    return try pick([nil, .direct, .reject, .through(.auto, .yes)])
  }

  mutating func request() throws -> Request {
    Request(
      pick(Request.Command.allCases),
      to: Endpoint(
        pick([.name(try name()), .address(address().unmapped)]), port: pick([25, 79, 80, 443, 444])),
      client: pick([nil, address().unmapped]), user: pick([nil, "alice", "bob", "Alice"]),
      listener: pick([ListenerID(address: "[::1]:1080"), ListenerID(address: "0.0.0.0:1080", name: "inside")])
    )
  }
}
