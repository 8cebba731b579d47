import Addresses

/// Where a hop's relay takes datagrams, as its neighbour before it can reach it.
///
/// Many servers tell an address that is of no use outside: a wildcard they bound to, or the inner side of a NAT. Then
/// the hop's own address, at which its control connection reached it, is the best there is.
///
/// - Parameters:
///   - bound: BND of the hop's reply.
///   - hop: the address or name by which the hop was reached.
/// - Returns: `nil` for port 0, at which nothing can be reached.
func relayAddress(told bound: Endpoint, by hop: Host) -> Endpoint? {
  guard bound.port != 0 else { return nil }
  guard let address = bound.host.address else { return bound }
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

extension IPAddress {
  /// Can be reached from anywhere, as far as the address tells.
  fileprivate var isPublic: Bool { !isPrivate && !isLoopback && !isUnspecified }
}
