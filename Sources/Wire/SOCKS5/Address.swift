import Addresses

/// A host and port as RFC 1928 §5 writes them, before anybody judges the name.
///
///     +------+----------+------+
///     | ATYP |   ADDR   | PORT |
///     +------+----------+------+
///     |  1   | Variable |  2   |
///     +------+----------+------+
///
/// ATYP 01: four octets. ATYP 03: a length octet and that many octets of name. ATYP 04: sixteen octets.
enum AddressField {
  case address(IPAddress, port: UInt16)
  case name(ArraySlice<UInt8>, port: UInt16)

  init?(parsing input: inout ByteReader) throws(SOCKS5.Violation) {
    var rest = input
    switch rest.byte() {
    case nil:
      return nil
    case 1:
      guard let bits = rest.integer(UInt32.self), let port = rest.integer(UInt16.self) else { return nil }
      self = .address(.v4(bits), port: port)
    case 3:
      guard let count = rest.byte(), let name = rest.bytes(Int(count)), let port = rest.integer(UInt16.self)
      else { return nil }
      self = .name(name, port: port)
    case 4:
      guard let bits = rest.integer(UInt128.self), let port = rest.integer(UInt16.self) else { return nil }
      self = .address(IPAddress.v6(bits).unmapped, port: port)
    case let type?:
      throw .addressType(type)
    }
    input = rest
  }

  var port: UInt16 {
    switch self {
    case .address(_, let port), .name(_, let port): port
    }
  }

  /// - Throws: when the name field holds neither a name nor an address.
  func endpoint() throws(DomainName.Violation) -> Endpoint {
    switch self {
    case .address(let address, let port): Endpoint(address, port: port)
    case .name(let name, let port): Endpoint(try Host(nameField: name), port: port)
    }
  }
}

extension Endpoint {
  func append(to output: inout [UInt8]) {
    switch host {
    case .address(.v4(let bits)):
      output.append(1)
      output.append(integer: bits)
    case .address(.v6(let bits)):
      output.append(4)
      output.append(integer: bits.value)
    case .name(let name):
      output.append(3)
      // At most 253 octets: DomainName holds no more.
      output.append(UInt8(name.text.utf8.count))
      output.append(contentsOf: name.text.utf8)
    }
    output.append(integer: port)
  }
}
