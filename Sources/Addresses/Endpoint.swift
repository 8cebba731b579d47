/// Where a destination or a proxy is: an address, or a name that is not resolved yet.
package enum Host: Hashable, Sendable {
  case address(IPAddress)
  case name(DomainName)

  /// Reads what a peer put in a name field (RFC 1928 §5, ATYP 03).
  ///
  /// An address literal becomes the address it is, unmapped, so that rules on addresses cannot be bypassed by
  /// spelling. IPv6 may be in brackets, as in a URL: some clients pass the host of a URL on as it is. Every other text must
  /// be a valid name.
  package init(nameField bytes: ArraySlice<UInt8>) throws(DomainName.Violation) {
    if bytes.first == UInt8(ascii: "["), bytes.last == UInt8(ascii: "]"),
      let address = IPAddress(ascii: bytes.dropFirst().dropLast()), case .v6 = address
    {
      self = .address(address.unmapped)
    } else if let address = IPAddress(ascii: bytes) {
      self = .address(address.unmapped)
    } else {
      self = .name(try DomainName(bytes))
    }
  }

  package init(nameField bytes: some Collection<UInt8>) throws(DomainName.Violation) {
    try self.init(nameField: Array(bytes)[...])
  }

  package var address: IPAddress? {
    guard case .address(let address) = self else { return nil }
    return address
  }

  package var name: DomainName? {
    guard case .name(let name) = self else { return nil }
    return name
  }
}

extension Host: CustomStringConvertible {
  package var description: String {
    switch self {
    case .address(let address): address.description
    case .name(let name): name.text
    }
  }
}

/// A host and a TCP or UDP port.
package struct Endpoint: Hashable, Sendable {
  package var host: Host
  package var port: UInt16

  package init(_ host: Host, port: UInt16) {
    self.host = host
    self.port = port
  }

  package init(_ address: IPAddress, port: UInt16) {
    self.init(.address(address), port: port)
  }

  /// `host:port` or `[v6]:port`; the port is 0–65535, decimal.
  package init?(_ text: some StringProtocol) {
    guard let colon = text.lastIndex(of: ":") else { return nil }
    let digits = text[text.index(after: colon)...]
    guard (1...5).contains(digits.utf8.count), digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
      let port = UInt16(digits)
    else { return nil }
    let hostText = text[..<colon]
    guard hostText.hasPrefix("[") || !hostText.contains(":"),
      let host = try? Host(nameField: Array(hostText.utf8))
    else { return nil }
    self.init(host, port: port)
  }
}

extension Endpoint {
  package init(_ address: SocketAddress) {
    self.init(address.address, port: address.port)
  }

  /// The same, where the host is an address.
  package var socketAddress: SocketAddress? { host.address.map { SocketAddress($0, port: port) } }

  /// The same, its host unmapped if that is an address.
  package var unmapped: Endpoint {
    guard case .address(let address) = host else { return self }
    return Endpoint(address.unmapped, port: port)
  }
}

extension Endpoint: CustomStringConvertible {
  package var description: String {
    if case .address(.v6) = host { "[\(host)]:\(port)" } else { "\(host):\(port)" }
  }
}

/// An address and a port: an `Endpoint` that needs no resolving.
package struct SocketAddress: Hashable, Sendable {
  package var address: IPAddress
  package var port: UInt16
  /// The index of the interface that a link-local IPv6 address belongs to (RFC 4007); 0 for every other address.
  package var scope: UInt32

  package init(_ address: IPAddress, port: UInt16, scope: UInt32 = 0) {
    self.address = address
    self.port = port
    self.scope = scope
  }
}

extension SocketAddress {
  /// The same address with another port.
  package func at(port: UInt16) -> SocketAddress { SocketAddress(address, port: port, scope: scope) }
}

extension SocketAddress: CustomStringConvertible {
  package var description: String { Endpoint(address, port: port).description }
}
