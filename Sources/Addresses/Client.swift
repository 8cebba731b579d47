/// One client, wherever something is limited or counted for each client: connections, handshakes, questions to name
/// servers, and what a client met at a proxy.
///
/// - An IPv4 address.
/// - An IPv6 network of 64 bits: one line has at least that many addresses.
/// - The link-local IPv6 addresses of one interface: a machine can give itself any of them.
/// - All loopback addresses of both families: the programs of this machine.
/// - A user of this machine at a Unix-domain listener, as the kernel tells it.
package struct Client: Hashable, Sendable {
  private enum Kind: UInt8 {
    case v4
    case v6
    case link
    case loopback
    case user
  }

  private let bits: UInt64
  private let kind: Kind

  private init(_ kind: Kind, _ bits: UInt64) {
    self.kind = kind
    self.bits = bits
  }

  /// The programs of this machine that connect over loopback.
  package static let loopback = Client(.loopback, 0)

  /// - Parameter scope: the index of the interface that a link-local IPv6 address belongs to; 0 for other addresses.
  package init(at address: IPAddress, scope: UInt32 = 0) {
    let address = address.unmapped
    switch address {
    case _ where address.isLoopback: self = .loopback
    case .v4(let bits): self.init(.v4, UInt64(bits))
    case .v6(let bits) where bits.value >> 118 == 0xfe80 >> 6: self.init(.link, UInt64(scope))
    case .v6(let bits): self.init(.v6, UInt64(truncatingIfNeeded: bits.value >> 64))
    }
  }

  /// As one word: each connection looks its client up.
  package func hash(into hasher: inout Hasher) {
    hasher.combine(bits ^ UInt64(kind.rawValue) << 56)
  }

  package init(at address: SocketAddress) {
    self.init(at: address.address, scope: address.scope)
  }

  /// A user of this machine, by its number.
  package init(user: UInt32) {
    self.init(.user, UInt64(user))
  }

  /// Whether it is on this machine, as far as its address tells.
  package var isLocal: Bool { kind == .loopback || kind == .user }
}

extension Client: CustomStringConvertible {
  /// As the log names it: `192.0.2.1`, `2001:db8:0:1::/64`, `loopback`, `user 1000`.
  package var description: String {
    switch kind {
    case .v4: IPAddress.v4(UInt32(truncatingIfNeeded: bits)).description
    case .v6: "\(IPAddress.v6(IPv6Bits(UInt128(bits) << 64)))/64"
    case .link: "link-local addresses of interface \(bits)"
    case .loopback: "loopback"
    case .user: "user \(bits)"
    }
  }
}
