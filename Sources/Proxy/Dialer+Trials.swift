import Addresses
import Routing
import Transport

extension Dialer {
  /// Finds out whether a hop is down that the hop before it did not open the way to.
  ///
  /// The hop before it may be at fault: it restarts, or clients have used up its sessions. So the two ways are dialled in
  /// turn, several times: the hop is down if its way fails each time, and the other way through the same hop opens each
  /// time. Anything else proves nothing.
  func tryWay(_ trial: WayTrial, noting health: Health) async {
    for round in 1...Self.rounds {
      guard await opens(trial.unopened) == false, await opens(trial.opened) == true else { return }
      guard round < Self.rounds else { break }
      guard (try? await loop.sleep(until: .after(.seconds(1)))) != nil else { return }
    }
    health.noteFailure(of: trial)
  }

  private static let rounds = 3

  /// Whether the last of these hops is reached and admits us; `nil` when that was not found out.
  private func opens(_ hops: [Upstream]) async -> Bool? {
    let last = hops.count - 1
    let chain = identities.isolate(Chain(hops), for: Request(to: Endpoint(.unspecified4, port: 0)))
    do throws(Failure) {
      _ = try await approach(last, of: chain, at: .lockstep, until: .after(policy.timeouts.dial))
      return true
    } catch {
      if error.isUnopened { return error.place.hopIndex == last - 1 ? false : nil }
      return error.place.hopIndex == last && error.blame(in: chain) == .hop ? false : nil
    }
  }
}
