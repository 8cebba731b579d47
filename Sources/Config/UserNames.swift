import Settings

/// What a table knows of the user names that clients may have.
struct UserNames {
  /// Those of all listeners, without an order.
  private(set) var known: Set<String> = []
  /// A listener takes every name as a label, or its users are not known after an error.
  var mayBeOthers: Bool

  /// - Parameter mayBeOthers: whether there may be users beside those of `listeners`.
  init(of listeners: [Listener] = [], mayBeOthers: Bool = false) {
    for listener in listeners {
      known.formUnion(listener.users.map { String(decoding: $0.name, as: UTF8.self) })
    }
    self.mayBeOthers = mayBeOthers || listeners.contains { $0.authentication == .optional }
  }
}

/// `user` of a route or a test.
extension TableReader {
  private static let form = Form("a user name", "alice")

  /// A user name, or `nil` with an error; one that no client can have is an error too: a route that was to keep a user
  /// from something would not hold.
  func readUserName(_ node: Node) -> String? {
    guard let name = text(node, Self.form) else { return nil }
    guard !userNames.mayBeOthers, !userNames.known.contains(name) else { return name }
    if userNames.known.isEmpty {
      guard !hasWarnedOfUsers else { return name }
      hasWarnedOfUsers = true
      warning(
        node.position,
        "no listener asks for user names, so that 'user' never holds"
          + " (give one 'users' or 'auth: optional', or remove this)")
      return name
    }
    let near = suggest(for: name, among: userNames.known.sorted()).map { "did you mean '\($0)'?" }
    error(
      node, "no listener has a user \(quoted(node)) (\(near ?? "add the name to the 'users' of a listener"))")
    return nil
  }
}
