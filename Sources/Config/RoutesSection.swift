import Addresses
import Routing
import Settings

/// A route and where it was written.
struct WrittenRoute {
  var route: Route
  var position: Position
}

/// `routes:`.
extension TableReader {
  private static let keys = Keys(
    ["via", "udp", "rewrite", "name", "note", "timeout", "idle"] + conditionKeys,
    later: laterConditionKeys + ["bind", "interface", "mark", "resolve"])

  private static let form = Form("a route", "{domain: corp.example, via: office}")

  /// - Parameter listeners: those that `listener` may name.
  func readRoutes(_ node: Node, listeners: [Listener]) -> [WrittenRoute] {
    // No routes at all may be written as [].
    if node.kind == .sequence, node.elements.isEmpty { return [] }
    let known = Set(listeners.flatMap { [$0.id.address, $0.id.name].compactMap(\.self) })
    return list(node, Self.form).compactMap { node in
      guard !node.isBroken, let fields = fields(node, "a route", Self.form.example, Self.keys) else {
        return nil
      }
      return readRoute(fields, listeners: known).map { WrittenRoute(route: $0, position: node.position) }
    }
  }

  private func readRoute(_ fields: Fields, listeners: Set<String>) -> Route? {
    let name = fields["name"].map { text($0, Form("a name", "office")) }
    let note = fields["note"].map { text($0, Form("a note", "for the night shift")) }
    let timeout = fields["timeout"].map { duration($0) }
    let idle = fields["idle"].map { duration($0) }
    let condition = readCondition(fields, listeners: listeners)
    guard let via = fields["via"] else {
      error(fields.position, "a route needs its 'via' (write where it leads, such as 'via: direct')")
      return nil
    }
    let outcome = readOutcome(via)
    let udp = fields["udp"].flatMap { readAlternative($0, to: outcome) }
    let rewrite = fields.field("rewrite").flatMap { readRewrite($0, condition, outcome) }
    guard let outcome, let condition else { return nil }
    return Route(
      name: name ?? nil, note: note ?? nil, condition: condition, outcome: outcome, udp: udp,
      rewrite: rewrite, timeout: timeout ?? nil, idle: idle ?? nil,
      source: SourceLine(file: file, line: fields.position.line))
  }

  /// `udp:`, where the datagrams go that the chain under `via` does not carry.
  private func readAlternative(_ node: Node, to outcome: Outcome?) -> Outcome? {
    guard let alternative = readOutcome(node) else { return nil }
    switch outcome {
    case .direct, .reject, .drop:
      error(
        node,
        "'udp' is for what a chain cannot carry, and 'via' is none"
          + " (remove it, or write a route with 'network: udp' before this one)")
    case .chain, .plan, nil: break
    }
    guard let hop = alternative.hopWithoutUDP else { return alternative }
    error(node, "'\(hop.name)' does not carry UDP either (write 'reject', 'direct' or another chain)")
    return nil
  }

  /// `rewrite:`, what is dialled instead of what was asked for.
  ///
  /// Datagrams and peers that are waited for have no rewriting: a route that takes them as well would do something
  /// else with them than it says.
  private func readRewrite(_ field: Fields.Field, _ condition: Condition?, _ outcome: Outcome?) -> Rewrite? {
    let form = Form("a host and a port, or one of the two", "db.example:5432, db.example or 5432")
    if let outcome, outcome.refuses {
      error(field.key, "'rewrite' is for what is dialled, and '\(outcome)' dials nothing (remove it)")
    } else if let condition, condition.mayHold(for: .udp) || condition.mayHold(for: .bind) {
      error(
        field.key,
        "'rewrite' changes what CONNECT dials, and this route takes UDP or BIND too (add 'command: connect')")
    }
    guard let text = text(field.value, form) else { return nil }
    guard let rewrite = Rewrite(text) else {
      mismatch(field.value, form)
      return nil
    }
    guard rewrite.host?.address?.isDialable != false else {
      error(field.value, "\(quoted(field.value)) is the address of no host (write the one to dial)")
      return nil
    }
    return rewrite
  }
}

extension Rewrite {
  /// `host:port`, a host, or a port; an IPv6 address before a port stands in brackets.
  fileprivate init?(_ text: String) {
    if text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) {
      guard let port = UInt16(text), port > 0 else { return nil }
      self.init(host: nil, port: port)
    } else if let endpoint = Endpoint(text) {
      guard endpoint.port > 0 else { return nil }
      self.init(host: endpoint.host, port: endpoint.port)
    } else if let host = try? Host(nameField: Array(text.utf8)) {
      self.init(host: host, port: nil)
    } else {
      return nil
    }
  }
}
