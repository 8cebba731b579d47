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
  /// - Throws: when the hash cannot be computed. The method was accepted, so that memory is missing: libcrypt sets `EINVAL`
  ///   then for yescrypt, gost-yescrypt and scrypt.
  package func matches(_ password: [UInt8]) throws(NotComputed) -> Bool {
    // libcrypt hashes no longer password, and no SOCKS client can send one.
    guard !password.contains(0), password.count < CRYPT_MAX_PASSPHRASE_SIZE else { return false }
    let size = MemoryLayout<crypt_data>.size
    return try unsafe withUnsafeTemporaryAllocation(
      byteCount: size, alignment: MemoryLayout<crypt_data>.alignment
    ) { scratch throws(NotComputed) in
      // libcrypt is given the size of the scratch memory, and its answer lies within that until this closure ends.
      unsafe scratch.initializeMemory(as: UInt8.self, repeating: 0)
      // A local copy with the NUL that C expects.
      let phrase = (password + [0]).map { CChar(bitPattern: $0) }
      guard let hash = unsafe crypt_rn(phrase, text, scratch.baseAddress, CInt(size)) else {
        throw NotComputed()
      }
      return areEqual(unsafe String(cString: hash), text)
    }
  }

  /// libcrypt computed no hash, for want of memory.
  package struct NotComputed: Error {}

  /// How much memory one computation takes, in octets: 0 for a method that needs a few KiB.
  ///
  /// yescrypt, gost-yescrypt and scrypt take 128·N·r octets, and write log2(N) and r into the hash (crypt(5)). Where these
  /// are not written as one character each, the result is that of libcrypt's own defaults: 16 MiB.
  package var memory: Int {
    let fields = text.utf8.split(separator: UInt8(ascii: "$"))
    guard let method = fields.first.map({ String(decoding: $0, as: UTF8.self) }), fields.count > 1 else {
      return 0
    }
    let parameters = Array(fields[1])
    switch method {
    case "y", "gy":
      let values = parameters.compactMap(Self.digit)
      guard values.count >= 3, values[..<3].allSatisfy({ $0 < 48 }) else { return Self.usualMemory }
      return Self.memory(logN: values[1] + 1, r: values[2] + 1)
    case "7":
      let values = parameters.prefix(6).compactMap(Self.digit)
      guard values.count == 6 else { return Self.usualMemory }
      let r = values[1...].reversed().reduce(0) { $0 << 6 | $1 }
      return Self.memory(logN: values[0], r: r)
    default: return 0
    }
  }

  private static let usualMemory = 16 << 20

  private static func memory(logN: Int, r: Int) -> Int {
    // r has 30 bits.
    logN < 25 ? (128 * r) << logN : 1 << 62
  }

  /// The value of a character of crypt(3)'s alphabet `./0-9A-Za-z`.
  private static func digit(_ character: UInt8) -> Int? {
    switch character {
    case UInt8(ascii: ".")...UInt8(ascii: "9"): Int(character) - 0x2e
    case UInt8(ascii: "A")...UInt8(ascii: "Z"): Int(character) - 0x41 + 12
    case UInt8(ascii: "a")...UInt8(ascii: "z"): Int(character) - 0x61 + 38
    default: nil
    }
  }

  private func areEqual(_ one: String, _ other: String) -> Bool {
    areEqualInConstantTime(Array(one.utf8), Array(other.utf8))
  }
}

extension PasswordHash: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  package var description: String { "password hash" }
  package var debugDescription: String { description }
  package var customMirror: Mirror { Mirror(self, children: []) }
}
