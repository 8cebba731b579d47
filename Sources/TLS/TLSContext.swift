import Addresses
import CTLS

/// What is demanded of a peer, and shown to it: read and checked once, then shared by all connections to it.
///
/// Two are equal when they were made of the same.
///
/// `@safe` holds because `context` is freed in `deinit` only, and every array is passed with its own length.
@safe package final class TLSContext: Sendable {
  /// Which certificates a peer may have.
  package enum Trust: Hashable, Sendable {
    /// Those that the system's authorities vouch for.
    case system
    /// Those that these certificates, in PEM, vouch for; or these themselves.
    case authorities([UInt8])
    /// Any, by whomever and for whatever name.
    case anything
  }

  /// Who we are, in PEM: a certificate, those that vouch for it, and its private key.
  package struct Identity: Hashable, Sendable {
    package let certificates: [UInt8]
    package let key: [UInt8]

    package init(certificates: [UInt8], key: [UInt8]) {
      self.certificates = certificates
      self.key = key
    }
  }

  package struct Demands: Hashable, Sendable {
    package var trust: Trust
    /// Public keys of which the peer's must be one, whatever else vouches for it; none: any.
    package var pins: Set<Pin>
    /// For whom the peer's certificate must be made; `nil`: for the host that was dialled.
    package var serverName: Host?
    package var identity: Identity?

    package init(
      trust: Trust = .system, pins: Set<Pin> = [], serverName: Host? = nil, identity: Identity? = nil
    ) {
      self.trust = trust
      self.pins = pins
      self.serverName = serverName
      self.identity = identity
    }
  }

  /// What is wrong with demands.
  package enum Violation: Error, Hashable, Sendable {
    /// `trust` holds no certificate, or one that cannot be read.
    case authorities
    /// The same of `identity`.
    case certificate
    case key
    /// The key is protected by a password.
    case encryptedKey
    /// The key is another certificate's.
    case keyMismatch
    case outOfMemory
  }

  package let demands: Demands
  // Written in `init` only, and then only read by OpenSSL, which counts its references by atomic operations.
  nonisolated(unsafe) let context: OpaquePointer

  /// - Parameter other: a context with the same `trust`, if there is one: its certificates are shared, and not read again.
  package init(_ demands: Demands = Demands(), sharingTrustOf other: TLSContext? = nil) throws(Violation) {
    guard let context = unsafe tls_context_create() else { throw .outOfMemory }
    self.demands = demands
    unsafe self.context = context
    if let other {
      precondition(other.demands.trust == demands.trust, "contexts that trust others share nothing")
      unsafe tls_context_share_trust(context, other.context)
    } else {
      try setTrust()
    }
    if demands.trust == .anything { unsafe tls_context_verify(context, false) }
    try setIdentity()
    let pins = demands.pins.flatMap(\.digest)
    if !pins.isEmpty {
      guard unsafe tls_context_pin(context, pins, demands.pins.count) else { throw .outOfMemory }
    }
  }

  deinit {
    unsafe tls_context_free(context)
  }

  /// Nobody can be sure to whom a connection leads.
  package var trustsAnybody: Bool { demands.trust == .anything && demands.pins.isEmpty }

  private func setTrust() throws(Violation) {
    switch demands.trust {
    case .system:
      guard unsafe tls_context_trust_system(context) else { throw .outOfMemory }
    case .authorities(let pem):
      guard unsafe tls_context_trust(context, pem, pem.count) > 0 else { throw .authorities }
    case .anything: break
    }
  }

  private func setIdentity() throws(Violation) {
    guard let identity = demands.identity else { return }
    let result = unsafe tls_context_identify(
      context, identity.certificates, identity.certificates.count, identity.key, identity.key.count)
    switch result {
    case TLS_IDENTITY_TAKEN: return
    case TLS_NO_CERTIFICATE: throw .certificate
    case TLS_KEY_ENCRYPTED: throw .encryptedKey
    case TLS_KEY_MISMATCH: throw .keyMismatch
    default: throw .key
    }
  }
}

extension TLSContext: Hashable {
  package static func == (one: TLSContext, other: TLSContext) -> Bool {
    one === other || one.demands == other.demands
  }

  package func hash(into hasher: inout Hasher) {
    hasher.combine(demands.pins)
    hasher.combine(demands.serverName)
  }
}

extension TLSContext: CustomStringConvertible, CustomReflectable {
  /// Without anything of what it holds: there may be a private key.
  package var description: String { "TLS" }
  package var customMirror: Mirror { Mirror(self, children: []) }
}

extension TLSContext.Identity: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  package var description: String { "certificate and key" }
  package var debugDescription: String { description }
  package var customMirror: Mirror { Mirror(self, children: []) }
}

/// A public key, known by the SHA-256 digest of its SubjectPublicKeyInfo (RFC 7469 §2.4).
package struct Pin: Hashable, Sendable {
  package let digest: [UInt8]

  /// `nil` unless there are 32 octets.
  package init?(digest: [UInt8]) {
    guard digest.count == 32 else { return nil }
    self.digest = digest
  }

  /// The digest in base64, with or without `sha256/` before it.
  package init?(_ text: String) {
    let digits = Array((text.hasPrefix("sha256/") ? text.dropFirst(7) : text[...]).utf8)
    // 32 octets are 43 digits and one of padding.
    guard digits.count == 44, digits.firstIndex(of: UInt8(ascii: "=")) == 43 else { return nil }
    var digest = [UInt8](repeating: 0, count: 33)
    guard unsafe tls_decode_base64(digits, digits.count, &digest) else { return nil }
    self.init(digest: Array(digest.prefix(32)))
  }
}
