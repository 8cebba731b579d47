import Addresses

/// A name server's reply to one question, with the records that matter for it.
struct Reply {
  /// RCODE: 0 no error, 2 server failure, 3 no such name, 5 refused (RFC 1035 §4.1.1).
  let code: UInt8
  /// TC: there is more, which only TCP carries.
  let isTruncated: Bool
  /// The server does not know what was asked, nor perhaps the form it was asked in: RCODE 1 and 4.
  let refusesFormat: Bool
  private let question: Question
  private var answers: [MessageReader.Record] = []
  private var authorities: [MessageReader.Record] = []

  /// Of more records, the rest is ignored: it would hold up the loop.
  private static let recordLimit = 512
  /// Of more addresses, the rest is ignored: no client tries so many.
  static let addressLimit = 32
  /// A chain of more aliases leads nowhere.
  private static let aliasLimit = 16

  /// Returns `nil` for a message that is no reply to `question` as it was asked under `id`: another may still follow.
  ///
  /// - Throws: `Malformed` when it is the reply, and cannot be read.
  init?(_ octets: [UInt8], to question: Question, id: UInt16) throws(MessageReader.Malformed) {
    var reader = MessageReader(octets)
    guard let header = try? Header(&reader), header.id == id, header.isReply else { return nil }
    // Of a question that they cannot read, old servers repeat nothing.
    if header.questions == 0, header.refusesFormat {
      self.init(header, to: question)
      return
    }
    guard header.questions == 1,
      let name = try? reader.name(), name == question.wireName,
      let type = try? reader.uint16(), type == question.recordType,
      let questionClass = try? reader.uint16(), questionClass == Question.internet
    else { return nil }
    self.init(header, to: question)
    guard !isTruncated else { return }
    answers = try Self.records(&reader, min(Int(header.answers), Self.recordLimit))
    authorities = try Self.records(&reader, min(Int(header.authorities), Self.recordLimit - answers.count))
  }

  private init(_ header: Header, to question: Question) {
    self.question = question
    code = header.code
    isTruncated = header.isTruncated
    refusesFormat = header.refusesFormat
  }

  private struct Header {
    let id: UInt16
    let isReply: Bool
    let isTruncated: Bool
    let code: UInt8
    let questions: UInt16
    let answers: UInt16
    let authorities: UInt16

    var refusesFormat: Bool { code == 1 || code == 4 }

    init(_ reader: inout MessageReader) throws(MessageReader.Malformed) {
      id = try reader.uint16()
      let flags = try reader.octet()
      // QR says that it is a reply, and OPCODE, which is zero, to a query.
      isReply = flags & 0xf8 == 0x80
      isTruncated = flags & 0x02 != 0
      code = try reader.octet() & 0x0f
      questions = try reader.uint16()
      answers = try reader.uint16()
      authorities = try reader.uint16()
      try reader.skip(2)
    }
  }

  private static func records(
    _ reader: inout MessageReader, _ count: Int
  ) throws(MessageReader.Malformed) -> [MessageReader.Record] {
    var records: [MessageReader.Record] = []
    for _ in 0..<count {
      let record = try reader.record()
      if record.recordClass == Question.internet { records.append(record) }
    }
    return records
  }

  // MARK: What it says

  /// The answer, and how long it is true; `nil` where the zone does not say.
  func response() throws(MessageReader.Malformed) -> (answer: Question.Answer, lifetime: Duration?) {
    var owner = question.wireName
    var lifetime: Duration?
    for _ in 0..<Self.aliasLimit {
      guard let alias = answers.first(where: { $0.type == 5 && $0.owner == owner }) else { break }
      var data = alias.data
      owner = try data.name()
      lifetime = Self.least(lifetime, alias.lifetime)
    }
    let records = answers.filter { $0.type == question.recordType && $0.owner == owner }
    if code == 0, let finding = try finding(in: records) {
      return (.success(finding), records.reduce(lifetime) { Self.least($0, $1.lifetime) })
    }
    let failure = code == 3 ? ResolutionFailure.notFound : .noData
    guard let negative = try negativeLifetime() else { return (.failure(failure), nil) }
    return (.failure(failure), Self.least(lifetime, negative))
  }

  private func finding(in records: [MessageReader.Record]) throws(MessageReader.Malformed) -> Finding? {
    switch question {
    case .addresses(_, let family):
      var addresses: [IPAddress] = []
      for record in records.prefix(Self.addressLimit) { addresses.append(try record.address(of: family)) }
      return addresses.isEmpty ? nil : .addresses(addresses)
    case .name:
      for record in records {
        var data = record.data
        // Anybody can write such a record: of what is no name that a client could use, nothing is told.
        if let name = DomainName(wire: try data.name()) { return .name(name) }
      }
      return nil
    }
  }

  /// How long it is true that there is nothing: RFC 2308 §5. Without an SOA record it is not to be kept.
  private func negativeLifetime() throws(MessageReader.Malformed) -> Duration? {
    guard let record = authorities.first(where: { $0.type == 6 }) else { return nil }
    var data = record.data
    _ = try data.name()
    _ = try data.name()
    // SERIAL, REFRESH, RETRY and EXPIRE (RFC 1035 §3.3.13).
    try data.skip(16)
    return min(record.lifetime, .seconds(Int64(try data.uint32())))
  }

  private static func least(_ one: Duration?, _ other: Duration) -> Duration {
    one.map { min($0, other) } ?? other
  }
}

extension MessageReader.Record {
  fileprivate func address(of family: Family) throws(MessageReader.Malformed) -> IPAddress {
    var data = data
    switch family {
    case .v4:
      guard length == 4 else { throw MessageReader.Malformed() }
      return .v4(try data.uint32())
    case .v6:
      guard length == 16 else { throw MessageReader.Malformed() }
      var bits: UInt128 = 0
      for _ in 0..<4 { bits = bits << 32 | UInt128(try data.uint32()) }
      return IPAddress.v6(bits).unmapped
    }
  }
}

extension DomainName {
  /// `nil` for what is no host name. A dot inside a label is none of those between labels.
  fileprivate init?(wire: MessageReader.Name) {
    var text: [UInt8] = []
    var rest = wire[...]
    while let length = rest.popFirst() {
      let label = rest.prefix(Int(length))
      guard !label.contains(UInt8(ascii: ".")) else { return nil }
      text += label + [UInt8(ascii: ".")]
      rest = rest.dropFirst(Int(length))
    }
    guard let name = try? DomainName(text) else { return nil }
    self = name
  }
}
