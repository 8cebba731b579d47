import Addresses
import Routing
import Settings

/// An entry of `tests:`.
struct TableTest {
  var request: Request
  var expected: Outcome
  var position: Position
}

/// `tests:`: what the table's author holds to be true of it.
extension TableReader {
  private static let keys = Keys(["to", "expect", "network", "command", "client", "user", "listener"])
  private static let form = Form("a test", "{to: \"wiki.corp.example:443\", expect: office}")

  func readTests(_ node: Node, listeners: [Listener]) -> [TableTest] {
    if node.kind == .sequence, node.elements.isEmpty { return [] }
    return list(node, Self.form).compactMap { node in
      guard !node.isBroken, let fields = fields(node, "a test", Self.form.example, Self.keys) else {
        return nil
      }
      return readTest(fields, listeners: listeners)
    }
  }

  private func readTest(_ fields: Fields, listeners: [Listener]) -> TableTest? {
    for key in ["to", "expect"] where fields[key] == nil {
      error(fields.position, "a test needs '\(key)' (write it like \(Self.form.example))")
    }
    let destination = fields["to"].flatMap(readDestination)
    let expected = fields["expect"].flatMap { readOutcome($0, isDialled: false) }
    let network = fields["network"].map { word($0, Request.Network.self) } ?? .tcp
    let command =
      fields["command"].map { word($0, Request.Command.self) } ?? (network == .udp ? .udp : .connect)
    let client = fields["client"].map(readClient)
    let user = fields["user"].map { readUserName($0) }
    let listener = fields["listener"].map { readListener($0, listeners) } ?? listeners.first?.id

    if let field = fields.field("network"), let network, let command, command.network != network {
      error(field.value, "'command: \(command)' is not made over \(network) (remove one of the two)")
    }
    guard let destination, let expected, let command else { return nil }
    var request = Request(command, to: destination, client: client ?? nil, user: user ?? nil)
    if let listener { request.listener = listener }
    return TableTest(request: request, expected: expected, position: fields.position)
  }

  private func readDestination(_ node: Node) -> Endpoint? {
    let form = Form("a host and a port", "wiki.corp.example:443")
    guard let text = text(node, form) else { return nil }
    guard let endpoint = Endpoint(text), endpoint.port > 0 else {
      mismatch(node, form)
      return nil
    }
    return endpoint
  }

  private func readClient(_ node: Node) -> IPAddress? {
    let form = Form("a client's address", "192.168.1.7")
    guard let text = text(node, form) else { return nil }
    guard let address = IPAddress(text) else {
      mismatch(node, form)
      return nil
    }
    return address.unmapped
  }

  private func readListener(_ node: Node, _ listeners: [Listener]) -> ListenerID? {
    guard let text = text(node, Form("a listener's name or address", "127.0.0.1:1080")) else { return nil }
    if let listener = listeners.first(where: { $0.id.name == text || $0.id.address == text }) {
      return listener.id
    }
    let candidates = listeners.flatMap { [$0.id.name, $0.id.address].compactMap(\.self) }
    reportUnknownListener(node, text, among: candidates)
    return nil
  }

  /// Asks the table, and reports every test whose expectation it does not meet.
  func run(_ tests: [TableTest], on table: RouteTable) {
    for test in tests {
      let verdict = table.verdict(for: test.request)
      let isLost = test.request.command == .udp && !verdict.carriesUDP
      guard test.expected != (isLost ? .drop : verdict.outcome) else { continue }
      let decided = verdict.route.map { "the route '\($0.label)' (\($0.source))" } ?? "the default"
      let fate =
        isLost ? "drops it, since '\(verdict.outcome)' carries no UDP" : "sends it to '\(verdict.outcome)'"
      error(
        test.position,
        "this test fails: \(test.request.destination) was to go to '\(test.expected)', but \(decided)"
          + " \(fate) (mend the routes or the test)")
    }
  }
}
