import Wire

/// Why a datagram was not relayed. RFC 1928 §7: what cannot or will not be relayed is dropped without a word.
package enum Drop: String, Hashable, Sendable, CaseIterable {
  /// From an address or a port other than the client's.
  case stranger
  /// A header that is cut short, of an unknown address type, or with a malformed name.
  case malformed
  case fragment
  /// A route refuses the destination, or the address that its name resolved to.
  case rejected
  /// The address of no host, port 0, or one of our own relays.
  case refused
  /// The name has no address.
  case unresolved
  /// The chain to the destination carries no UDP, or could not be opened.
  case noPath = "no-path"
  /// Too many datagrams wait for a name or a path.
  case queue
  /// Larger than what fits into a datagram with all its headers.
  case tooLarge = "too-large"
  /// The kernel did not send it.
  case unsent
  /// A reply from an address the client has not sent to.
  case unsolicited
  /// A hop's datagram with other headers than its chain's.
  case foreign
}

/// How many datagrams were dropped, by reason.
package struct Drops: Sendable {
  private var counts: [Drop: Int] = [:]

  package subscript(drop: Drop) -> Int { counts[drop, default: 0] }

  mutating func count(_ drop: Drop, _ number: Int = 1) {
    counts[drop, default: 0] += number
  }

  /// Those that happened, in the order of their declaration.
  package var entries: [(drop: Drop, count: Int)] {
    Drop.allCases.compactMap { drop in counts[drop].map { (drop, $0) } }
  }
}

extension Drop {
  /// What is wrong with a client's datagram.
  init(_ violation: SOCKS5.DatagramHeader.Violation) {
    self =
      switch violation {
      case .fragment: .fragment
      case .truncated, .addressType, .name: .malformed
      }
  }
}
