import CCrypt
import Glibc

/// A password as crypt(3) hashes it: `$6$…`, `$y$…`, `$2b$…` and whatever else the system's libcrypt knows.
///
/// However it is printed, the hash does not show.
package struct PasswordHash: Hashable, Sendable {
  private let text: String

  /// `nil` for text that is no complete hash of a method libcrypt knows.
  ///
  /// The two methods that have no `$` in front (DES) are refused: eight letters of the password decided
  /// there, and any word of thirteen letters looks like one.
  package init?(_ text: String) {
    guard text.utf8.first == UInt8(ascii: "$"), text.utf8.count <= 255,
      text.utf8.allSatisfy({ (0x21...0x7e).contains($0) })
    else { return nil }
    // A setting alone, or a hash cut short in copying, would pass libcrypt's check and then match nothing.
    guard let digest = text.utf8.split(separator: UInt8(ascii: "$")).last, digest.count >= Self.shortestDigest
    else { return nil }
    let verdict = unsafe crypt_checksalt(text)
    guard verdict == CRYPT_SALT_OK || verdict == CRYPT_SALT_METHOD_LEGACY else { return nil }
    self.text = text
  }

  /// The digest of `$1$`, 128 bits, in characters.
  private static let shortestDigest = 22

  /// Whether this is the hash of `password`.
  ///
  /// It blocks for as long as the hash was made to cost, milliseconds to seconds: keep it off an event loop.
  /// Any number of threads may call it at once. A password with a NUL matches no hash, since crypt(3) would
  /// stop there. The corresponding C function is `crypt_rn`.
  ///
  /// - Throws: when there is no memory to compute it.
  package func matches(_ password: [UInt8]) throws(OutOfMemory) -> Bool {
    guard !password.contains(0) else { return false }
    let size = MemoryLayout<crypt_data>.size
    return try unsafe withUnsafeTemporaryAllocation(
      byteCount: size, alignment: MemoryLayout<crypt_data>.alignment
    ) { scratch throws(OutOfMemory) in
      unsafe scratch.initializeMemory(as: UInt8.self, repeating: 0)
      // A local copy with the NUL that C expects.
      let phrase = (password + [0]).map { CChar(bitPattern: $0) }
      guard let hash = unsafe crypt_rn(phrase, text, scratch.baseAddress, CInt(size)) else {
        if errno == ENOMEM { throw OutOfMemory() }
        return false
      }
      return areEqual(unsafe String(cString: hash), text)
    }
  }

  /// libcrypt got no memory for a hash: yescrypt takes 16 MiB.
  package struct OutOfMemory: Error {}

  private func areEqual(_ one: String, _ other: String) -> Bool {
    areEqualInConstantTime(Array(one.utf8), Array(other.utf8))
  }
}

extension PasswordHash: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  package var description: String { "password hash" }
  package var debugDescription: String { description }
  package var customMirror: Mirror { Mirror(self, children: []) }
}
