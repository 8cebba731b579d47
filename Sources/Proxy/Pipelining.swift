import Routing
import Synchronization
import Transport

/// Which upstreams stand pipelining, over all loops; by name, so that it survives a reload.
package final class Pipelining: Sendable {
  /// What is known of one.
  package enum Standing: String, Sendable {
    case yes
    case no
    case unknown
  }

  private struct Record {
    /// Whose record it is: another proxy by the same name has none.
    let upstream: Upstream
    var standing = Standing.unknown
    var withdrawals = 0
    /// Until then it is not tried.
    var pauseEnd = Deadline(nanoseconds: 0)

    func isTrusted(at now: Deadline) -> Bool {
      switch upstream.pipeline {
      case .yes: standing != .no || pauseEnd <= now
      case .no: false
      case .auto: standing == .yes
      }
    }
  }

  private let records = Mutex<[String: Record]>([:])

  private static let firstPause = Duration.seconds(60)
  /// The pause doubles so many times.
  private static let doublings = 6
  /// A trial that found nothing out is not repeated at once.
  private static let trialPause = Duration.seconds(60)

  package init() {}

  /// What a chain is dialled at for a client.
  func pace(for chain: Chain) -> Pace {
    guard chain.hops.contains(where: { $0.pipeline != .no }) else { return .lockstep }
    return records.withLock { records in
      let now = Deadline.now
      var pace = Pace()
      for (index, hop) in chain.hops.enumerated() where Self.mayPipeline(index, of: chain) {
        if Self.record(of: hop, in: records).isTrusted(at: now) { pace.insert(index) }
      }
      return pace
    }
  }

  /// What a chain is dialled at to find something out; `nil` when there is nothing to be found out just now.
  ///
  /// - Parameter isContinued: the last trial has found out something about one of several.
  func trialPace(for chain: Chain, isContinued: Bool) -> Pace? {
    guard chain.hops.contains(where: { $0.pipeline == .auto }) else { return nil }
    return records.withLock { records in
      let now = Deadline.now
      var pace = Pace()
      var isWorthIt = false
      for (index, hop) in chain.hops.enumerated()
      where Self.mayPipeline(index, of: chain) && hop.pipeline != .no {
        var record = Self.record(of: hop, in: records)
        let isUndecided = record.standing == .unknown && isContinued || record.pauseEnd <= now
        if record.isTrusted(at: now) {
          pace.insert(index)
        } else if isUndecided {
          pace.insert(index)
          isWorthIt = true
          record.pauseEnd = now + Self.trialPause
          records[hop.name] = record
        }
      }
      return isWorthIt ? pace : nil
    }
  }

  /// Behind the last hop there is nobody: unless it is greeted, it is told one thing only.
  private static func mayPipeline(_ index: Int, of chain: Chain) -> Bool {
    index < chain.hops.count - 1 || chain.hops[index].kind == .socks5
  }

  private static func record(of hop: Upstream, in records: [String: Record]) -> Record {
    guard let record = records[hop.name], record.upstream.isSameProxy(as: hop) else {
      return Record(upstream: hop)
    }
    return record
  }

  func isProven(_ hop: Upstream) -> Bool { standing(of: hop) == .yes }

  /// What `status` shows.
  package func standing(of hop: Upstream) -> Standing {
    records.withLock { Self.record(of: hop, in: $0).standing }
  }

  /// It has answered to everything that it was told at once.
  func prove(_ hop: Upstream) {
    records.withLock { records in
      var record = Self.record(of: hop, in: records)
      record.standing = .yes
      records[hop.name] = record
    }
  }

  /// It did not stand it: it is asked one thing at a time, and not tried for a while, which grows.
  func withdraw(_ hop: Upstream) {
    records.withLock { records in
      var record = Self.record(of: hop, in: records)
      record.standing = .no
      record.pauseEnd = .after(Self.firstPause * (1 << min(record.withdrawals, Self.doublings)))
      record.withdrawals += 1
      records[hop.name] = record
    }
  }
}

extension Upstream {
  /// As far as what it stands goes.
  fileprivate func isSameProxy(as other: Upstream) -> Bool {
    kind == other.kind && endpoint == other.endpoint && tls == other.tls && pipeline == other.pipeline
      && isToldWhoAsks == other.isToldWhoAsks
  }

  /// Also where the credentials of an identity have yet to be derived.
  private var isToldWhoAsks: Bool { credentials != nil || isIsolated }
}
