import Addresses
import Routing
import Transport

extension Dialer {
  /// Finds out whether a hop is down that a client's dial did not reach, or not in the time that the dial had left.
  ///
  /// The hop is dialled with its own `timeout`, one thing asked at a time. It is down if it cannot be connected to, or does
  /// not admit us, unless it may be full.
  ///
  /// If the hop before it does not open the way to it, that hop may be at fault: it restarts, or clients have used up its
  /// sessions. So the way is dialled three times: the hop is down if the one before it admits us and does not open the way
  /// each time. A second is between the times if the hop before it opens another way each time. If it does not, or if
  /// there is no other, the hop's own `timeout` is, so that a shortage of a few seconds passes.
  func tryWay(_ trial: WayTrial, noting health: Health) async {
    var hasFailed = false
    defer { health.end(trial, hasFailed: hasFailed) }
    var other = trial.other
    var failures = 0
    while true {
      switch await finding(of: trial.unopened, noting: health) {
      case .opened:
        if let hop = trial.unopened.last { health.noteAdmission(of: hop) }
        return
      case .nothing: return
      case .failed:
        hasFailed = true
        return
      case .unopened: failures += 1
      }
      if let way = other, await finding(of: way, noting: health) != .opened {
        other = nil
        failures = 1
      }
      guard failures < Self.enough else {
        hasFailed = true
        return
      }
      let timeout = trial.unopened.last?.timeout ?? Self.pause
      let pause = other == nil ? max(timeout, Self.pause) : Self.pause
      guard (try? await loop.sleep(until: .after(pause))) != nil else { return }
    }
  }

  private static let enough = 3
  private static let pause = Duration.seconds(1)

  /// What a dial to the last of some hops comes to.
  private enum Finding {
    /// The hop was reached, and admitted us.
    case opened
    /// The hop before it admitted us, and did not open the way to it.
    case unopened
    /// The hop itself failed.
    case failed
    /// It was not found out.
    case nothing
  }

  private func finding(of hops: [Upstream], noting health: Health) async -> Finding {
    let last = hops.count - 1
    let chain = identities.isolate(Chain(hops), for: Request(to: Endpoint(.unspecified4, port: 0)))
    do throws(Failure) {
      _ = try await approach(last, of: chain, at: .lockstep, until: .never)
      return .opened
    } catch {
      if let next = error.unopened { return next == last ? .unopened : .nothing }
      var failure = error
      health.noteFullness(in: &failure, of: chain)
      return failure.place.hopIndex == last && failure.blame(in: chain) == .hop ? .failed : .nothing
    }
  }
}
