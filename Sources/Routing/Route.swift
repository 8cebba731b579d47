import Addresses

/// What becomes of a connection.
package enum Outcome: Hashable, Sendable {
  /// Dial it from here.
  case direct
  /// Dial it through these hops.
  case chain(Chain)
  /// Dial it by one of several ways, which is chosen anew for each connection.
  case plan(Plan)
  /// Refuse: "not allowed by ruleset".
  case reject
  /// Hold the client for its handshake deadline, then close without a word.
  case drop
}

extension Outcome {
  /// False when there is no way but through a hop that is known not to carry UDP.
  package var mayCarryUDP: Bool {
    switch self {
    case .chain(let chain): chain.mayCarryUDP
    case .plan(let plan): plan.mayCarryUDP
    case .direct, .reject, .drop: true
    }
  }

  /// The first hop because of which it cannot carry UDP; `nil` when it may.
  package var hopWithoutUDP: Upstream? {
    switch self {
    case .chain(let chain): chain.hopWithoutUDP
    case .plan(let plan): plan.mayCarryUDP ? nil : plan.stop.upstreams.first { $0.udp == .no }
    case .direct, .reject, .drop: nil
    }
  }

  /// The proxies that it leads, or may lead, through.
  package var upstreams: [Upstream] {
    switch self {
    case .chain(let chain): chain.hops
    case .plan(let plan): plan.stop.upstreams
    case .direct, .reject, .drop: []
    }
  }

  /// Whether it leads, or may lead, through other proxies.
  package var passesHops: Bool {
    switch self {
    case .chain, .plan: true
    case .direct, .reject, .drop: false
    }
  }

  /// Whether it lets nothing pass.
  package var refuses: Bool { self == .reject || self == .drop }
}

extension Outcome: CustomStringConvertible {
  package var description: String {
    switch self {
    case .direct: "direct"
    case .chain(let chain): chain.description
    case .plan(let plan): plan.description
    case .reject: "reject"
    case .drop: "drop"
    }
  }
}

/// One line of the table: when its condition holds, its outcome is the verdict.
package struct Route: Sendable {
  /// For logs and `explain`; a route without a name is called by its line.
  package var name: String?
  package var note: String?
  package var condition: Condition
  package var outcome: Outcome
  /// Where UDP goes when `outcome` is a chain or a plan that cannot carry it; `nil`: nowhere. When it is one itself, one
  /// that may.
  package var udp: Outcome?
  /// What is dialled instead of what was asked for. Only where `condition` holds for no command but CONNECT.
  package var rewrite: Rewrite?
  /// For the whole dial; `nil`: the table's `timeouts.dial`.
  package var timeout: Duration?
  /// For a silent tunnel; `nil`: the table's `timeouts.idle`.
  package var idle: Duration?
  package var source: SourceLine

  package init(
    name: String? = nil, note: String? = nil, condition: Condition, outcome: Outcome,
    udp: Outcome? = nil, rewrite: Rewrite? = nil, timeout: Duration? = nil, idle: Duration? = nil,
    source: SourceLine
  ) {
    self.name = name
    self.note = note
    self.condition = condition
    self.outcome = outcome
    self.udp = udp
    self.rewrite = rewrite
    self.timeout = timeout
    self.idle = idle
    self.source = source
  }

  /// What logs call it: its name, or `line 14`.
  package var label: String { name ?? "line \(source.line)" }
}

/// Where in a file something is written.
package struct SourceLine: Hashable, Sendable, CustomStringConvertible {
  package var file: String
  /// From 1.
  package var line: Int

  package init(file: String, line: Int) {
    self.file = file
    self.line = line
  }

  package var description: String { "\(file):\(line)" }
}

/// When a route applies. The values of one case are alternatives.
package indirect enum Condition: Sendable {
  /// The name itself and every name below it, label by label.
  case domain([DomainName])
  case host([HostPattern])
  /// The destination is an address in one of these ranges.
  case ip([Prefix])
  case port([ClosedRange<UInt16>])
  case network([Request.Network])
  case command([Request.Command])
  case client([Prefix])
  case user([String])
  /// A listener's name, or its address as written.
  case listener([String])
  case any([Condition])
  case all([Condition])
  case not(Condition)
}
