/// The messages of HTTP/1.1 (RFC 9112) that open a tunnel with CONNECT (RFC 9110 §9.3.6).
package enum HTTP {
  /// How many octets of a header section are listened to, its empty line included.
  package static let longestHead = 16 * 1024

  /// Why received bytes cannot be the message that was due.
  package enum Violation: Error, Hashable, Sendable {
    /// The octets are not those with which every response begins.
    case notHTTP
    case malformed
    /// The end of the header section does not come in time, or the request line is longer than any that is meant.
    case tooLong
  }
}

extension HTTP {
  /// A status code (RFC 9110 §15).
  package struct Status: RawRepresentable, Hashable, Sendable {
    package let rawValue: UInt16

    package init(rawValue: UInt16) {
      self.rawValue = rawValue
    }

    package static let switchingProtocols = Status(rawValue: 101)
    package static let ok = Status(rawValue: 200)
    package static let badRequest = Status(rawValue: 400)
    package static let unauthorized = Status(rawValue: 401)
    package static let forbidden = Status(rawValue: 403)
    package static let notFound = Status(rawValue: 404)
    package static let proxyAuthenticationRequired = Status(rawValue: 407)
    package static let headerFieldsTooLarge = Status(rawValue: 431)
    package static let notImplemented = Status(rawValue: 501)
    package static let badGateway = Status(rawValue: 502)
    package static let serviceUnavailable = Status(rawValue: 503)
    package static let gatewayTimeout = Status(rawValue: 504)
    package static let versionNotSupported = Status(rawValue: 505)

    /// The request was done, and what follows the header section comes from the destination.
    package var isSuccess: Bool { (200...299).contains(rawValue) }

    /// Another response follows; 101 ends HTTP and is none of these.
    package var isInterim: Bool { (100...199).contains(rawValue) && self != .switchingProtocols }

    /// Who asks is not known, or not let in. Some proxies, tinyproxy among them, say 401 where 407 is meant.
    package var isAboutCredentials: Bool { self == .proxyAuthenticationRequired || self == .unauthorized }

    fileprivate var words: String? {
      switch self {
      case .switchingProtocols: "Switching Protocols"
      case .badRequest: "Bad Request"
      case .unauthorized: "Unauthorized"
      case .forbidden: "Forbidden"
      case .notFound: "Not Found"
      case .proxyAuthenticationRequired: "Proxy Authentication Required"
      case .headerFieldsTooLarge: "Request Header Fields Too Large"
      case .notImplemented: "Not Implemented"
      case .badGateway: "Bad Gateway"
      case .serviceUnavailable: "Service Unavailable"
      case .gatewayTimeout: "Gateway Timeout"
      case .versionNotSupported: "HTTP Version Not Supported"
      default: nil
      }
    }

    /// Of a status line; what the standard calls it, but for a 200, which a proxy has its own words for.
    var reasonPhrase: String { self == .ok ? "Connection established" : words ?? "" }
  }
}

extension HTTP.Status: CustomStringConvertible {
  /// The code and, where there are any, its words: `502 (Bad Gateway)`.
  package var description: String { words.map { "\(rawValue) (\($0))" } ?? "\(rawValue)" }
}
