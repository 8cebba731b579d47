import Addresses
import Routing
import Transport
import Wire

/// A chain's last hop, which has done what it was asked.
struct AnsweredHop: ~Copyable {
  let hop: ReachedHop
  let reply: Hop.Reply
  /// It had been waiting for the request.
  var isWarm = false
}

extension Dialer {
  /// Asks something of a chain's last hop: over a tunnel that waits there, or when there is none, or it turns out to
  /// be none any more, by one of its own.
  func ask(
    lastOf chain: Chain, _ command: SOCKS5.Command, _ destination: Endpoint, until deadline: Deadline
  ) async throws(Failure) -> AnsweredHop {
    try check(chain, command, destination)
    guard let warm else { return try await askAnew(chain, command, destination, until: deadline) }
    if var tunnel = warm.take(chain, for: purpose) {
      let asked = Deadline.now
      journey?.noteWarmTunnel()
      do throws(Failure) {
        let reply = try await ask(&tunnel, command, destination, until: deadline)
        return AnsweredHop(hop: tunnel, reply: reply, isWarm: true)
      } catch {
        guard error.isOfALostTunnel else { throw error }
        warm.noteLoss(chain, for: purpose, age: asked.since(tunnel.since))
        // Slowness is no reason to ask again.
        guard deadline.leavesTimeToDial(since: asked) else { throw error }
      }
    }
    do throws(Failure) {
      return try await askAnew(chain, command, destination, until: deadline)
    } catch {
      guard error.cause.isShortage, warm.giveUp() else { throw error }
      journey?.beginAgain()
      return try await askAnew(chain, command, destination, until: deadline)
    }
  }

  private var purpose: WarmChains.Purpose { WarmChains.Purpose(client: client, plan: journey?.plan) }

  private func askAnew(
    _ chain: Chain, _ command: SOCKS5.Command, _ destination: Endpoint, until deadline: Deadline
  ) async throws(Failure) -> AnsweredHop {
    try await paced(chain, asking: command, until: deadline) { pace throws(Failure) in
      try await askAnew(chain, command, destination, at: pace, until: deadline)
    }
  }

  private func askAnew(
    _ chain: Chain, _ command: SOCKS5.Command, _ destination: Endpoint, at pace: Pace,
    until deadline: Deadline
  ) async throws(Failure) -> AnsweredHop {
    let start = Deadline.now
    var last = try await approach(chain.hops.count - 1, of: chain, at: pace, until: deadline)
    // At another pace, it is not there yet.
    if pace == .lockstep {
      warm?.noteReach(chain, for: purpose, after: last.since.since(start), over: last.stream)
    }
    let reply = try await ask(&last, command, destination, until: deadline)
    if pace != .lockstep {
      warm?.noteReach(chain, for: purpose, after: last.since.since(start), over: last.stream)
    }
    return AnsweredHop(hop: last, reply: reply)
  }
}

extension Failure {
  /// The hop did not answer at all: it may never have received the request.
  var isOfALostTunnel: Bool {
    switch cause {
    case .closed: true
    case .system(let error): error != .cancelled
    default: false
    }
  }
}
