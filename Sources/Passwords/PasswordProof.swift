import COpenSSL

/// What is kept of a password that matched its hash: HMAC-SHA-256 (RFC 2104) of the password, under a key that exists in
/// this process only.
package struct PasswordProof: Sendable, Hashable {
  fileprivate static let size = 32

  fileprivate let octets: [UInt8]

  package static func == (one: Self, other: Self) -> Bool {
    areEqualInConstantTime(one.octets, other.octets)
  }
}

extension PasswordProof: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  package var description: String { "password proof" }
  package var debugDescription: String { description }
  package var customMirror: Mirror { Mirror(self, children: []) }
}

/// Makes proofs of passwords. The proofs of two provers have nothing in common.
package struct PasswordProver: Sendable {
  private let key: [UInt8]
  /// Random octets, which are the proof of no password.
  package let nobodysProof: PasswordProof

  package init() {
    key = Self.random()
    nobodysProof = PasswordProof(octets: Self.random())
  }

  private static func random() -> [UInt8] {
    // The system's generator: getrandom(2).
    (0..<PasswordProof.size).map { _ in UInt8.random(in: .min ... .max) }
  }

  /// `nil` when OpenSSL has no memory for it. The corresponding C function is `HMAC`.
  package func proof(of password: [UInt8]) -> PasswordProof? {
    var octets = [UInt8](repeating: 0, count: PasswordProof.size)
    let isMade =
      unsafe HMAC(EVP_sha256(), key, CInt(key.count), password, password.count, &octets, nil) != nil
    return isMade ? PasswordProof(octets: octets) : nil
  }
}
