import Addresses
import Config
import Routing

/// A table of 100,000 domains and 20,000 prefixes in twenty routes: how fast it loads, and how fast it decides.
enum Verdicts {
  private static let routes = 10
  private static let domains = 10_000
  private static let prefixes = 2_000

  static func measure(in directory: TemporaryDirectory) throws -> Sample {
    var random = Random(seed: 1)
    let text = table(using: &random)
    let path = "\(directory.path)/large.yaml"
    try Files.write(text, to: path)
    let begin = Machine.processorSeconds
    guard let table = ConfigurationLoader().load(path).configuration?.table else {
      throw Machine.Failure(description: "the large table does not load")
    }
    let loaded = Machine.processorSeconds
    let requests = requests(using: &random)

    var matched = 0
    let passes = 10
    let start = Machine.processorSeconds
    for _ in 0..<passes {
      for request in requests where table.verdict(for: request).route != nil { matched += 1 }
    }
    let seconds = Machine.processorSeconds - start
    // Half of the requests are made to match; a table that matches none was not the one that was meant.
    guard matched >= passes * requests.count / 3 else {
      throw Machine.Failure(description: "the large table matched \(matched) requests only")
    }
    return [.rate: Double(passes * requests.count) / seconds, .load: loaded - begin]
  }

  private static func domain(_ index: Int) -> String { "site\(index).zone\(index % 97).example" }

  private static func table(using random: inout Random) -> String {
    var lines = ["routes:"]
    for route in 0..<routes {
      lines.append("  - domain:")
      lines += (0..<domains).map { "      - \(domain(route * domains + $0))" }
      lines.append("    via: reject")
      lines.append("  - ip:")
      lines += (0..<prefixes).map { _ in
        let length = 16 + Int(random.next() % 13)
        return "      - \(Prefix(.v4(UInt32(truncatingIfNeeded: random.next())), length: length))"
      }
      lines.append("    via: reject")
    }
    lines.append("default: direct")
    return lines.joined(separator: "\n") + "\n"
  }

  /// Names below listed ones, names that no route knows, and addresses anywhere.
  private static func requests(using random: inout Random) -> [Request] {
    (0..<60_000).compactMap { index in
      let any = Int(random.next() % UInt64(routes * domains))
      return switch index % 4 {
      case 0, 1: Endpoint("www.\(domain(any)):443").map { Request(to: $0) }
      case 2: Endpoint("www.unknown\(any).example:443").map { Request(to: $0) }
      default: Request(to: Endpoint(.v4(UInt32(truncatingIfNeeded: random.next())), port: 443))
      }
    }
  }
}

/// SplitMix64: the same table in every run.
struct Random: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) {
    state = seed
  }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed >> 31)
  }
}
