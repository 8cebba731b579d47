/// What a client speaks, told by the first octet it sends.
package enum Opening: Hashable, Sendable {
  case socks5
  case socks4
  /// The first letter of an HTTP request method.
  case http
  case unknown

  package init(firstOctet: UInt8) {
    switch firstOctet {
    case 5: self = .socks5
    case 4: self = .socks4
    case UInt8(ascii: "G"), UInt8(ascii: "H"), UInt8(ascii: "P"), UInt8(ascii: "C"), UInt8(ascii: "O"),
      UInt8(ascii: "D"):
      self = .http
    default: self = .unknown
    }
  }

  /// What to send before closing on a client whose protocol is not served; empty when nothing is to be said.
  ///
  /// SOCKS octets go only to clients that speak SOCKS; a browser pointed at a SOCKS port gets a text it can
  /// show.
  package var refusal: [UInt8] {
    switch self {
    case .socks4:
      // VN 0, CD 91 (rejected or failed), then a port and an address that mean nothing.
      [0, 0x5b, 0, 0, 0, 0, 0, 0]
    case .http:
      Array(
        """
        HTTP/1.0 501 Not Implemented\r
        Content-Type: text/plain\r
        Connection: close\r
        \r
        This is a SOCKS5 proxy, not an HTTP proxy.\r

        """.utf8)
    case .socks5, .unknown:
      []
    }
  }
}
