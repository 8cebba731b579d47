import Addresses
import Routing

/// A checked route table file, ready to serve: what `Config` reads and `Proxy` obeys.
package struct Configuration: Sendable {
  package var listeners: [Listener]
  package var table: RouteTable
  package var hosts: HostOverrides
  package var nameServers: NameServers
  package var timeouts: Timeouts
  package var limits: Limits
  package var log: Log
  /// The path of the socket where the running program is asked things; `nil`: it has none.
  package var control: String?
  /// In the order of the table, used or not.
  package var upstreams: [Upstream]
  package var groups: [Group]

  package init(
    listeners: [Listener], table: RouteTable, hosts: HostOverrides = HostOverrides(),
    nameServers: NameServers = NameServers(), timeouts: Timeouts = Timeouts(), limits: Limits = Limits(),
    log: Log = Log(), control: String? = nil, upstreams: [Upstream] = [], groups: [Group] = []
  ) {
    self.listeners = listeners
    self.table = table
    self.hosts = hosts
    self.nameServers = nameServers
    self.timeouts = timeouts
    self.limits = limits
    self.log = log
    self.control = control
    self.upstreams = upstreams
    self.groups = groups
  }
}

/// `timeouts:`.
package struct Timeouts: Hashable, Sendable {
  /// From accept to the whole request: one deadline, not one per byte.
  package var handshake: Duration = .seconds(30)
  package var dns: Duration = .seconds(10)
  /// For the whole dial, through every hop.
  package var dial: Duration = .seconds(30)
  /// For a tunnel silent in both directions.
  package var idle: Duration = .seconds(2 * 3600)
  /// For a silent tunnel of which one direction has ended.
  package var halfClosed: Duration = .seconds(600)
  /// For an association through which no datagram passes.
  package var udpIdle: Duration = .seconds(120)
  /// How long BIND waits for the peer.
  package var bind: Duration = .seconds(120)
  /// How long tunnels may go on after the program was asked to stop.
  package var drain: Duration = .seconds(30)

  package init() {}
}

/// `limits:`.
package struct Limits: Hashable, Sendable {
  package var connections = 20_000
  /// Connections of one client. A client of this machine may have more, unless `perClientIsForAll`.
  package var perClient = 256
  /// The table writes `per_client`: it holds for clients of this machine too.
  package var perClientIsForAll = false
  /// Connections whose request has not been read yet.
  package var handshakes = 1024
  /// UDP associations; those of one client count among its connections.
  package var associations = 1024
  /// How many destinations one association remembers, and how many paths through chains it has: the one unused for longest
  /// makes room.
  package var pathsPerAssociation = 512
  // These are no keys of the table. Descriptors decide about them.
  /// Sockets beside the two of a connection: of UDP associations and their paths, and attempts to connect beyond a dial's
  /// first.
  package var sockets = 16_384
  /// Questions to name servers that are open on one loop.
  package var questions = 4096
  /// Members of groups that are checked at the same time.
  package var checks = 64
  /// Pipes of one loop, through which tunnels with much to move splice.
  package var pipes = 512

  package init() {}
}

/// `log:`.
package struct Log: Hashable, Sendable {
  package enum Level: String, Hashable, Sendable, CaseIterable, Comparable {
    case error
    case warning
    case info
    case debug

    package static func < (one: Level, other: Level) -> Bool {
      one.rank < other.rank
    }

    private var rank: Int {
      switch self {
      case .error: 0
      case .warning: 1
      case .info: 2
      case .debug: 3
      }
    }
  }

  package enum Format: String, Hashable, Sendable, CaseIterable {
    case text
    case json
  }

  package var level = Level.info
  package var format = Format.text

  package init() {}
}

/// `dns:`. Without servers, those of the system.
package struct NameServers: Hashable, Sendable {
  package var servers: [SocketAddress] = []
  /// How many names the cache holds.
  package var cacheCapacity = 10_000

  package init() {}
}

/// `hosts:`: names that are answered without a name server.
package struct HostOverrides: Hashable, Sendable {
  private var exact: [String: [IPAddress]] = [:]
  /// Suffixes of `*.test` entries, without the star and its dot.
  private var below: [String: [IPAddress]] = [:]

  package init() {}

  package mutating func set(_ name: DomainName, to addresses: [IPAddress]) {
    exact[name.text] = addresses
  }

  /// Every name below `suffix`, but not `suffix` itself.
  package mutating func setBelow(_ suffix: DomainName, to addresses: [IPAddress]) {
    below[suffix.text] = addresses
  }

  /// The addresses written for `name`: an exact entry first, then the longest suffix.
  package func addresses(for name: DomainName) -> [IPAddress]? {
    if let addresses = exact[name.text] { return addresses }
    guard !below.isEmpty else { return nil }
    var rest = name.text[...]
    while let dot = rest.firstIndex(of: ".") {
      rest = rest[rest.index(after: dot)...]
      if let addresses = below[String(rest)] { return addresses }
    }
    return nil
  }
}
