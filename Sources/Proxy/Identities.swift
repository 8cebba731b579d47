import Routing
import Synchronization
import Transport

/// The identities that requests have at upstreams with `isolate`, over all loops and over reloads.
///
/// All that is kept is a random key for each upstream. With a new one, everybody has another identity there.
final class Identities: Sendable {
  private let hashes = Mutex(
    UpstreamRecords { _ in
      // The kernel's own, which nobody can foretell.
      var generator = SystemRandomNumberGenerator()
      return SipHash(key: (generator.next(), generator.next()))
    })

  /// The chain with the credentials of the identity that `request` has at each hop: what is dialled, and nothing that is
  /// printed.
  func isolate(_ chain: Chain, for request: Request) -> Chain {
    guard chain.isIsolated else { return chain }
    return hashes.withLock { hashes in
      chain.isolated(for: request, at: Deadline.now.nanoseconds) { upstream in
        hashes.remember(upstream)
        return hashes[upstream]
      }
    }
  }

  /// From now on requests have other identities at these upstreams; what is connected stays as it is.
  func rotate(_ names: [String]) {
    hashes.withLock { hashes in
      for name in names { hashes.forget(name) }
    }
  }

  /// Forgets all but the upstreams of a table that holds from now on.
  func keep(_ upstreams: [Upstream]) {
    hashes.withLock { $0.keep(upstreams) }
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
