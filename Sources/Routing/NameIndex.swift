/// Texts numbered in order of their first appearance, found again whole or as the innermost suffix of a host name.
///
/// An open-addressing table. Its hash rolls over the octets from right to left, so that looking for every suffix of a
/// name is one pass with one probe at each dot, and allocates nothing.
struct NameIndex: Sendable {
  /// All that a lookup compares in one place, but the octets.
  private struct Slot {
    /// The upper half of the key's hash, made odd; 0: a free slot.
    var tag: UInt32 = 0
    /// Of the key, in `octets`.
    var length: UInt32 = 0
    var start: UInt32 = 0
    var number: UInt32 = 0
  }

  /// At most half are taken.
  private var slots: [Slot]
  private var octets: [UInt8] = []
  /// Where key n begins; the last is where the next one will.
  private var starts: [UInt32] = [0]
  private var longest = 0

  var count: Int { starts.count - 1 }

  /// For at most `capacity` insertions, of altogether less than 4 GiB.
  init(capacity: Int) {
    var slotCount = 1
    while slotCount < 2 * capacity { slotCount *= 2 }
    slots = Array(repeating: Slot(), count: slotCount)
  }

  /// The number of `key`, the next free one when it is new.
  mutating func insert(_ key: Span<UInt8>) -> Int {
    let hash = Self.finish(Self.roll(key))
    let (slot, found) = probe(hash, for: key, from: 0)
    if let found { return found }
    slots[slot] = Slot(
      tag: Self.tag(hash), length: UInt32(key.count), start: UInt32(octets.count), number: UInt32(count))
    for index in key.indices { octets.append(key[index]) }
    starts.append(UInt32(octets.count))
    longest = max(longest, key.count)
    return count - 1
  }

  /// The number of the key equal to `text`.
  func whole(_ text: Span<UInt8>) -> Int? {
    guard text.count <= longest else { return nil }
    return probe(Self.finish(Self.roll(text)), for: text, from: 0).found
  }

  /// The longest key that is `name` itself or, cut at a dot, its end.
  func innermost(of name: Span<UInt8>) -> (key: Int, isWhole: Bool)? {
    search(name, downTo: 0)
  }

  /// The longest key that, cut at a dot, is an end of key `number` but not the key itself.
  func enclosing(_ number: Int) -> Int? {
    let range = Int(starts[number])..<Int(starts[number + 1])
    return search(octets.span.extracting(range), downTo: 1)?.key
  }

  private func search(_ name: Span<UInt8>, downTo lowest: Int) -> (key: Int, isWhole: Bool)? {
    guard longest > 0 else { return nil }
    var innermost: Int?
    var hash = Self.seed
    var position = name.count
    let last = max(lowest, name.count - longest)
    while position > last {
      position -= 1
      hash = Self.roll(name[position], into: hash)
      if position == 0 || name[position - 1] == UInt8(ascii: ".") {
        if let found = probe(Self.finish(hash), for: name, from: position).found {
          if position == 0 { return (found, true) }
          innermost = found
        }
      }
    }
    return innermost.map { ($0, false) }
  }

  /// The key `text[from...]`, or the free slot where it belongs.
  private func probe(_ hash: UInt64, for text: Span<UInt8>, from: Int) -> (slot: Int, found: Int?) {
    let mask = slots.count - 1
    let tag = Self.tag(hash)
    var position = Int(truncatingIfNeeded: hash) & mask
    while true {
      let slot = slots[position]
      if slot.tag == 0 { return (position, nil) }
      if slot.tag == tag, isKey(slot, equalTo: text, from: from) { return (position, Int(slot.number)) }
      position = (position + 1) & mask
    }
  }

  private func isKey(_ slot: Slot, equalTo text: Span<UInt8>, from: Int) -> Bool {
    let length = Int(slot.length)
    let start = Int(slot.start)
    guard length == text.count - from else { return false }
    for offset in 0..<length where octets[start + offset] != text[from + offset] { return false }
    return true
  }

  // FNV-1a, finished as in MurmurHash3 so that a suffix and the longer one over it share no bits.
  private static let seed: UInt64 = 0xcbf2_9ce4_8422_2325

  private static func roll(_ octet: UInt8, into hash: UInt64) -> UInt64 {
    (hash ^ UInt64(octet)) &* 0x100_0000_01b3
  }

  private static func roll(_ text: Span<UInt8>) -> UInt64 {
    var hash = seed
    var position = text.count
    while position > 0 {
      position -= 1
      hash = roll(text[position], into: hash)
    }
    return hash
  }

  private static func tag(_ hash: UInt64) -> UInt32 {
    UInt32(hash >> 32) | 1
  }

  private static func finish(_ hash: UInt64) -> UInt64 {
    var mixed = (hash ^ hash >> 33) &* 0xff51_afd7_ed55_8ccd
    mixed = (mixed ^ mixed >> 33) &* 0xc4ce_b9fe_1a85_ec53
    return mixed ^ mixed >> 33
  }
}
