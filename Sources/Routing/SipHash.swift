/// SipHash-2-4 (Aumasson and Bernstein, 2012): 64 bits of any octets, which nobody can foretell, or tell from chance, who
/// does not know the key.
package struct SipHash: Sendable {
  private let key: (UInt64, UInt64)

  /// - Parameter key: to be drawn from a generator whose numbers cannot be guessed.
  package init(key: (UInt64, UInt64)) {
    self.key = key
  }

  package func callAsFunction(_ bytes: [UInt8]) -> UInt64 {
    var state = State(key)
    var rest = bytes[...]
    while rest.count >= 8 {
      state.absorb(Self.littleEndian(rest.prefix(8)))
      rest = rest.dropFirst(8)
    }
    state.absorb(Self.littleEndian(rest) | UInt64(truncatingIfNeeded: bytes.count) << 56)
    return state.finish()
  }

  private static func littleEndian(_ bytes: ArraySlice<UInt8>) -> UInt64 {
    bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }

  /// The paper's v0 to v3.
  private struct State {
    private var v0, v1, v2, v3: UInt64

    init(_ key: (UInt64, UInt64)) {
      v0 = key.0 ^ 0x736f_6d65_7073_6575
      v1 = key.1 ^ 0x646f_7261_6e64_6f6d
      v2 = key.0 ^ 0x6c79_6765_6e65_7261
      v3 = key.1 ^ 0x7465_6462_7974_6573
    }

    mutating func absorb(_ word: UInt64) {
      v3 ^= word
      for _ in 0..<2 { mix() }
      v0 ^= word
    }

    mutating func finish() -> UInt64 {
      v2 ^= 0xff
      for _ in 0..<4 { mix() }
      return v0 ^ v1 ^ v2 ^ v3
    }

    private mutating func mix() {
      v0 &+= v1
      v1 = Self.rotate(v1, by: 13) ^ v0
      v0 = Self.rotate(v0, by: 32)
      v2 &+= v3
      v3 = Self.rotate(v3, by: 16) ^ v2
      v0 &+= v3
      v3 = Self.rotate(v3, by: 21) ^ v0
      v2 &+= v1
      v1 = Self.rotate(v1, by: 17) ^ v2
      v2 = Self.rotate(v2, by: 32)
    }

    private static func rotate(_ word: UInt64, by count: UInt64) -> UInt64 {
      word << count | word >> (64 - count)
    }
  }
}
