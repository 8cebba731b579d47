import CTLS

/// Why a session was not made, or did not last.
package enum TLSFailure: Error, Hashable, Sendable {
  /// A system call failed; its errno.
  case system(Int32)
  /// The stream ended without the peer saying that it would: somebody may have cut it.
  case truncated
  /// The peer refused, and said why.
  case alert(UInt8)
  /// The peer's certificate was refused here.
  case certificate(CertificateRefusal)
  /// What came first is no TLS.
  case notTLS
  /// The peer sent too many tickets, new keys or the like in a row, without a byte of data.
  case flood
  /// The peer sent what TLS does not allow, or cannot do what is demanded; OpenSSL's number for it.
  case violation(Int64)
}

/// What is wrong with a certificate.
package enum CertificateRefusal: Hashable, Sendable {
  case expired
  case notYetValid
  /// It vouches for itself, or who vouches for it does, and is not trusted.
  case selfSigned
  /// Nobody who is trusted vouches for it.
  case unknownIssuer
  case wrongName
  /// The public key is none of those that are pinned.
  case notPinned
  /// A public key of its chain has more than 8,192 bits, and would take the thread for long.
  case keyTooLarge
  /// OpenSSL's number for anything else.
  case other(Int32)

  init(code: Int64) {
    let code = Int32(truncatingIfNeeded: code)
    self =
      switch code {
      case tls_expired: .expired
      case tls_not_yet_valid: .notYetValid
      case tls_self_signed, tls_self_signed_in_chain: .selfSigned
      case tls_no_issuer, tls_no_local_issuer, tls_unable_to_verify_leaf: .unknownIssuer
      case tls_wrong_name, tls_wrong_address: .wrongName
      case tls_not_pinned: .notPinned
      case tls_key_too_large: .keyTooLarge
      default: .other(code)
      }
  }
}

// MARK: - Text

extension TLSFailure: CustomStringConvertible {
  /// A few lower-case words, as the log writes them: `certificate expired`.
  package var description: String {
    switch self {
    case .system(let error): "errno \(error)"
    case .truncated: "closed by the peer"
    // OpenSSL 3.0 has no words for it.
    case .alert(116): "TLS alert: certificate required"
    case .alert(let alert): unsafe "TLS alert: \(String(cString: tls_alert_text(Int32(alert))))"
    case .certificate(let refusal): refusal.description
    case .notTLS: "not TLS"
    case .flood: "TLS: too many messages without data"
    case .violation(let error): unsafe "TLS: \(String(cString: tls_violation_text(error)))"
    }
  }
}

extension CertificateRefusal: CustomStringConvertible {
  package var description: String {
    switch self {
    case .expired: "certificate expired"
    case .notYetValid: "certificate not yet valid"
    case .selfSigned: "certificate self-signed"
    case .unknownIssuer: "certificate of an unknown issuer"
    case .wrongName: "certificate for another name"
    case .notPinned: "public key not pinned"
    case .keyTooLarge: "certificate with a key of more than 8,192 bits"
    case .other(let code): unsafe "certificate refused: \(String(cString: tls_certificate_text(code)))"
    }
  }
}
