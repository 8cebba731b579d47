import Passwords
import Testing

@Suite struct ConstantTimeTests {
  private func octets(_ text: String) -> [UInt8] { Array(text.utf8) }

  @Test(
    arguments: [
      ("", "", true), ("secret", "secret", true), ("secret", "secreT", false), ("secret", "Secret", false),
      ("secret", "", false), ("", "secret", false), ("secret", "secre", false), ("secre", "secret", false),
      ("secret", "secret\0", false), ("\0", "", false), ("\0\0", "\0", false), ("\0", "\0", true),
      ("secret", "secretsecret", false),
    ])
  func `B4, T5: secrets are equal in every octet and in length, or not at all`(
    one: String, other: String, equal: Bool
  ) {
    #expect(areEqualInConstantTime(octets(one), octets(other)) == equal)
    #expect(areEqualInConstantTime(octets(other), octets(one)) == equal)
  }

  @Test func `B5: a difference counts at every one of 255 octets`() {
    let secret = Array(repeating: UInt8(7), count: 255)
    #expect(areEqualInConstantTime(secret, secret))
    for index in secret.indices {
      for bit in 0..<8 {
        var other = secret
        other[index] ^= 1 << bit
        #expect(!areEqualInConstantTime(secret, other), "octet \(index), bit \(bit)")
      }
    }
  }

  @Test func `zeros of any length equal only zeros of that length`() {
    for one in 0...255 {
      for other in 0...255 where (one - other).magnitude <= 2 || one.isMultiple(of: 64) {
        let areEqual = areEqualInConstantTime(
          Array(repeating: 0, count: one), Array(repeating: 0, count: other))
        #expect(areEqual == (one == other), "\(one) and \(other)")
      }
    }
  }

  @Test func `more than 255 octets, which no client can send, equal nothing`() {
    let long = Array(repeating: UInt8(7), count: 256)
    #expect(!areEqualInConstantTime(long, long))
  }
}
