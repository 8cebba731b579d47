import Addresses
import Transport

/// What counts as one client where limits are concerned: an IPv4 address, an IPv6 network of 64 bits (one subscriber has
/// at least that many addresses), or a user of this machine at a Unix-domain listener.
struct Client: Hashable, Sendable {
  private enum Kind: UInt8 {
    case v4
    case v6
    case user
  }

  private let bits: UInt64
  private let kind: Kind

  init(at address: IPAddress) {
    switch address.unmapped {
    case .v4(let address): (bits, kind) = (UInt64(address), .v4)
    case .v6(let address): (bits, kind) = (UInt64(truncatingIfNeeded: address.value >> 64), .v6)
    }
  }

  /// A user of this machine, by the number that the kernel tells.
  init(user: UInt32) {
    (bits, kind) = (UInt64(user), .user)
  }

  init(_ connection: TCPListener.Connection) {
    if let address = connection.peer?.address {
      self.init(at: address)
    } else {
      self.init(user: connection.peerUser ?? .max)
    }
  }

  /// Whether it is a program of this machine, as far as the address tells.
  var isLocal: Bool {
    switch kind {
    case .v4: bits >> 24 == 127
    // ::1 is alone in its network, beside what nobody connects from.
    case .v6: bits == 0
    case .user: true
    }
  }
}
