import Routing
import Settings

/// `isolate:` of an upstream.
extension TableReader {
  private static let form = Form("what keeps connections apart", "[client, destination]")
  private static let mapExample = "{by: [client, destination], for: 10m}"
  private static let mapKeys = Keys(["by", "for"])

  /// `nil` without the key, and after an error.
  ///
  /// - Parameters:
  ///   - username: as it is configured, with a place for what is derived.
  ///   - upstream: where that stands, without the key.
  func readIsolation(_ field: Fields.Field?, username: [UInt8]?, upstream: Node) -> Isolation? {
    let hasPlaceholder = username?.firstRange(of: Array(Isolation.placeholder.utf8)) != nil
    guard let field else {
      if hasPlaceholder {
        error(
          upstream,
          "'\(Isolation.placeholder)' in a user name is where an identity goes, and there are none"
            + " (add 'isolate: client')")
      }
      return nil
    }
    if username != nil, !hasPlaceholder {
      error(
        field.key,
        "'isolate' makes up the user name, and one is written"
          + " (write '\(Isolation.placeholder)' in it where it may vary, or remove it)")
      return nil
    }
    guard let isolation = readIsolation(field.value) else { return nil }
    names.isolations.append((isolation, field.value.position))
    return isolation
  }

  private func readIsolation(_ node: Node) -> Isolation? {
    guard node.kind == .mapping else { return readKeys(node).map { Isolation(by: $0) } }
    guard let fields = fields(node, "an 'isolate' map", Self.mapExample, Self.mapKeys) else { return nil }
    let lifetime = fields["for"].map { duration($0) } ?? .seconds(600)
    guard let by = fields["by"] else {
      error(node, "an 'isolate' map needs 'by', what keeps connections apart (write \(Self.mapExample))")
      return nil
    }
    guard let keys = readKeys(by), let lifetime else { return nil }
    return Isolation(by: keys, for: lifetime)
  }

  private func readKeys(_ node: Node) -> Set<Isolation.Key>? {
    each(node, Self.form) { word($0, Isolation.Key.self) }.map { Set($0) }
  }

  /// Warns of isolations that keep nobody apart, as far as the table's listeners show.
  func warnOfIdleIsolations(at listeners: [Listener]) {
    let hasNames = listeners.contains { $0.authentication != .none }
    let isForThisMachine = listeners.allSatisfy(\.address.isOfThisMachine)
    for (isolation, position) in names.isolations {
      if isolation.keys.contains(.user), !hasNames {
        warning(
          position,
          "no listener asks for user names, so that 'user' keeps nobody apart"
            + " (give one 'users' or 'auth: optional', or isolate by something else)")
      } else if isolation.keys == [.client], isForThisMachine {
        warning(
          position,
          "all clients are on this machine and have one address, so that 'client' keeps nobody apart"
            + " (isolate by 'destination' too, or by 'user' with 'auth: optional' at the listener)")
      }
    }
  }
}

extension Listener.Address {
  /// Whether only programs of this machine can connect.
  fileprivate var isOfThisMachine: Bool {
    switch self {
    case .tcp(let socket): socket.address.isLoopback
    case .unix: true
    }
  }
}
