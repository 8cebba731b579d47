import Routing
import Synchronization
import Transport

/// The identities that requests have at upstreams with `isolate`, over all loops and over reloads.
///
/// All that is kept is a random key for each upstream. With a new one, everybody has another identity there.
final class Identities: Sendable {
  private let hashes = Mutex<[String: SipHash]>([:])

  /// The chain with the credentials of the identity that `request` has at each hop: what is dialled, and nothing that is
  /// printed.
  func isolate(_ chain: Chain, for request: Request) -> Chain {
    guard chain.isIsolated else { return chain }
    return hashes.withLock { hashes in
      chain.isolated(for: request, at: Deadline.now.nanoseconds) { name in
        if let hash = hashes[name] { return hash }
        // The kernel's own, which nobody can foretell.
        var generator = SystemRandomNumberGenerator()
        let hash = SipHash(key: (generator.next(), generator.next()))
        hashes[name] = hash
        return hash
      }
    }
  }

  /// From now on requests have other identities at these upstreams; what is connected stays as it is.
  func rotate(_ names: [String]) {
    hashes.withLock { hashes in
      for name in names { hashes[name] = nil }
    }
  }
}

extension Server {
  /// The names of the upstreams at which requests have identities, in the order of the table that holds.
  package var isolatedUpstreams: [String] { running.configuration.upstreams.filter(\.isIsolated).map(\.name) }

  /// From now on requests come to these upstreams as somebody else. What is connected stays as it is.
  package func rotate(_ upstreams: [String]) {
    identities.rotate(upstreams)
  }
}
