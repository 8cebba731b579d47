import Routing
import Settings

/// What one session obeys from its first byte to its last: a reload gives new sessions another one.
final class Policy: Sendable {
  let table: RouteTable
  let hosts: HostOverrides
  let timeouts: Timeouts
  let limits: Limits
  /// By the number of the listener; `nil` for one that the table has no more.
  private let entries: [Entry?]

  /// An object, since each connection reads it several times, and a copy of it is dear.
  final class Entry: Sendable {
    let listener: Listener
    let authenticator: Authenticator

    fileprivate init(listener: Listener, authenticator: Authenticator) {
      self.listener = listener
      self.authenticator = authenticator
    }
  }

  /// - Parameters:
  ///   - numbers: of the table's listeners, in its order.
  ///   - previous: the policy before, whose proofs of passwords hold where user and hash are the same.
  init(_ configuration: Configuration, numbers: [Int], after previous: Policy? = nil) {
    table = configuration.table
    hosts = configuration.hosts
    timeouts = configuration.timeouts
    limits = configuration.limits
    var entries = [Entry?](repeating: nil, count: (numbers.max() ?? -1) + 1)
    for (listener, number) in zip(configuration.listeners, numbers) {
      entries[number] = Entry(
        listener: listener,
        authenticator: Authenticator(listener.users, after: previous?[listener: number]?.authenticator))
    }
    self.entries = entries
  }

  /// For one that only dials.
  convenience init(_ configuration: Configuration) {
    self.init(configuration, numbers: Array(configuration.listeners.indices))
  }

  /// How much memory the computation of a login's hash takes at most, in octets.
  var hashMemory: Int { entries.lazy.compactMap { $0?.authenticator.hashMemory }.max() ?? 0 }

  /// The listener of that number, if the table has it.
  subscript(listener number: Int) -> Entry? { entries.indices.contains(number) ? entries[number] : nil }

  /// All that its routes lead through.
  var upstreams: Set<Upstream> {
    let outcomes = table.routes.flatMap { [$0.outcome, $0.udp].compactMap(\.self) } + [table.fallback]
    return Set(outcomes.flatMap(\.upstreams))
  }
}
