/// Reads a DNS message from its start (RFC 1035 §4). Every read throws `Malformed` where the message is too short.
struct MessageReader {
  struct Malformed: Error {}

  /// A domain name as octets: each label behind its length, letters in lower case, no compression, no final zero.
  typealias Name = [UInt8]

  private let octets: [UInt8]
  private var offset = 0

  init(_ octets: [UInt8]) {
    self.octets = octets
  }

  mutating func octet() throws(Malformed) -> UInt8 {
    guard offset < octets.count else { throw Malformed() }
    defer { offset += 1 }
    return octets[offset]
  }

  mutating func uint16() throws(Malformed) -> UInt16 {
    let high = try octet()
    return UInt16(high) << 8 | UInt16(try octet())
  }

  mutating func uint32() throws(Malformed) -> UInt32 {
    let high = try uint16()
    return UInt32(high) << 16 | UInt32(try uint16())
  }

  mutating func skip(_ count: Int) throws(Malformed) {
    guard count <= octets.count - offset else { throw Malformed() }
    offset += count
  }

  /// Reads a name, which may end in a pointer to an earlier one (RFC 1035 §4.1.4).
  ///
  /// Each pointer must lead further back than the one before it, and a name has at most 255 octets: so it ends.
  mutating func name() throws(Malformed) -> Name {
    var name: Name = []
    var end: Int?
    var limit = offset
    while true {
      let length = try octet()
      switch length {
      case 0:
        if let end { offset = end }
        return name
      case 1...63:
        guard name.count + 1 + Int(length) < 255 else { throw Malformed() }
        name.append(length)
        for _ in 0..<length {
          let letter = try octet()
          name.append((0x41...0x5a).contains(letter) ? letter | 0x20 : letter)
        }
      case 0xc0...:
        let target = Int(length & 0x3f) << 8 | Int(try octet())
        guard target < limit else { throw Malformed() }
        if end == nil { end = offset }
        limit = target
        offset = target
      default:
        throw Malformed()
      }
    }
  }

  /// One resource record, without its data (RFC 1035 §4.1.3).
  struct Record {
    let owner: Name
    let type: UInt16
    let recordClass: UInt16
    let lifetime: Duration
    /// The data, to be read by type; names in it may point into the message before it.
    var data: MessageReader
    let length: Int
  }

  mutating func record() throws(Malformed) -> Record {
    let owner = try name()
    let type = try uint16()
    let recordClass = try uint16()
    let seconds = try uint32()
    let length = Int(try uint16())
    let data = self
    try skip(length)
    // A TTL with its highest bit set stands for zero (RFC 2181 §8).
    let lifetime = Duration.seconds(seconds >> 31 == 0 ? Int64(seconds) : 0)
    return Record(
      owner: owner, type: type, recordClass: recordClass, lifetime: lifetime, data: data, length: length)
  }
}
