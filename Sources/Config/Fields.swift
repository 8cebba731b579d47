/// The keys that a map may have.
struct Keys {
  let known: [String]
  /// Keys of the language that this program does not obey yet: to ignore them would be to do something else than
  /// the file says.
  let later: [String]

  init(_ known: [String], later: [String] = []) {
    self.known = known
    self.later = later
  }
}

/// A map whose keys were checked.
struct Fields {
  struct Field {
    let name: String
    let key: Node
    let value: Node
  }

  let position: Position
  private let fields: [Field]

  init(position: Position, fields: [Field]) {
    self.position = position
    self.fields = fields
  }

  /// The value under a key.
  subscript(name: String) -> Node? { field(name)?.value }

  func field(_ name: String) -> Field? { fields.first { $0.name == name } }
}

extension TableReader {
  /// The entries of a map under the keys that may stand there; every other key is an error.
  ///
  /// - Parameters:
  ///   - what: what the map is, with its article: "a route".
  ///   - example: a map of that kind.
  func fields(_ node: Node, _ what: String, _ example: String, _ keys: Keys) -> Fields? {
    guard node.kind == .mapping else {
      mismatch(node, Form(what, example))
      return nil
    }
    var fields: [Fields.Field] = []
    for (key, value) in node.entries where !key.isBroken && key.kind == .scalar {
      let name = key.text
      if keys.known.contains(name) {
        if !fields.contains(where: { $0.name == name }) {
          fields.append(Fields.Field(name: name, key: key, value: value))
        }
      } else if keys.later.contains(name) {
        error(key, "'\(name)' is not supported yet (remove it)")
      } else if let near = suggest(for: name, among: keys.known + keys.later) {
        error(key, "\(what) has no key \(quoted(name)) (did you mean '\(near)'?)")
      } else {
        let list = keys.known.map { "'\($0)'" }.joined(separator: ", ")
        error(key, "\(what) has no key \(quoted(name)) (it may have \(list))")
      }
    }
    return Fields(position: node.position, fields: fields)
  }

  /// The entries of a map from names of the user's choosing.
  func namedEntries(_ node: Node, _ form: Form) -> [(name: String, key: Node, value: Node)] {
    guard node.kind == .mapping else {
      mismatch(node, form)
      return []
    }
    return node.entries.compactMap { key, value in
      key.isBroken || key.kind != .scalar ? nil : (key.text, key, value)
    }
  }
}
