import Addresses
import Synchronization
import Transport

/// Where this program itself listens: to dial it there would be to go in circles.
package final class OwnListeners: Sendable {
  private let addresses = Mutex<Set<SocketAddress>>([])

  package init() {}

  func replace(with addresses: [SocketAddress]) {
    self.addresses.withLock { $0 = Set(addresses) }
  }

  /// Whether dialling `address` reaches one of our listeners.
  ///
  /// A listener on all addresses is reached by each of this host's: of these the kernel is asked, but only for the ports
  /// of such listeners.
  func contains(_ address: SocketAddress) -> Bool {
    let (isListedOn, isCovered) = addresses.withLock { own in
      (own.contains(address), own.contains(address.everywhere))
    }
    return isListedOn || isCovered && address.address.isOfThisHost
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
