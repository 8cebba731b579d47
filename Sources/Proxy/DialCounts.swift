import Addresses
import Settings
import Transport

/// How many connections each client has begun in the last minute, and towards which endpoints this machine has run out of
/// local ports.
///
/// A port towards an endpoint stays taken for a minute after its connection (TIME_WAIT, RFC 9293 §3.6.1). So a client that
/// opens and closes connections quickly can take all of them. While an endpoint has none left, a client that has begun more
/// than its share is refused there, and the others get the ports that become free.
struct DialCounts {
  /// The last minute is counted in two halves.
  private static let half = Duration.seconds(30)
  private static let minute = Duration.seconds(60)
  /// Of each half. Whoever has more addresses than that keeps each below its share.
  private static let mostClients = 65_536
  private static let mostEndpoints = 1024

  private var current: [Client: Int] = [:]
  private var former: [Client: Int] = [:]
  private var halfEnd = Deadline(nanoseconds: 0)
  private var exhausted: [Endpoint: (end: Deadline, share: Int)] = [:]

  /// Counts a connection that `client` is about to begin, unless it is refused.
  ///
  /// - Returns: the limit that refuses it.
  mutating func begin(_ client: Client, towards endpoint: Endpoint, at now: Deadline) -> ReachedLimit? {
    if now >= halfEnd {
      let isNext = now < halfEnd + Self.half
      former = isNext ? current : [:]
      halfEnd = (isNext ? halfEnd : now) + Self.half
      current = [:]
    }
    if !exhausted.isEmpty, let (end, share) = exhausted[endpoint] {
      if end <= now {
        exhausted[endpoint] = nil
      } else if current[client, default: 0] + former[client, default: 0] >= share {
        return ReachedLimit(.clientDials, value: share)
      }
    }
    if let index = current.index(forKey: client) {
      current.values[index] += 1
    } else if current.count < Self.mostClients {
      current[client] = 1
    }
    return nil
  }

  /// No local port was left towards `endpoint`, of `ports` in all.
  mutating func noteExhaustion(of endpoint: Endpoint, among ports: Int, at now: Deadline) {
    if exhausted.count >= Self.mostEndpoints { exhausted = exhausted.filter { $0.value.end > now } }
    guard exhausted.count < Self.mostEndpoints else { return }
    exhausted[endpoint] = (now + Self.minute, Limits.share(of: ports))
  }
}
