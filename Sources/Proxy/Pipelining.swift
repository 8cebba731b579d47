import Routing
import Synchronization
import Transport
import Wire

/// Which upstreams support pipelined handshakes, over all loops; and over reloads.
///
/// Clients only raise doubts. A trial, which Sockeye makes by itself, alone proves a hop or takes the privilege away: what
/// becomes of a client's dial depends on the destination too, which the client chooses.
package final class Pipelining: Sendable {
  /// What is known of one.
  package enum Standing: String, Sendable {
    case yes
    case no
    case unknown
  }

  private let records = Mutex(UpstreamRecords { Record($0.pipeline) })

  package init() {}

  /// The pace of a client's dial, and whether a trial is due for one of the hops.
  ///
  /// The greeting of the last hop and a BIND or UDP ASSOCIATE do not share a flight: some servers (Tor) refuse those at
  /// once, and the refusal takes the place of the answer to the greeting.
  func pace(
    for chain: Chain, asking command: SOCKS5.Command = .connect
  ) -> (pace: Pace, isTrialDue: Bool) {
    guard chain.hops.contains(where: { $0.pipeline != .no }) else { return (.lockstep, false) }
    let isRefusedAtOnce = command == .bind || command == .associate
    return records.withLock { records in
      var pace = Pace()
      var isTrialDue = false
      for (index, hop) in chain.hops.enumerated() where Self.mayPipeline(index, of: chain) {
        let record = records[hop]
        // What `auto` does not know yet is found out when a tunnel is kept ready, or a group checked.
        if hop.pipeline == .yes || record.isDoubted, record.isOpen, record.isTrialDue(at: .now) {
          isTrialDue = true
        }
        if isRefusedAtOnce, index == chain.hops.count - 1 { continue }
        if record.isTrusted { pace.insert(index) }
      }
      return (pace, isTrialDue)
    }
  }

  /// The pace of a trial; `nil` when there is nothing to find out now. Each hop is tried once in a pause.
  ///
  /// - Parameter isContinued: the trial before found out something about one hop of several.
  func trialPace(for chain: Chain, isContinued: Bool) -> Pace? {
    guard chain.hops.contains(where: { $0.pipeline != .no }) else { return nil }
    return records.withLock { records in
      let now = Deadline.now
      var pace = Pace()
      var isWorthIt = false
      for (index, hop) in chain.hops.enumerated() where Self.mayPipeline(index, of: chain) {
        let record = records[hop]
        // One that failed is not tried again with the others.
        if record.isTrialDue(at: now) || isContinued && record.isOpen && record.standing != .no {
          pace.insert(index)
          isWorthIt = true
          records.update(hop) { $0.begin(at: now) }
        } else if record.isTrusted {
          pace.insert(index)
        }
      }
      return isWorthIt ? pace : nil
    }
  }

  /// Behind the last hop there is no other: unless it is greeted, it is told one thing only.
  private static func mayPipeline(_ index: Int, of chain: Chain) -> Bool {
    index < chain.hops.count - 1 || chain.hops[index].kind == .socks5
  }

  /// Forgets all but the upstreams of a table that holds from now on.
  func keep(_ upstreams: [Upstream]) {
    records.withLock { records in
      records.keep(upstreams)
      for upstream in upstreams { records.update(upstream) { $0.setting = upstream.pipeline } }
    }
  }

  func isProven(_ hop: Upstream) -> Bool { standing(of: hop) == .yes }

  /// What `status` shows.
  package func standing(of hop: Upstream) -> Standing {
    records.withLock { $0[hop].standing }
  }

  /// Asks for a trial of the hop, which keeps its privilege until then.
  func doubt(_ hop: Upstream) { update(hop) { $0.isDoubted = true } }

  /// A trial was answered in full.
  func prove(_ hop: Upstream) { update(hop) { $0.prove(at: .now) } }

  /// A trial was not answered: the hop is asked one thing at a time, and not tried for a while.
  func withdraw(_ hop: Upstream) { update(hop) { $0.withdraw(at: .now) } }

  private func update(_ hop: Upstream, _ change: (inout Record) -> Void) {
    records.withLock { $0.update(hop, change) }
  }
}

// MARK: -

extension Pipelining {
  /// What is known of one upstream.
  struct Record {
    /// As the table has it.
    var setting: Upstream.Pipeline
    private(set) var standing = Standing.unknown
    /// A client's dial ended as those of hops do that do not support pipelining.
    var isDoubted = false
    /// Until then there is no trial.
    private(set) var pauseEnd = Deadline(nanoseconds: 0)
    /// Trials that failed, without a long proof in between.
    private var withdrawals = 0
    /// When the last trial proved it.
    private var proof: Deadline?

    /// From one trial to the next. After one that failed it doubles, at most so often: to 64 minutes.
    private static let firstPause = Duration.seconds(60)
    private static let doublings = 6

    init(_ setting: Upstream.Pipeline) { self.setting = setting }

    /// Whether clients' dials tell it everything at once.
    var isTrusted: Bool {
      switch setting {
      case .yes: standing != .no
      case .no: false
      case .auto: standing == .yes
      }
    }

    /// Whether a trial would find something out.
    var isOpen: Bool {
      switch setting {
      case .yes: isDoubted || standing == .no
      case .no: false
      case .auto: isDoubted || standing != .yes
      }
    }

    func isTrialDue(at now: Deadline) -> Bool { isOpen && pauseEnd <= now }

    /// A trial begins.
    mutating func begin(at now: Deadline) { pauseEnd = now + Self.firstPause }

    mutating func prove(at now: Deadline) {
      standing = .yes
      isDoubted = false
      proof = now
    }

    mutating func withdraw(at now: Deadline) {
      // It has worked for at least as long as it was left alone before: what was counted is past.
      if let proof, now >= proof + pause { withdrawals = 0 }
      withdrawals += 1
      pauseEnd = now + pause
      standing = .no
      isDoubted = false
      proof = nil
    }

    private var pause: Duration { Self.firstPause * (1 << min(max(withdrawals - 1, 0), Self.doublings)) }
  }
}
