import Addresses
import Synchronization

/// Where this program itself listens: to dial it there would be to go in circles.
package final class OwnListeners: Sendable {
  private let addresses = Mutex<Set<SocketAddress>>([])

  package init() {}

  func add(_ address: SocketAddress) {
    addresses.withLock { _ = $0.insert(address) }
  }

  /// Whether dialling `address` reaches one of our listeners for certain.
  func contains(_ address: SocketAddress) -> Bool {
    addresses.withLock { own in
      own.contains(address)
        || (address.address.isLoopback || address.address.isUnspecified) && own.contains(address.everywhere)
    }
  }

  /// Whether we listen on that port of every address, so that any address of this host reaches us.
  func containsWildcard(port: UInt16) -> Bool {
    addresses.withLock { own in
      own.contains { $0.port == port && $0.address.isUnspecified }
    }
  }
}

extension SocketAddress {
  /// The wildcard listener's address that covers this one.
  fileprivate var everywhere: SocketAddress {
    switch address {
    case .v4: SocketAddress(.unspecified4, port: port)
    case .v6: SocketAddress(.unspecified6, port: port)
    }
  }
}
