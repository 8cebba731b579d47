import Addresses
import Synchronization
import Transport

/// Where clients of this program send their datagrams. A datagram that is relayed there could go in circles, and its
/// sender could be taken for that relay's client.
final class OwnRelays: Sendable {
  private let addresses = Mutex<Set<SocketAddress>>([])
  /// A bit for each port that is a relay's. It is looked at for every datagram that leaves directly, without a lock.
  private let ports = InlineArray<1024, Atomic<UInt64>> { _ in Atomic(0) }

  func add(_ address: SocketAddress) {
    addresses.withLock { addresses in
      addresses.insert(address.withoutScope)
      ports[Self.word(of: address)].bitwiseOr(Self.bit(of: address), ordering: .sequentiallyConsistent)
    }
  }

  func remove(_ address: SocketAddress) {
    addresses.withLock { addresses in
      addresses.remove(address.withoutScope)
      guard !addresses.contains(where: { $0.port == address.port }) else { return }
      ports[Self.word(of: address)].bitwiseAnd(~Self.bit(of: address), ordering: .sequentiallyConsistent)
    }
  }

  func contains(_ address: SocketAddress) -> Bool {
    let word = ports[Self.word(of: address)].load(ordering: .sequentiallyConsistent)
    guard word & Self.bit(of: address) != 0 else { return false }
    return addresses.withLock { $0.contains(address.withoutScope) }
  }

  private static func word(of address: SocketAddress) -> Int { Int(address.port >> 6) }
  private static func bit(of address: SocketAddress) -> UInt64 { 1 << UInt64(address.port & 63) }
}

extension SocketAddress {
  /// Destinations have none.
  fileprivate var withoutScope: SocketAddress { SocketAddress(address, port: port) }
}
