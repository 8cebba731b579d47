import Addresses
import Routing
import Transport

extension Dialer {
  /// Finds out whether a hop is down that the hop before it did not open the way to.
  ///
  /// The hop before it may be at fault: it restarts, or clients have used up its sessions. So the way is dialled three
  /// times, one thing asked at a time: the hop is down if the one before it admits us and does not open the way each time.
  /// A second is between the times if the hop before it opens another way each time. If it does not, or if there is no
  /// other, the hop's own `timeout` is, so that a shortage of a few seconds passes.
  func tryWay(_ trial: WayTrial, noting health: Health) async {
    var hasFailed = false
    defer { health.end(trial, hasFailed: hasFailed) }
    var other = trial.other
    var failures = 0
    while await opens(trial.unopened) == false {
      failures += 1
      if let way = other, await opens(way) != true {
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

  /// Whether the last of these hops is reached and admits us; `nil` when that was not found out.
  private func opens(_ hops: [Upstream]) async -> Bool? {
    let last = hops.count - 1
    let chain = identities.isolate(Chain(hops), for: Request(to: Endpoint(.unspecified4, port: 0)))
    do throws(Failure) {
      _ = try await approach(last, of: chain, at: .lockstep, until: .after(policy.timeouts.dial))
      return true
    } catch {
      if let next = error.unopened { return next == last ? false : nil }
      return error.place.hopIndex == last && error.blame(in: chain) == .hop ? false : nil
    }
  }
}
