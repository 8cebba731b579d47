/// A cursor over received bytes.
///
/// Copying it is cheap and remembers the position: a parser works on a copy and assigns it back when the
/// whole message was there. It holds on to the array it reads, so make one for each attempt to parse and let
/// go of it before appending to the array.
package struct ByteReader: Sendable {
  /// The bytes not yet read. Its `startIndex` is the position in the array the reader was made with.
  package private(set) var remaining: ArraySlice<UInt8>

  package init(_ bytes: [UInt8]) {
    remaining = bytes[...]
  }

  package init(_ bytes: ArraySlice<UInt8>) {
    remaining = bytes
  }

  /// The next byte, or `nil` at the end.
  package mutating func byte() -> UInt8? {
    remaining.popFirst()
  }

  /// The next `count` bytes; `nil`, and nothing read, when fewer remain.
  package mutating func bytes(_ count: Int) -> ArraySlice<UInt8>? {
    guard remaining.count >= count else { return nil }
    let end = remaining.startIndex + count
    defer { remaining = remaining[end...] }
    return remaining[..<end]
  }

  /// The next bytes as a number in network byte order; `nil`, and nothing read, when too few remain.
  package mutating func integer<Number: FixedWidthInteger & UnsignedInteger>(_: Number.Type) -> Number? {
    bytes(Number.bitWidth / 8)?.reduce(0) { $0 << 8 | Number(truncatingIfNeeded: $1) }
  }
}

extension [UInt8] {
  /// Appends `number` in network byte order.
  mutating func append<Number: FixedWidthInteger & UnsignedInteger>(integer number: Number) {
    for shift in stride(from: Number.bitWidth - 8, through: 0, by: -8) {
      append(UInt8(truncatingIfNeeded: number >> Number(shift)))
    }
  }
}
