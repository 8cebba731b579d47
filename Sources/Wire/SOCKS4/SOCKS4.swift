import Addresses

/// The messages of SOCKS version 4 (Ying-Da Lee's memo "SOCKS: A protocol for TCP proxy across firewalls") and of
/// SOCKS4a, which adds names.
package enum SOCKS4 {
  /// The VN octet of a request.
  static let version: UInt8 = 4

  /// Why received bytes cannot be the message that was due.
  package enum Violation: Error, Hashable, Sendable {
    /// A version octet other than the one this message begins with.
    case version(UInt8)
    /// More than 255 octets, its NUL still to come.
    case userIDTooLong
    /// A destination that is no name a resolver or a hop may be asked for.
    case name(DomainName.Violation)
  }
}
