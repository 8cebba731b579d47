import Routing
import Settings

/// What one session obeys from its first byte to its last: a reload gives new sessions another one.
final class Policy: Sendable {
  let table: RouteTable
  let hosts: HostOverrides
  let timeouts: Timeouts
  let limits: Limits
  /// By the index of the listener.
  let listeners: [Listener]
  let authenticators: [Authenticator]

  init(_ configuration: Configuration) {
    table = configuration.table
    hosts = configuration.hosts
    timeouts = configuration.timeouts
    limits = configuration.limits
    listeners = configuration.listeners
    authenticators = configuration.listeners.map { Authenticator($0.users) }
  }

  /// All that its routes lead through.
  var upstreams: Set<Upstream> {
    let outcomes = table.routes.flatMap { [$0.outcome, $0.udp].compactMap(\.self) } + [table.fallback]
    return Set(outcomes.flatMap(\.upstreams))
  }
}
