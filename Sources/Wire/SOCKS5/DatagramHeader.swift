import Addresses

extension SOCKS5 {
  /// What stands in front of every datagram between a client and a relay (RFC 1928 §7).
  ///
  ///     +-----+------+------+----------+----------+----------+
  ///     | RSV | FRAG | ATYP | DST.ADDR | DST.PORT |   DATA   |
  ///     +-----+------+------+----------+----------+----------+
  ///     |  2  |  1   |  1   | Variable |    2     | Variable |
  ///     +-----+------+------+----------+----------+----------+
  ///
  /// DATA is not part of it. Through a chain there stands one header for each hop, the first hop's outermost: DATA of
  /// one begins with the next.
  package struct DatagramHeader: Hashable, Sendable {
    /// Where a datagram shall go on its way out, and where it came from on its way back.
    package let peer: Endpoint

    /// Why a datagram has no header. All that is to be done with it is to drop it.
    package enum Violation: Error, Hashable, Sendable {
      /// A fragment, which RFC 1928 §7 lets a relay drop that does not reassemble.
      case fragment(UInt8)
      /// It ends within the header.
      case truncated
      /// An ATYP other than 01, 03 and 04: where the address ends is unknown.
      case addressType(UInt8)
      /// No name a resolver or a hop may be asked for.
      case name(DomainName.Violation)
    }

    /// - Parameter peer: a mapped address is unmapped.
    package init(_ peer: Endpoint) {
      self.peer = peer.unmapped
    }

    /// The header as it is sent.
    package var bytes: [UInt8] {
      var output: [UInt8] = []
      append(to: &output)
      return output
    }

    /// Reads the header at the front of `datagram`; behind its `byteCount` octets stands the payload, which may be
    /// empty. RSV is ignored, as the reserved octet of a reply is.
    ///
    /// An address in the name field, and an IPv4 address mapped into IPv6, arrive as the address they are. Nothing is
    /// allocated but for names: this runs for every datagram.
    package static func parse(
      _ datagram: Span<UInt8>
    ) throws(Violation) -> (header: DatagramHeader, byteCount: Int) {
      guard datagram.count > addressStart else { throw .truncated }
      guard datagram[2] == 0 else { throw .fragment(datagram[2]) }

      let host: Host
      let portStart: Int
      switch datagram[3] {
      case 1:
        portStart = addressStart + 4
        host = .address(.v4(try UInt32(datagram, at: addressStart)))
      case 3:
        let nameStart = addressStart + 1
        portStart = nameStart + Int(datagram[addressStart])
        guard datagram.count >= portStart + 2 else { throw .truncated }
        do throws(DomainName.Violation) {
          host = try Host(nameField: (nameStart..<portStart).map { datagram[$0] })
        } catch {
          throw .name(error)
        }
      case 4:
        portStart = addressStart + 16
        host = .address(.v6(try UInt128(datagram, at: addressStart)))
      case let type:
        throw .addressType(type)
      }
      let port = try UInt16(datagram, at: portStart)
      return (DatagramHeader(Endpoint(host, port: port)), byteCount: portStart + 2)
    }

    /// How many octets `append` writes: 10 or 22 for an address, 8 to 260 for a name.
    package var byteCount: Int {
      switch peer.host {
      case .address(let address): Self.addressStart + address.bitWidth / 8 + 2
      case .name(let name): Self.addressStart + 1 + name.text.utf8.count + 2
      }
    }

    package func append(to output: inout [UInt8]) {
      output.append(0)
      output.append(0)
      output.append(0)
      peer.append(to: &output)
    }

    /// Behind RSV, FRAG and ATYP.
    private static let addressStart = 4
  }
}

extension FixedWidthInteger where Self: UnsignedInteger {
  /// Reads a number in network byte order.
  fileprivate init(
    _ datagram: Span<UInt8>, at start: Int
  ) throws(SOCKS5.DatagramHeader.Violation) {
    let end = start + Self.bitWidth / 8
    guard datagram.count >= end else { throw .truncated }
    self = 0
    for index in start..<end { self = self << 8 | Self(truncatingIfNeeded: datagram[index]) }
  }
}
