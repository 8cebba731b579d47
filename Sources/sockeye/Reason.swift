import Addresses
import Printing
import Routing

/// Why a route takes a request or lets it pass.
///
/// A condition is judged by asking a table of that condition alone: there is one implementation of what conditions
/// mean, and it is the one that serves.
extension Route {
  func takes(_ request: Request) -> Bool { takes(request, when: condition) }

  /// The values that held, as the table writes them: `domain corp.example, port 443`.
  func reasonToTake(_ request: Request) -> String { reasonToTake(request, condition) }

  /// The condition that did not hold.
  func reasonToPass(_ request: Request) -> String { reasonToPass(request, condition) }

  private func takes(_ request: Request, when condition: Condition) -> Bool {
    let route = Route(condition: condition, outcome: outcome, source: source)
    return RouteTable(routes: [route], fallback: .direct).verdict(for: request).route != nil
  }

  private func reasonToTake(_ request: Request, _ condition: Condition) -> String {
    switch condition {
    case .all(let conditions):
      return conditions.isEmpty
        ? "always" : conditions.map { reasonToTake(request, $0) }.joined(separator: ", ")
    case .any(let conditions):
      return conditions.first { takes(request, when: $0) }.map { reasonToTake(request, $0) }
        ?? condition.summary
    case .not(let inner):
      return "not \(inner.summary)"
    default:
      // Halves until one value is left: a list may have a hundred thousand.
      var range = 0..<condition.valueCount
      while range.count > 1 {
        let half = range.lowerBound..<(range.lowerBound + range.count / 2)
        range = takes(request, when: condition.narrowed(to: half)) ? half : half.upperBound..<range.upperBound
      }
      return condition.narrowed(to: range).summary
    }
  }

  private func reasonToPass(_ request: Request, _ condition: Condition) -> String {
    switch condition {
    case .all(let conditions):
      return conditions.first { !takes(request, when: $0) }.map { reasonToPass(request, $0) }
        ?? condition.summary
    default: return condition.summary
    }
  }
}

extension Condition {
  /// The condition on one line, as the table writes it, with at most three values of a list.
  var summary: String {
    switch self {
    case .domain(let values): Self.summary("domain", values)
    case .host(let values): Self.summary("host", values)
    case .ip(let values): Self.summary("ip", values)
    case .port(let values): Self.summary("port", values.map(\.summary))
    case .network(let values): Self.summary("network", values)
    case .command(let values): Self.summary("command", values)
    case .client(let values): Self.summary("client", values)
    case .user(let values): Self.summary("user", values)
    case .listener(let values): Self.summary("listener", values)
    case .any(let conditions): "any (\(Self.joined(conditions)))"
    case .all(let conditions): conditions.isEmpty ? "always" : "all (\(Self.joined(conditions)))"
    case .not(let condition): "not \(condition.summary)"
    }
  }

  fileprivate var valueCount: Int {
    switch self {
    case .domain(let values): values.count
    case .host(let values): values.count
    case .ip(let values), .client(let values): values.count
    case .port(let values): values.count
    case .network(let values): values.count
    case .command(let values): values.count
    case .user(let values), .listener(let values): values.count
    case .any, .all, .not: 1
    }
  }

  /// The same with only some of its values.
  fileprivate func narrowed(to range: Range<Int>) -> Condition {
    switch self {
    case .domain(let values): .domain(Array(values[range]))
    case .host(let values): .host(Array(values[range]))
    case .ip(let values): .ip(Array(values[range]))
    case .port(let values): .port(Array(values[range]))
    case .network(let values): .network(Array(values[range]))
    case .command(let values): .command(Array(values[range]))
    case .client(let values): .client(Array(values[range]))
    case .user(let values): .user(Array(values[range]))
    case .listener(let values): .listener(Array(values[range]))
    case .any, .all, .not: self
    }
  }

  private static func summary(_ key: String, _ values: [some CustomStringConvertible]) -> String {
    let shown = values.prefix(3).map { $0.description.printable }
    let more = values.count > 3 ? " and \(values.count - 3) more" : ""
    return "\(key) \(shown.joined(separator: ", "))\(more)"
  }

  private static func summary(_ key: String, _ values: [some RawRepresentable<String>]) -> String {
    summary(key, values.map(\.rawValue))
  }

  private static func joined(_ conditions: [Condition]) -> String {
    let more = conditions.count > 3 ? "; \(conditions.count - 3) more" : ""
    return conditions.prefix(3).map(\.summary).joined(separator: "; ") + more
  }
}

extension ClosedRange<UInt16> {
  fileprivate var summary: String { count == 1 ? "\(lowerBound)" : "\(lowerBound)-\(upperBound)" }
}
