import Addresses

/// Where a hop's relay takes datagrams, as its neighbour before it can reach it.
///
/// Many servers tell an address that is of no use outside: a wildcard they bound to, the inner side of a NAT, or a name that
/// only their own network knows. Then the hop's own address, at which its control connection reached it, is used.
///
/// - Parameters:
///   - bound: BND of the hop's reply.
///   - hop: the address or name by which the hop was reached.
/// - Returns: `nil` for port 0, at which nothing can be reached.
func relayAddress(told bound: Endpoint, by hop: Host) -> Endpoint? {
  guard bound.port != 0 else { return nil }
  if let name = bound.host.name { return name.isLocal ? Endpoint(hop, port: bound.port) : bound }
  guard let address = bound.host.address else { return nil }
  let isOfUse =
    switch hop {
    case .address(let hop):
      address.isDialable && (!address.isLoopback || hop.isLoopback)
        && (!address.isPrivate || !hop.isPublic)
    case .name(let name):
      address.isDialable && (!address.isLoopback || name.text == "localhost")
    }
  return isOfUse ? bound : Endpoint(hop, port: bound.port)
}

extension DomainName {
  /// Whether it means something in one network only: it has one label, or is below a domain that is in no public DNS
  /// (RFC 6761, RFC 6762, RFC 8375; ICANN on `internal`; `lan` and `localdomain` by custom).
  var isLocal: Bool {
    let labels = text.split(separator: ".")
    guard labels.count > 1 else { return true }
    return ["home.arpa", "internal", "invalid", "lan", "local", "localdomain", "localhost"].contains {
      text.hasSuffix(".\($0)")
    }
  }
}

extension IPAddress {
  /// Can be reached from anywhere, as far as the address tells.
  fileprivate var isPublic: Bool { !isPrivate && !isLoopback && !isUnspecified }
}
