/// Ports that the listeners of a key choose from, of which each client may hold a share.
package struct PortRange: Hashable, Sendable, CustomStringConvertible {
  /// The key of a listener that has the range.
  package enum Key: String, Hashable, Sendable {
    case udp = "udp.ports"
    case bind = "bind.ports"
  }

  package let key: Key
  package let ports: ClosedRange<UInt16>

  package init(_ key: Key, _ ports: ClosedRange<UInt16>) {
    self.key = key
    self.ports = ports
  }

  /// As messages name it: `udp.ports 5000-5009`.
  package var description: String {
    let (first, last) = (ports.lowerBound, ports.upperBound)
    return "\(key.rawValue) \(first)\(first == last ? "" : "-\(last)")"
  }

  /// How many of the ports one client may hold, and the limit that says so.
  package var share: ReachedLimit {
    ReachedLimit(key == .udp ? .clientUDPPorts : .clientBindPorts, value: Limits.share(of: ports.count))
  }
}

extension Listener.UDPService {
  package var portRange: PortRange? { ports.map { PortRange(.udp, $0) } }
}

extension Listener.BindService {
  package var portRange: PortRange? { ports.map { PortRange(.bind, $0) } }
}
