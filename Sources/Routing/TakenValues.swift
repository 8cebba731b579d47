import Addresses

/// Which route takes a value, whatever else a request says: what the routes added so far leave to later ones.
struct TakenValues {
  private var commands: [Request.Command: Int] = [:]
  private var domains: [Substring: Int] = [:]
  /// The names below these, but not these themselves.
  private var below: [Substring: Int] = [:]
  private var names: [Substring: Int] = [:]
  private var addresses = TakenPrefixes()
  private var clients = TakenPrefixes()
  private var users: [String: Int] = [:]
  private var listeners: [String: Int] = [:]
  private var ports = TakenPorts()

  /// Notes the values that are enough for `condition` to hold.
  mutating func add(_ condition: Condition, by route: Int) {
    switch condition {
    case .domain(let values): for value in values { domains.note(value.text[...], route) }
    case .host(let values):
      let patterns = HostPatterns(values)
      for name in patterns.names { names.note(name.text[...], route) }
      for name in patterns.below { below.note(name.text[...], route) }
      for address in patterns.addresses { addresses.add(address, by: route) }
    case .ip(let values): for value in values { addresses.add(value, by: route) }
    case .client(let values): for value in values { clients.add(value, by: route) }
    case .port(let ranges): for range in ranges { ports.add(range, by: route) }
    case .network(let values): for value in values { add(.command(value.commands), by: route) }
    case .command(let values): for value in values { commands.note(value, route) }
    case .user(let values): for value in values { users.note(value, route) }
    case .listener(let values): for value in values { listeners.note(value, route) }
    case .any(let conditions): for condition in conditions { add(condition, by: route) }
    case .all(let conditions):
      if conditions.isEmpty { add(.command(Request.Command.allCases), by: route) }
      if conditions.count == 1 { add(conditions[0], by: route) }
    case .not: break
    }
  }

  /// The last route needed to take whatever `condition` describes; `nil` when something may be left.
  ///
  /// - Parameter onlyByAddress: only what routes take by destination address counts.
  func taker(of condition: Condition, onlyByAddress: Bool) -> Int? {
    if !onlyByAddress, let taker = Self.last(Request.Command.allCases, { commands[$0] }) { return taker }
    switch condition {
    case .ip(let values): return Self.last(values, addresses.taker)
    case .host(let values):
      let patterns = HostPatterns(values)
      guard patterns.globs.isEmpty, patterns.expressions.isEmpty else { return nil }
      let named = patterns.names.map { onlyByAddress ? nil : taker(of: $0.text) }
      let nested = patterns.below.map { onlyByAddress ? nil : taker(below: $0.text[...]) }
      return Self.last(named + nested + patterns.addresses.map(addresses.taker)) { $0 }
    case .any(let conditions): return Self.last(conditions) { taker(of: $0, onlyByAddress: onlyByAddress) }
    case .all(let conditions):
      return conditions.lazy.compactMap { taker(of: $0, onlyByAddress: onlyByAddress) }.first
    case _ where onlyByAddress: return nil
    case .domain(let values): return Self.last(values) { Self.suffixes(of: $0.text[...], in: domains) }
    case .client(let values): return Self.last(values, clients.taker)
    case .port(let ranges): return Self.last(ranges, ports.taker)
    case .network(let values): return Self.last(values.flatMap(\.commands)) { commands[$0] }
    case .command(let values): return Self.last(values) { commands[$0] }
    case .user(let values): return Self.last(values) { users[$0] }
    case .listener(let values): return Self.last(values) { listeners[$0] }
    case .not: return nil
    }
  }

  private func taker(of name: String) -> Int? {
    if let taker = names[name[...]] ?? Self.suffixes(of: name[...], in: domains) { return taker }
    return Self.parent(of: name[...]).flatMap { Self.suffixes(of: $0, in: below) }
  }

  private func taker(below name: Substring) -> Int? {
    Self.suffixes(of: name, in: domains) ?? Self.suffixes(of: name, in: below)
  }

  private static func suffixes(of name: Substring, in takers: [Substring: Int]) -> Int? {
    var rest: Substring? = name
    while let suffix = rest {
      if let taker = takers[suffix] { return taker }
      rest = parent(of: suffix)
    }
    return nil
  }

  private static func parent(of name: Substring) -> Substring? {
    name.utf8.firstIndex(of: UInt8(ascii: ".")).map { name[name.utf8.index(after: $0)...] }
  }

  /// The last of the takers of `values`, when there are values and each has one.
  private static func last<Value>(_ values: [Value], _ taker: (Value) -> Int?) -> Int? {
    var last: Int?
    for value in values {
      guard let taker = taker(value) else { return nil }
      last = max(last ?? taker, taker)
    }
    return last
  }
}

extension Request.Network {
  fileprivate var commands: [Request.Command] { Request.Command.allCases.filter { $0.network == self } }
}

extension Dictionary where Value == Int {
  /// The first to come stays.
  fileprivate mutating func note(_ key: Key, _ route: Int) {
    if self[key] == nil { self[key] = route }
  }
}

private struct TakenPrefixes {
  private var takers: [Prefix: Int] = [:]
  /// The lengths among them, of which there are few.
  private var lengths4: Set<Int> = []
  private var lengths6: Set<Int> = []

  mutating func add(_ prefix: Prefix, by route: Int) {
    takers.note(prefix, route)
    if prefix.address.bitWidth == 32 {
      lengths4.insert(prefix.length)
    } else {
      lengths6.insert(prefix.length)
    }
  }

  func taker(of prefix: Prefix) -> Int? {
    let lengths = prefix.address.bitWidth == 32 ? lengths4 : lengths6
    return lengths.lazy.filter { $0 <= prefix.length }
      .compactMap { takers[Prefix(prefix.address, length: $0)] }.min()
  }
}

private struct TakenPorts {
  /// Ascending, neither touching nor overlapping, each with the last route that widened it.
  private var spans: [(range: ClosedRange<Int>, by: Int)] = []

  mutating func add(_ ports: ClosedRange<UInt16>, by route: Int) {
    guard taker(of: ports) == nil else { return }
    var range = Int(ports.lowerBound)...Int(ports.upperBound)
    let first = firstSpan(endingAtOrAfter: range.lowerBound - 1)
    var end = first
    while end < spans.count, spans[end].range.lowerBound <= range.upperBound + 1 {
      let other = spans[end].range
      range = min(range.lowerBound, other.lowerBound)...max(range.upperBound, other.upperBound)
      end += 1
    }
    spans.replaceSubrange(first..<end, with: [(range, route)])
  }

  func taker(of ports: ClosedRange<UInt16>) -> Int? {
    let position = firstSpan(endingAtOrAfter: Int(ports.upperBound))
    guard position < spans.count, spans[position].range.contains(Int(ports.lowerBound)) else { return nil }
    return spans[position].by
  }

  private func firstSpan(endingAtOrAfter port: Int) -> Int {
    var low = 0
    var high = spans.count
    while low < high {
      let middle = (low + high) / 2
      if spans[middle].range.upperBound < port { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
