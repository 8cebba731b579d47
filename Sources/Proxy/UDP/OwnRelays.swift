import Addresses
import Synchronization

/// Where clients of this program send their datagrams: to relay one there would let it go in circles.
final class OwnRelays: Sendable {
  private let addresses = Mutex<Set<SocketAddress>>([])

  func add(_ address: SocketAddress) {
    addresses.withLock { _ = $0.insert(address) }
  }

  func remove(_ address: SocketAddress) {
    addresses.withLock { _ = $0.remove(address) }
  }

  func contains(_ address: SocketAddress) -> Bool {
    addresses.withLock { $0.contains(address) }
  }
}
