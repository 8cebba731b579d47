extension Condition {
  /// In the order to ask them within a group: what is looked up before patterns, and expressions last.
  ///
  /// The order cannot change whether the group holds; it saves work, and lets what is cheap settle the matter before
  /// an expression can give up.
  static func cheapFirst(_ conditions: [Condition]) -> [Condition] {
    conditions.enumerated()
      .map { (cost: $1.cost, position: $0, condition: $1) }
      .sorted { ($0.cost, $0.position) < ($1.cost, $1.position) }
      .map(\.condition)
  }

  private var cost: Int {
    switch self {
    case .host(let patterns): patterns.lazy.map(\.cost).max() ?? 0
    case .any(let conditions), .all(let conditions): conditions.lazy.map(\.cost).max() ?? 0
    case .not(let condition): condition.cost
    case .domain, .ip, .port, .network, .command, .client, .user, .listener: 0
    }
  }
}

extension HostPattern {
  var cost: Int {
    switch self {
    case .exact: 0
    case .glob: 1
    case .expression: 2
    }
  }
}
