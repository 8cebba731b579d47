import Addresses
import TLS
import Wire

/// One upstream proxy.
package struct Upstream: Hashable, Sendable {
  /// Who resolves the proxy's own host name.
  package enum Resolution: String, Hashable, Sendable, CaseIterable {
    /// The hop before it; for the first hop, this program.
    case previous
    /// This program, wherever the proxy stands in a chain.
    case local
  }

  /// What it speaks.
  package enum Kind: String, Hashable, Sendable, CaseIterable {
    case socks5
    /// Knows IPv4 addresses only.
    case socks4
    /// SOCKS4 with names, which travel unresolved.
    case socks4a
    /// CONNECT and nothing else, to names and addresses of both kinds.
    case http

    package var isSOCKS4: Bool { self == .socks4 || self == .socks4a }

    /// The protocol's name, as messages write it.
    package var protocolName: String {
      switch self {
      case .socks5: "SOCKS5"
      case .socks4, .socks4a: "SOCKS4"
      case .http: "HTTP"
      }
    }
  }

  /// Whether datagrams can pass it.
  package enum UDPSupport: String, Hashable, Sendable, CaseIterable {
    case yes
    case no
    /// Found out when the first datagram is to pass it.
    case auto
  }

  /// Whether it is told everything at once: greeting, authentication, request, and what is for the hop behind it.
  package enum Pipeline: String, Hashable, Sendable, CaseIterable {
    case yes
    case no
    /// Found out while no client waits.
    case auto
  }

  package var name: String
  package var kind: Kind
  package var endpoint: Endpoint
  /// What is demanded of it, where it is spoken to over TLS; `nil`: it is spoken to without.
  package var tls: TLSContext?
  /// For SOCKS4 the name alone counts, as the user id. With `isolation` they are a pattern: what is sent is derived.
  package var credentials: Credentials?
  /// What keeps connections apart there; `nil`: nothing.
  package var isolation: Isolation?
  /// For its connect, and again for its handshake.
  package var timeout: Duration
  package var resolution: Resolution
  package var udp: UDPSupport
  package var pipeline: Pipeline
  /// What a request to an HTTP proxy has beside destination and credentials.
  package var headers: [HTTP.Field]

  /// - Parameters:
  ///   - udp: without it, `auto` for SOCKS5 and `no` for the others, which cannot; and `no` with TLS, since datagrams
  ///     pass beside it, as they are.
  ///   - pipeline: HTTP has `no` whatever this is. An HTTP proxy that refuses a CONNECT reads the octets behind it as the
  ///     next request (RFC 9931), so nothing is sent behind a CONNECT before its 2xx.
  package init(
    name: String, kind: Kind = .socks5, endpoint: Endpoint, tls: TLSContext? = nil,
    credentials: Credentials? = nil, isolation: Isolation? = nil, timeout: Duration = .seconds(10),
    resolution: Resolution = .previous,
    udp: UDPSupport? = nil, pipeline: Pipeline = .auto, headers: [HTTP.Field] = []
  ) {
    self.name = name
    self.kind = kind
    self.endpoint = endpoint
    self.tls = tls
    self.credentials = credentials
    self.isolation = isolation
    self.timeout = timeout
    self.resolution = resolution
    self.udp = udp ?? (kind == .socks5 && tls == nil ? .auto : .no)
    self.pipeline = kind == .http ? .no : pipeline
    self.headers = headers
  }
}

extension Upstream {
  /// What it speaks, as in its URL: `socks5+tls`.
  package var scheme: String { tls == nil ? kind.rawValue : "\(kind.rawValue)+tls" }

  /// False when its protocol has no words for where the other one is, so that it cannot stand before it.
  package func mayReach(_ next: Upstream) -> Bool {
    switch next.endpoint.host {
    case .name: kind != .socks4 || next.resolution == .local
    case .address(.v6): !kind.isSOCKS4
    case .address(.v4): true
    }
  }
}

extension Upstream.Kind {
  /// The most octets that a user name has, and a password. RFC 1929 §2 counts them with one octet. HTTP sets no limit; this
  /// one leaves room for the tokens that some providers give out, in a request that most servers read.
  package var longestCredential: Int { self == .http ? 8192 : 255 }
}

/// A user name and a password: octets, 1 to a limit of the name, 0 to the same of the password.
///
/// However it is printed, the password does not show.
package struct Credentials: Hashable, Sendable {
  package let username: [UInt8]
  package let password: [UInt8]

  /// `nil` when a length is out of bounds.
  package init?(username: [UInt8], password: [UInt8], for kind: Upstream.Kind = .socks5) {
    let longest = kind.longestCredential
    guard (1...longest).contains(username.count), password.count <= longest else { return nil }
    self.username = username
    self.password = password
  }
}

extension Credentials: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  package var description: String { "user \(String(decoding: username, as: UTF8.self))" }
  package var debugDescription: String { description }
  package var customMirror: Mirror { Mirror(self, children: ["username": description]) }
}

/// The hops to pass, in travel order; never empty, and no hop twice.
package struct Chain: Sendable {
  package let hops: [Upstream]
  /// What is kept ready for it. The same hops are the same chain, whatever this is.
  package let warm: Warmth

  /// - Precondition: `hops` is not empty.
  package init(_ hops: [Upstream], warm: Warmth = .auto) {
    precondition(!hops.isEmpty)
    self.hops = hops
    self.warm = warm
  }

  /// False when one of the hops is known not to carry UDP.
  package var mayCarryUDP: Bool { hopWithoutUDP == nil }

  /// The first hop that is known not to carry UDP.
  package var hopWithoutUDP: Upstream? { hops.first { $0.udp == .no } }
}

extension Chain: Hashable {
  package static func == (one: Chain, other: Chain) -> Bool { one.hops == other.hops }

  package func hash(into hasher: inout Hasher) {
    // Names are unique in a table, but isolation gives one upstream many users.
    for hop in hops {
      hasher.combine(hop.name)
      hasher.combine(hop.credentials?.username)
    }
  }
}

extension Chain: CustomStringConvertible {
  /// The hops' names, as the log writes them: `office,tor`.
  package var description: String { hops.map(\.name).joined(separator: ",") }
}
