import Routing
import Transport

/// What the dials of one loop found out about each upstream, over reloads.
///
/// Unlike `Health`, it hears of fixed chains too, and decides nothing: it is read when somebody asks how things stand.
///
/// `@unchecked` holds because its loop's tasks use it, and nobody else: neither lock nor atomic is in the way of a dial.
final class Ledger: @unchecked Sendable {
  private(set) var accounts = UpstreamRecords { _ in Account() }
  /// A hop was reached, or admitted us, after so long.
  func note(_ hop: Upstream, _ phase: Failure.Phase, _ duration: Duration) {
    switch phase {
    case .connect: accounts.update(hop) { $0.connect.add(duration) }
    case .tls: accounts.update(hop) { $0.tls.add(duration) }
    case .greet, .authenticate: accounts.update(hop) { $0.admission.add(duration) }
    case .resolve, .request, .associate, .accept, .relay: break
    }
  }

  /// What became of a dial; `nil` when the chain was passed.
  func note(_ failure: Failure?, of chain: Chain) {
    let blame = failure?.blame(in: chain) ?? .destination
    // Not the loop's idea of it: what came later must be known to be later.
    let now = Deadline.now
    for (index, hop) in chain.hops.enumerated() {
      accounts.update(hop) { $0.note(failure, as: blame, at: index, now) }
    }
  }

  /// Something goes through the chain from now on, until it `leaves`.
  func enter(_ chain: Chain) {
    for hop in chain.hops { accounts.update(hop) { $0.connections += 1 } }
  }

  func leave(_ chain: Chain) {
    for hop in chain.hops { accounts.update(hop) { $0.connections = max(0, $0.connections - 1) } }
  }

  /// Forgets all but the upstreams of a table that holds from now on, and those that connections still pass.
  func keep(_ upstreams: [Upstream]) {
    accounts.keep(upstreams) { $0.connections > 0 }
  }
}

extension Ledger {
  /// What is known of one upstream.
  struct Account: Sendable {
    fileprivate(set) var connections = 0
    /// Dials in which it did its part, whatever became of them behind it.
    private(set) var successes = 0
    private(set) var failures: [Failure.Phase: Int] = [:]
    private(set) var lastFailure: (failure: Failure, time: Deadline)?
    fileprivate var connect = Average()
    fileprivate var tls = Average()
    fileprivate var admission = Average()
    private var lastSuccess: Deadline?
    private var lastFault: Deadline?

    /// To connect to it and to be admitted.
    var latency: Duration? {
      let parts = [connect, tls, admission].compactMap(\.value)
      return parts.isEmpty ? nil : parts.reduce(.zero, +)
    }

    /// It did not do its part when it was last needed.
    var isDown: Bool { lastFault.map { $0 > lastSuccess ?? Deadline(nanoseconds: 0) } ?? false }

    var isUnused: Bool { successes == 0 && lastFailure == nil }

    fileprivate mutating func note(
      _ failure: Failure?, as blame: Failure.Blame, at index: Int, _ now: Deadline
    ) {
      guard let failure else {
        lastSuccess = now
        successes += 1
        return
      }
      let isFailure = failure.place.hopIndex == index && blame != .destination
      switch Failure.Finding(of: failure, as: blame, at: index) {
      // A refusal does not mean that it is down, but an operator will want to know.
      case .shown:
        lastSuccess = now
        if isFailure { self.count(failure, now) } else { successes += 1 }
      case .failed:
        lastFault = now
        self.count(failure, now)
      case .doubtful(let hasAdmitted):
        if hasAdmitted { lastSuccess = now }
        if isFailure { self.count(failure, now) }
      case .nothing: break
      }
    }

    private mutating func count(_ failure: Failure, _ now: Deadline) {
      failures[failure.phase, default: 0] += 1
      lastFailure = (failure, now)
    }

    /// Adds what another loop knows.
    mutating func add(_ other: Account) {
      connections += other.connections
      successes += other.successes
      failures.merge(other.failures, uniquingKeysWith: +)
      connect.add(other.connect)
      tls.add(other.tls)
      admission.add(other.admission)
      lastSuccess = Self.later(lastSuccess, other.lastSuccess)
      lastFault = Self.later(lastFault, other.lastFault)
      if let theirs = other.lastFailure, theirs.time > lastFailure?.time ?? Deadline(nanoseconds: 0) {
        lastFailure = theirs
      }
    }

    private static func later(_ one: Deadline?, _ other: Deadline?) -> Deadline? {
      guard let one, let other else { return one ?? other }
      return max(one, other)
    }
  }

  /// A duration, smoothed over the times that it was measured, like `Standing.latency`.
  struct Average: Sendable {
    private var nanoseconds = 0.0
    private var count = 0

    /// How much the latest measurement counts.
    private static let smoothing = 0.3

    var value: Duration? { count == 0 ? nil : .nanoseconds(Int64(nanoseconds)) }

    mutating func add(_ duration: Duration) {
      let latest = duration / .nanoseconds(1)
      nanoseconds = count == 0 ? latest : nanoseconds + Self.smoothing * (latest - nanoseconds)
      count += 1
    }

    /// Each counts as much as it was measured often.
    mutating func add(_ other: Average) {
      guard other.count > 0 else { return }
      let total = Double(count + other.count)
      nanoseconds = (nanoseconds * Double(count) + other.nanoseconds * Double(other.count)) / total
      count += other.count
    }
  }
}
