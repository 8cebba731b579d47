import Addresses
import Chance
import Testing

@testable import DNS

/// Replies as they come from the network.
@Suite struct ReplyTests {
  private static let question = Question.addresses(of: (try? DomainName("a.test")) ?? names[0], .v4)
  private static let names = ["x"].compactMap { try? DomainName($0) }

  /// Header, question, then these records; the counts are of answers and authorities.
  private func message(
    id: [UInt8] = [0x12, 0x34], flags: [UInt8] = [0x81, 0x80], questions: UInt8 = 1,
    name: [UInt8] = [1, 0x61, 4, 0x74, 0x65, 0x73, 0x74, 0], type: [UInt8] = [0, 1, 0, 1],
    counts: [UInt8] = [1, 0],
    _ records: [UInt8]
  ) -> [UInt8] {
    id + flags + [0, questions, 0, counts[0], 0, counts[1], 0, 0] + name + type + records
  }

  private static let record: [UInt8] = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1]

  private func answer(_ octets: [UInt8]) throws -> (answer: Question.Answer, lifetime: Duration?)? {
    try Reply(octets, to: Self.question, id: 0x1234)?.response()
  }

  @Test func `the address stands behind its owner, which may be a pointer`() throws {
    let found = try #require(try answer(message(Self.record)))
    #expect(found.answer == .success(.addresses(addresses("192.0.2.1"))))
    #expect(found.lifetime == .seconds(60))
  }

  @Test func `the question may come back in other letters`() throws {
    let name: [UInt8] = [1, 0x41, 4, 0x54, 0x65, 0x53, 0x74, 0]
    #expect(try answer(message(name: name, Self.record)) != nil)
  }

  @Test func `what is no reply to the question is passed over`() throws {
    let others = [
      message(id: [0x12, 0x35], Self.record), message(flags: [0x01, 0x80], Self.record),
      message(flags: [0x89, 0x80], Self.record), message(questions: 0, Self.record),
      message(questions: 2, Self.record),
      message(name: [1, 0x62, 4, 0x74, 0x65, 0x73, 0x74, 0], Self.record),
      message(name: [1, 0x61, 0], Self.record), message(type: [0, 28, 0, 1], Self.record),
      message(type: [0, 1, 0, 3], Self.record), [], [0x12, 0x34],
      message(flags: [0x81, 0x82], questions: 0, []), message(flags: [0x81, 0x83], questions: 0, []),
      message(id: [0x12, 0x35], flags: [0x81, 0x81], questions: 0, []),
    ]
    for octets in others { #expect(try answer(octets) == nil) }
  }

  @Test func `a record of another owner, type or class is no answer`() throws {
    let others: [[UInt8]] = [
      [1, 0x62, 0] + Self.record.dropFirst(2), [0xc0, 12, 0, 28] + Self.record.dropFirst(4),
      [0xc0, 12, 0, 1, 0, 3] + Self.record.dropFirst(6),
    ]
    for record in others { #expect(try answer(message(record))?.answer == .failure(.noData)) }
  }

  @Test func `a reply that is cut anywhere is malformed, and so is one that lies about lengths`() throws {
    let whole = message(Self.record)
    for count in 24..<whole.count {
      #expect(throws: MessageReader.Malformed.self) { try answer(Array(whole[..<count])) }
    }
    let liars: [[UInt8]] = [
      // An address of three octets, a name in an octet of another kind, a pointer to itself, one ahead.
      Array(Self.record[..<10]) + [0, 3, 192, 0, 2], [0x80, 12] + Self.record.dropFirst(2),
      [0xc0, 24] + Self.record.dropFirst(2), [0xc0, 40] + Self.record.dropFirst(2),
    ]
    for record in liars {
      #expect(throws: MessageReader.Malformed.self) { try answer(message(record)) }
    }
  }

  @Test func `aliases that lead in a circle lead nowhere`() throws {
    // a.test CNAME b, b CNAME a.test.
    let circle: [UInt8] =
      [0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 60, 0, 3, 1, 0x62, 0]
      + [1, 0x62, 0, 0, 5, 0, 1, 0, 0, 0, 60, 0, 2, 0xc0, 12]
    #expect(try answer(message(counts: [2, 0], circle))?.answer == .failure(.noData))
  }

  @Test func `a name made of pointers to pointers has an end`() throws {
    // 250 records, each of whose owners points to the owner before it: that is malformed or read, but soon over.
    var records: [UInt8] = []
    for index in 0..<250 {
      let target = index == 0 ? 12 : 24 + (index - 1) * 16
      records += [0xc0 | UInt8(target >> 8), UInt8(target & 255)] + Self.record.dropFirst(2)
    }
    let found = try answer(message(counts: [250, 0], records))
    #expect(found?.answer == .success(.addresses(Array(repeating: .v4(0xc000_0201), count: 32))))
  }
}
