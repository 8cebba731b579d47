import Addresses
import Patterns

extension Condition: CustomStringConvertible {
  /// For people: `domain corp.example`, `port 25 or 465`, `not (ip 10.0.0.0/8)`. Of many values the first three
  /// stand for all. User names are as the table writes them.
  package var description: String {
    switch self {
    case .domain(let values): "domain \(Self.alternatives(values.map(\.text)))"
    case .host(let values): "host \(Self.alternatives(values.map(\.description)))"
    case .ip(let values): "ip \(Self.alternatives(values.map(\.description)))"
    case .port(let values): "port \(Self.alternatives(values.map(Self.text)))"
    case .network(let values): "network \(Self.alternatives(values.map(\.rawValue)))"
    case .command(let values): "command \(Self.alternatives(values.map(\.rawValue)))"
    case .client(let values): "client \(Self.alternatives(values.map(\.description)))"
    case .user(let values): "user \(Self.alternatives(values))"
    case .listener(let values): "listener \(Self.alternatives(values))"
    case .any(let conditions): "any of (\(conditions.map(\.description).joined(separator: "; ")))"
    case .all(let conditions) where conditions.isEmpty: "always"
    case .all(let conditions): "all of (\(conditions.map(\.description).joined(separator: "; ")))"
    case .not(let condition): "not (\(condition))"
    }
  }

  static func text(_ ports: ClosedRange<UInt16>) -> String {
    ports.count == 1 ? "\(ports.lowerBound)" : "\(ports.lowerBound)-\(ports.upperBound)"
  }

  private static func alternatives(_ values: [String]) -> String {
    guard values.count > 3 else { return values.joined(separator: " or ") }
    return "\(values.prefix(3).joined(separator: ", ")) or \(values.count - 3) more"
  }
}
