/// What a client speaks, told by the first octet it sends.
package enum Opening: Hashable, Sendable {
  case socks5
  case socks4
  /// The first letter of an HTTP request method, or the beginning of an empty line before it (RFC 9112 §2.2).
  case http
  case unknown

  package init(firstOctet: UInt8) {
    switch firstOctet {
    case 5: self = .socks5
    case 4: self = .socks4
    case UInt8(ascii: "G"), UInt8(ascii: "H"), UInt8(ascii: "P"), UInt8(ascii: "C"), UInt8(ascii: "O"),
      UInt8(ascii: "D"), UInt8(ascii: "\r"), UInt8(ascii: "\n"):
      self = .http
    default: self = .unknown
    }
  }

  /// What to send before closing on a client whose protocol the listener does not serve; empty when nothing is to be
  /// said.
  ///
  /// SOCKS octets go only to clients that speak SOCKS; a browser pointed at a SOCKS port gets a text it can
  /// show.
  package var refusal: [UInt8] {
    switch self {
    case .socks5: SOCKS5.MethodSelection(.noneAcceptable).bytes
    case .socks4: SOCKS4.Reply(.rejected).bytes
    case .http:
      Array(
        """
        HTTP/1.0 501 Not Implemented\r
        Content-Type: text/plain\r
        Connection: close\r
        \r
        This is a SOCKS proxy, not an HTTP proxy.\r

        """.utf8)
    case .unknown: []
    }
  }
}
