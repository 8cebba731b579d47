import Addresses

/// The messages of SOCKS version 5: RFC 1928 and, for user names and passwords, RFC 1929.
package enum SOCKS5 {
  /// The VER octet of every RFC 1928 message.
  static let version: UInt8 = 5

  /// Why received bytes cannot be the message that was due.
  package enum Violation: Error, Hashable, Sendable {
    /// A version octet other than the one this message begins with.
    case version(UInt8)
    /// An ATYP other than 01, 03 and 04: where the address ends is unknown.
    case addressType(UInt8)
    /// A destination that was read to its end, but is no name a resolver or a hop may be asked for.
    case name(DomainName.Violation)

    /// What a client whose request this is should be told.
    package var reply: ReplyCode {
      switch self {
      case .version, .name(.malformed): .generalFailure
      case .name(.tooLong): .hostUnreachable
      case .addressType: .addressTypeNotSupported
      }
    }
  }
}
