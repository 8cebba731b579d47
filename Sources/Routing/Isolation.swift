/// What keeps connections through an upstream apart: those that differ in it come to the upstream as different users.
///
/// What an identity is called is a function of what it is known by, the time, and a key that nobody else has. So nothing
/// has to be kept of identities, of which a client can make any number.
package struct Isolation: Hashable, Sendable {
  package enum Key: String, Hashable, Sendable, CaseIterable {
    case client
    case user
    case destination
    case port
  }

  /// Where a configured user name takes the identity's name in.
  package static let placeholder = "{session}"
  /// The length of an identity's name, in octets.
  package static let nameLength = 16

  /// In the order of `Key`, each once; never empty.
  package let keys: [Key]
  /// How long an identity keeps its name at most. Each changes it at a time of its own.
  package let lifetime: Duration

  /// - Precondition: `keys` is not empty, and `lifetime` is at least a millisecond.
  package init(by keys: Set<Key>, for lifetime: Duration = .seconds(600)) {
    precondition(!keys.isEmpty && lifetime >= .milliseconds(1))
    self.keys = Key.allCases.filter(keys.contains)
    self.lifetime = lifetime
  }

  /// Whether one client's destinations are kept apart.
  package var dependsOnDestination: Bool { keys.contains(.destination) || keys.contains(.port) }

  /// The name of the identity that `request` belongs to: 16 hexadecimal digits.
  ///
  /// - Parameter hash: with the upstream's own key.
  func name(for request: Request, at now: Moment, by hash: SipHash) -> String {
    let identity = keys.flatMap { $0.octets(of: request) }
    let span = max(1, UInt64(clamping: Int64(lifetime / .milliseconds(1)))) * 1_000_000
    // An offset of its own: or else all would change at the same instant, and be seen to belong together.
    let epoch = (now &+ hash([0] + identity) % span) / span
    let digits = String(hash([1] + epoch.octets + identity), radix: 16)
    return String(repeating: "0", count: Self.nameLength - digits.utf8.count) + digits
  }
}

extension Isolation: CustomStringConvertible {
  /// `isolated by client, destination`
  package var description: String { "isolated by \(keys.map(\.rawValue).joined(separator: ", "))" }
}

extension Isolation.Key {
  /// The request's value, so that no two series of values have the same octets.
  fileprivate func octets(of request: Request) -> [UInt8] {
    let value: String? =
      switch self {
      case .client: request.client?.unmapped.description
      case .user: request.user
      case .destination: request.destination.host.description
      case .port: String(request.destination.port)
      }
    // Who has no name is not whoever has an empty one. Neither octet stands in UTF-8.
    return value.map { Array($0.utf8) + [0xff] } ?? [0xfe]
  }
}

extension UInt64 {
  fileprivate var octets: [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: self >> ($0 * 8)) } }
}

// MARK: - Upstreams and chains

extension Upstream {
  package var isIsolated: Bool { isolation != nil }

  /// False when an identity's name makes the user name longer than any may be.
  package var hasRoomForIdentities: Bool {
    let name = [UInt8](repeating: 0, count: Isolation.nameLength)
    return isolation == nil || credentials(of: name) != nil
  }

  /// The same with the credentials of the identity that `request` belongs to. One that is not isolated stays as it is.
  ///
  /// - Precondition: there is room for them.
  func isolated(for request: Request, at now: Moment, by hash: SipHash) -> Upstream {
    guard let isolation else { return self }
    guard let credentials = credentials(of: Array(isolation.name(for: request, at: now, by: hash).utf8))
    else { preconditionFailure("no table has a user name that is too long") }
    var isolated = self
    isolated.credentials = credentials
    return isolated
  }

  /// With a configured user name, that, with the identity's in its place; else nothing but the identity's name.
  private func credentials(of name: [UInt8]) -> Credentials? {
    guard let credentials else {
      return Credentials(username: name, password: kind.isSOCKS4 ? [] : name, for: kind)
    }
    let username = credentials.username.replacing(Isolation.placeholder.utf8, with: name)
    return Credentials(username: username, password: credentials.password, for: kind)
  }
}

extension Chain {
  /// Whether it passes a hop at which connections are kept apart.
  package var isIsolated: Bool { hops.contains(where: \.isIsolated) }

  /// Whether one client's destinations are kept apart at a hop of it.
  package var isIsolatedByDestination: Bool {
    hops.contains { $0.isolation?.dependsOnDestination == true }
  }

  /// The same with the credentials of the identity that `request` belongs to, at each hop that has identities.
  ///
  /// - Parameter hash: of an upstream, with a key that is its own and secret.
  package func isolated(
    for request: Request, at now: Moment, by hash: (Upstream) -> SipHash
  ) -> Chain {
    Chain(
      hops.map { $0.isIsolated ? $0.isolated(for: request, at: now, by: hash($0)) : $0 }, warm: warm)
  }
}
