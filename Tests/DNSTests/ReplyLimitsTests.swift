import Addresses
import Testing

@testable import DNS

/// Replies that go to the limits, and what they mean beyond.
@Suite struct ReplyLimitsTests {
  private static let name: [UInt8] = [1, 0x7a, 4, 0x74, 0x65, 0x73, 0x74]
  /// 192.0.2.1, for a minute.
  private static let address: [UInt8] = [0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1]

  /// The reply to a question for the A record of `z.test`.
  private func response(
    code: UInt8 = 0, answers: [[UInt8]], authorities: [[UInt8]] = []
  ) throws -> (answer: Question.Answer, lifetime: Duration?) {
    func octets(_ count: Int) -> [UInt8] { [UInt8(count >> 8), UInt8(count & 255)] }
    let message =
      [0, 0, 0x81, 0x80 | code, 0, 1] + octets(answers.count) + octets(authorities.count) + [0, 0]
      + Self.name
      + [0, 0, 1, 0, 1] + (answers + authorities).flatMap { $0 }
    let question = Question.addresses(of: try DomainName("z.test"), .v4)
    return try #require(try Reply(message, to: question, id: 0)).response()
  }

  private static let found = Question.Answer.success(.addresses([.v4(0xc000_0201)]))

  @Test func `of a thousand records the first 512 are read`() throws {
    let other: [UInt8] = [0] + Self.address
    let record: [UInt8] = [0xc0, 12] + Self.address
    let rest = Array(repeating: other, count: 600)
    #expect(try response(answers: rest.prefix(511) + [record] + rest).answer == Self.found)
    #expect(try response(answers: rest.prefix(512) + [record] + rest).answer == .failure(.noData))
  }

  @Test func `a time to live with its highest bit set is none (RFC 2181 §8)`() throws {
    for (seconds, lifetime) in [
      ([0x7f, 0xff, 0xff, 0xff], Int64(Int32.max)), ([0x80, 0, 0, 60], 0),
    ] {
      let record = [0xc0, 12, 0, 1, 0, 1] + seconds.map { UInt8($0) } + [0, 4, 192, 0, 2, 1]
      let found = try response(answers: [record])
      #expect(found.answer == Self.found)
      #expect(found.lifetime == .seconds(lifetime))
    }
  }

  @Test func `an answer is true for no longer than the first of its records to end`() throws {
    let records = [60, 10, 30].map { [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, $0, 0, 4, 192, 0, 2, $0] as [UInt8] }
    #expect(try response(answers: records).lifetime == .seconds(10))
  }

  @Test func `of a chain of aliases 16 are followed`() throws {
    func chain(_ count: UInt8) -> [[UInt8]] {
      // z.test, a, b…: each is an alias of the next, and the last has the address.
      func owner(_ index: UInt8) -> [UInt8] { index == 0 ? [0xc0, 12] : [1, 0x60 + index, 0] }
      let aliases = (0..<count).map { owner($0) + [0, 5, 0, 1, 0, 0, 0, 60, 0, 3, 1, 0x61 + $0, 0] }
      return aliases + [owner(count) + Self.address]
    }
    #expect(try response(answers: chain(16)).answer == Self.found)
    #expect(try response(answers: chain(17)).answer == .failure(.noData))
  }

  @Test func `a name that does not exist has no address, whatever stands beside that`() throws {
    #expect(
      try response(code: 3, answers: [[0xc0, 12] + Self.address]).answer == .failure(.notFound))
  }

  @Test func `that there is nothing is true no longer than the alias that led there`() throws {
    let alias: [UInt8] = [0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 10, 0, 3, 1, 0x61, 0]
    let authority =
      [0, 0, 6, 0, 1, 0, 0, 0, 60, 0, 22, 0, 0] + [UInt8](repeating: 0, count: 16) + [0, 0, 0, 60]
    #expect(
      try response(code: 3, answers: [alias], authorities: [authority]).lifetime == .seconds(10))
    #expect(try response(code: 3, answers: [], authorities: [authority]).lifetime == .seconds(60))
  }

  @Test func `an owner may be written in other letters, and has 254 octets at most`() throws {
    #expect(
      try response(answers: [[1, 0x5a, 4, 0x54, 0x65, 0x53, 0x54, 0] + Self.address]).answer
        == Self.found)
    func name(_ lengths: [Int]) -> [UInt8] {
      lengths.flatMap { [UInt8($0)] + [UInt8](repeating: 0x61, count: $0) } + [0]
    }
    let record: [UInt8] = [0xc0, 12] + Self.address
    #expect(
      try response(answers: [name([63, 63, 63, 61]) + Self.address, record]).answer == Self.found)
    #expect(throws: MessageReader.Malformed.self) {
      try response(answers: [name([63, 63, 63, 62]) + Self.address, record])
    }
  }
}
