import Printing
import Routing

/// A plan as `explain` shows it: what it chooses among, and how. What is up at the moment is not asked.
extension Plan {
  /// For people: a line for each proxy, those that stand in something further in.
  var lines: [String] { stop.lines(indent: "  ") }

  var json: JSON { stop.json }
}

extension Upstream {
  /// `tor  socks5://127.0.0.1:9050  (user alice)`
  var text: String {
    let manner = [
      tls?.trustsAnybody == true ? "not verified" : nil, credentials?.description, isolation?.description,
    ].compactMap(\.self)
    return "\(name)  \(scheme)://\(endpoint)"
      + (manner.isEmpty ? "" : "  (\(manner.joined(separator: "; ")))")
  }

  var json: JSON {
    [
      "name": .string(name), "protocol": .string(scheme), "endpoint": .string(endpoint.description),
      "user": credentials.map { .string(String(decoding: $0.username, as: UTF8.self)) } ?? nil,
      "isolated_by": isolation.map { .array($0.keys.map { .string($0.rawValue) }) } ?? nil,
    ]
  }
}

extension Stop {
  fileprivate func lines(indent: String, label: String = "") -> [String] {
    switch self {
    case .upstream(let upstream): return [indent + label + upstream.text]
    case .direct: return [indent + label + "direct"]
    case .group(let group):
      return ["\(indent)\(label)group \(group.name)  \(group.manner)"]
        + group.members.flatMap { member in
          let weight = group.strategy == .random ? "weight \(member.weight)  " : ""
          return member.stop.lines(indent: indent + "  ", label: weight)
        }
    case .itinerary(let itinerary):
      let name = itinerary.name.map { "\($0)  " } ?? ""
      return ["\(indent)\(label)chain \(name)\(itinerary.manner)"]
        + itinerary.positions.enumerated().flatMap { index, position in
          let number = itinerary.isOrdered ? "hop \(index + 1)  " : ""
          return position.lines(label: number, indent: indent + "  ")
        }
    }
  }

  fileprivate var json: JSON {
    switch self {
    case .upstream(let upstream): return upstream.json
    case .direct: return "direct"
    case .group(let group):
      return [
        "group": .string(group.name), "strategy": .string(group.strategy.description),
        "sticky": group.stickiness.map(JSON.string) ?? nil,
        "members": .array(
          group.members.map { ["weight": .int($0.weight), "member": $0.stop.json] }),
      ]
    case .itinerary(let itinerary):
      return [
        "chain": itinerary.name.map(JSON.string) ?? nil, "mode": .string(itinerary.mode.rawValue),
        "length": itinerary.lengthText.map(JSON.string) ?? nil,
        "positions": .array(
          itinerary.positions.map { position in
            ["optional": .bool(position.isOptional), "any": .array(position.choices.map(\.json))]
          }),
      ]
    }
  }
}

extension Itinerary.Position {
  fileprivate func lines(label: String, indent: String) -> [String] {
    let label = label + (isOptional ? "if up  " : "")
    if choices.count == 1 { return choices[0].lines(indent: indent, label: label) }
    return ["\(indent)\(label)the first of these that is up"]
      + choices.flatMap { $0.lines(indent: indent + "  ") }
  }
}

extension Group {
  fileprivate var stickiness: String? {
    if case .sticky(let key) = strategy { key.rawValue } else { nil }
  }

  /// How it takes one.
  fileprivate var manner: String {
    let check = check.map { "; checked with \($0.destination) while in use" } ?? ""
    return strategy.description + (stickiness.map { " by \($0)" } ?? "") + check
  }
}

extension Itinerary {
  fileprivate var isOrdered: Bool { mode == .strict || mode == .dynamic }

  fileprivate var lengthText: String? {
    guard !isOrdered else { return nil }
    return length.count == 1 ? "\(length.lowerBound)" : "\(length.lowerBound)-\(length.upperBound)"
  }

  fileprivate var manner: String {
    switch mode {
    case .strict: "strict"
    case .dynamic: "dynamic: those that are up"
    case .random: "random: \(lengthText ?? "") of these in any order"
    case .roundRobin: "round-robin: \(lengthText ?? "") of these in turn"
    }
  }
}
