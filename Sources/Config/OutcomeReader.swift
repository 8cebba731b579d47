import Routing

/// What stands under `via`, `default` and `expect`.
extension TableReader {
  private static let form = Form(
    "'direct', 'reject', 'drop', the name of an upstream, a group or a chain, or a list", "direct")

  /// - Parameter isDialled: whether connections will take this way, rather than a test expect it.
  func readOutcome(_ node: Node, isDialled: Bool = true) -> Outcome? {
    switch node.kind {
    case .mapping:
      error(
        node, "a map here is not supported yet (write the name of an upstream, a group or a chain, or a list)"
      )
      return nil
    case .scalar:
      guard let text = text(node, Self.form) else { return nil }
      switch text {
      case "direct": return .direct
      case "reject": return .reject
      case "drop": return .drop
      case _ where text.hasPrefix("table "):
        error(node, "going on in another table is not supported yet (write the outcome itself)")
        return nil
      case _ where isDialled: if let known = names.outcomes[text] { return known }
      default: break
      }
    case .sequence, .alias: break
    }
    guard case .stop(let stop, _, _) = resolve(positions: node) else { return nil }
    let outcome = Outcome(stop)
    if isDialled {
      refuseOwnListeners(in: stop)
      if node.kind == .scalar { names.outcomes[node.text] = outcome }
    }
    return outcome
  }

  func readDefault(_ node: Node?, at position: Position) -> Outcome? {
    guard let node else {
      error(
        position, "there is no 'default' (write what becomes of everything else, such as 'default: direct')")
      return nil
    }
    return readOutcome(node)
  }
}

extension Outcome {
  /// A chain where there is only one, else a plan.
  fileprivate init(_ stop: Stop) {
    self = stop.onlyHops.map { .chain(Chain($0, warm: stop.warm ?? .auto)) } ?? .plan(Plan(stop))
  }
}

extension Stop {
  /// What a chain by its name says of tunnels that are kept ready.
  fileprivate var warm: Warmth? {
    if case .itinerary(let itinerary) = self { itinerary.warm } else { nil }
  }

  /// The hops of its only way; `nil` when there is a choice.
  fileprivate var onlyHops: [Upstream]? {
    switch self {
    case .upstream(let upstream): return [upstream]
    case .direct, .group: return nil
    case .itinerary(let itinerary):
      guard itinerary.mode == .strict else { return nil }
      var hops: [Upstream] = []
      for position in itinerary.positions {
        guard !position.isOptional, position.choices.count == 1, case .upstream(let hop) = position.choices[0]
        else { return nil }
        hops.append(hop)
      }
      return hops
    }
  }
}
