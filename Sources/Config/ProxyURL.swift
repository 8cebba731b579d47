import Addresses
import Routing

/// The URL of an upstream: `socks5://user:password@host:port`. No scheme has a default port.
struct ProxyURL {
  var kind: Upstream.Kind
  var usesTLS: Bool
  var endpoint: Endpoint
  /// Octets, percent-decoded; `nil` when the URL holds none.
  var username: [UInt8]?
  var password: [UInt8]?

  /// What is wrong with a URL, with what to do about it. It never repeats the URL: that may hold a password.
  struct Violation: Error {
    var message: String

    init(_ message: String) {
      self.message = message
    }
  }

  private static let kinds: [String: Upstream.Kind] = [
    "socks5": .socks5, "socks5h": .socks5, "socks4": .socks4, "socks4a": .socks4a,
    "http": .http,
  ]
  private static let tlsKinds: [String: Upstream.Kind] = [
    "socks5+tls": .socks5, "socks5h+tls": .socks5, "socks4+tls": .socks4, "socks4a+tls": .socks4a,
    "http+tls": .http, "https": .http,
  ]

  init(_ text: String) throws(Violation) {
    guard let colon = text.firstRange(of: "://") else {
      throw Violation("expected the URL of a proxy (write it like socks5://127.0.0.1:1080)")
    }
    (kind, usesTLS) = try Self.kind(scheme: text[..<colon.lowerBound].lowercased())

    var authority = text[colon.upperBound...]
    // An address ends at the last '@': a password may hold one.
    var user: Substring?
    if let at = authority.lastIndex(of: "@") {
      user = authority[..<at]
      authority = authority[authority.index(after: at)...]
    }
    if authority.hasSuffix("/") { authority = authority.dropLast() }
    guard !authority.contains(where: { "/?#".contains($0) }) else {
      throw Violation(
        "a proxy's URL ends with its port (remove what follows it; in a password write %2F, %3F, %23)")
    }
    guard let endpoint = Endpoint(authority) else { throw Self.violation(ofAddress: authority) }
    guard endpoint.port > 0 else { throw Violation("no proxy has port 0 (write its port)") }
    if let address = endpoint.host.address {
      guard address.isDialable else {
        throw Violation("'\(address)' is not the address of a proxy (write the one it listens on)")
      }
    }
    self.endpoint = endpoint

    guard let user else { return }
    let parts = user.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    username = try Self.decoded(parts[0], "user name")
    if parts.count == 2 { password = try Self.decoded(parts[1], "password") }
  }

  private static func kind(scheme: String) throws(Violation) -> (Upstream.Kind, usesTLS: Bool) {
    if let kind = kinds[scheme] { return (kind, false) }
    if let kind = tlsKinds[scheme] { return (kind, true) }
    let known = kinds.keys.sorted(by: >) + tlsKinds.keys.sorted(by: >)
    let near = suggestion(for: scheme, among: known).map { "did you mean '\($0)'?" }
    let isShort = scheme.utf8.count <= 20 && !scheme.contains("@") && !scheme.contains(":")
    throw Violation(
      "\(isShort ? "'\(scheme)'" : "this") is not a proxy's scheme (\(near ?? "write socks5://"))")
  }

  private static func violation(ofAddress text: Substring) -> Violation {
    let isShort = text.utf8.count <= 80
    guard isShort, !text.isEmpty else {
      return Violation("the URL names no proxy (write it like socks5://127.0.0.1:1080)")
    }
    if let colon = text.lastIndex(of: ":"), !text.hasSuffix("]") {
      let port = text[text.index(after: colon)...]
      if text[..<colon].contains(":"), !text.hasPrefix("[") {
        return Violation("an IPv6 address stands in brackets (write it like [2001:db8::1]:1080)")
      }
      guard UInt16(port) != nil else {
        return Violation("'\(port)' is not a port (write one from 1 to 65535)")
      }
      return Violation("'\(text[..<colon])' is neither a host name nor an address (write one)")
    }
    return Violation("the URL has no port (write it behind the host, as in \(text):1080)")
  }

  private static func decoded(_ text: Substring, _ what: String) throws(Violation) -> [UInt8] {
    var result: [UInt8] = []
    var rest = text.utf8[...]
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "%") else {
        result.append(byte)
        continue
      }
      let digits = rest.prefix(2)
      guard digits.count == 2, digits.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }),
        let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 16)
      else {
        throw Violation(
          "a '%' in the \(what) is not followed by two hexadecimal digits (write %25 for a percent sign)")
      }
      result.append(value)
      rest = rest.dropFirst(2)
    }
    return result
  }
}
