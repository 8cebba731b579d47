import Routing

/// What stands under `via`, `default` and `expect`.
extension TableReader {
  private static let form = Form(
    "'direct', 'reject', 'drop', the name of an upstream or a chain, or a list", "direct")

  /// - Parameter isDialled: whether connections will take this way, rather than a test expect it.
  func readOutcome(_ node: Node, isDialled: Bool = true) -> Outcome? {
    switch node.kind {
    case .mapping:
      error(node, "a map here is not supported yet (write the name of an upstream or a chain, or a list)")
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
      default: break
      }
    case .sequence, .alias: break
    }
    guard case .hops(let hops, _) = resolve(positions: node) else { return nil }
    if isDialled { refuseOwnListeners(hops) }
    return .chain(Chain(hops))
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
