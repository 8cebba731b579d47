import Routing
import Settings
import Transport

extension Server {
  /// How the server stands. It takes a turn on each loop, one after the other.
  ///
  /// Only between the start of `run` and its end.
  package func status() async -> Status {
    let running = running
    let (configuration, workers) = (running.configuration, running.workers)
    var census = Census()
    var accounts: [String: Ledger.Account] = [:]
    var warm: [[String]: (ready: Int, wanted: Int)] = [:]
    for worker in workers {
      let part = await Task(executorPreference: worker.loop) {
        (census: worker.census, accounts: worker.ledger.accounts, warm: worker.warm.counts)
      }.value
      census.add(part.census)
      for (chain, ready, wanted) in part.warm {
        let known = warm[chain.hops.map(\.name)] ?? (0, 0)
        warm[chain.hops.map(\.name)] = (known.ready + ready, known.wanted + wanted)
      }
      for upstream in configuration.upstreams {
        accounts[upstream.name, default: Ledger.Account()].add(part.accounts[upstream])
      }
    }
    let warmChains = warm.map {
      Status.WarmChain(hops: $0.key, ready: $0.value.ready, wanted: $0.value.wanted)
    }
    .sorted { $0.hops.lexicographicallyPrecedes($1.hops) }
    let now = Deadline.now
    let standings = health.standings
    let reached = occupancy.reached
    return Status(
      uptime: now.since(started), tableAge: now.since(running.loaded), isDraining: isDraining,
      listeners: zip(configuration.listeners, running.places).map { listener, place in
        let visits = census.visits(of: place.number)
        return Status.Listener(
          address: place.address.description, name: listener.id.name, sessions: visits.present,
          total: visits.total)
      },
      sessions: Status.Sessions(census),
      limits: Limit.allCases.compactMap { limit in
        let value = limit.isForeign ? reached[limit]?.value : configuration.limits[limit]
        return value.map {
          Status.Limit(name: limit.rawValue, value: $0, refused: reached[limit]?.count ?? 0)
        }
      },
      upstreams: configuration.upstreams.map { upstream in
        Status.Upstream(
          upstream, accounts[upstream.name] ?? Ledger.Account(), standings[upstream],
          pipelining.standing(of: upstream),
          warm: warmChains.reduce(0) { $0 + ($1.hops.contains(upstream.name) ? $1.ready : 0) }, at: now)
      },
      groups: configuration.groups.map { Status.Group($0, standings, at: now) }, warmChains: warmChains)
  }
}

extension Status.Sessions {
  fileprivate init(_ census: Census) {
    self.init(
      handshakes: census.count(.handshake), dials: census.count(.dial), binds: census.count(.bind),
      tunnels: census.count(.tunnel), associations: census.count(.association))
  }
}

extension Status.Upstream {
  fileprivate init(
    _ upstream: Upstream, _ account: Ledger.Account, _ standing: Standing,
    _ pipelining: Pipelining.Standing, warm: Int, at now: Deadline
  ) {
    // A check that failed counts against a member for more reasons than a dial does.
    let isDown = account.isDown || standing.isDown(at: now.nanoseconds)
    self.init(
      name: upstream.name, scheme: upstream.scheme, endpoint: upstream.endpoint.description,
      state: isDown ? .down : account.isUnused ? .unused : .up,
      rest: standing.restEnd(at: now.nanoseconds).map { Deadline(nanoseconds: $0).since(now) },
      latency: account.latency, connections: account.connections, warm: warm, successes: account.successes,
      failures: Failure.Phase.allCases.compactMap { phase in
        account.failures[phase].map { (phase, $0) }
      },
      lastFailure: account.lastFailure.map { ($0.failure, now.since($0.time)) },
      pipelining: Pipelining.Standing(pipelining, as: upstream.pipeline))
  }
}

extension Pipelining.Standing {
  /// What the table says goes first, unless it was found wrong.
  fileprivate init(_ known: Self, as setting: Upstream.Pipeline) {
    self =
      switch setting {
      case .no: .no
      case .yes: known == .no ? .no : .yes
      case .auto: known
      }
  }
}

extension Status.Group {
  fileprivate init(_ group: Group, _ standings: Standings, at now: Deadline) {
    self.init(
      name: group.name, strategy: group.strategy,
      members: group.members.map {
        ($0.stop.description, standings.isUp($0.stop, at: now.nanoseconds))
      },
      next: standings.forecast(group, at: now.nanoseconds))
  }
}
