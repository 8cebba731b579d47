import Addresses
import Chance
import Foundation
import Testing

@testable import DNS

/// What name servers (NSD and Unbound) reply, octet for octet, and what no server should: the fuzzer begins with the same.
@Suite struct CorpusTests {
  private static let one = question("one.example.test", .v4)
  private static let www = question("www.example.test", .v4)
  private static let many = question("many.example.test", .v4)

  private static func question(_ name: String, _ family: Family) -> Question? {
    (try? DomainName(name)).map { .addresses(of: $0, family) }
  }

  private static func pointer(_ address: String) -> Question? { IPAddress(address).map { .name(of: $0) } }

  private static func found(_ texts: String...) -> Question.Answer {
    .success(.addresses(texts.compactMap { IPAddress($0) }))
  }

  private static func named(_ name: String) -> Question.Answer? {
    (try? DomainName(name)).map { .success(.name($0)) }
  }

  private static let all: [(file: String, question: Question?, answer: Question.Answer?, lifetime: Int64?)] =
    [
      ("a", one, found("192.0.2.1"), 300),
      ("a-authoritative", one, found("192.0.2.1"), 300),
      ("a-extended", one, found("192.0.2.1"), 300),
      ("a-three", question("three.example.test", .v4), found("192.0.2.3", "192.0.2.1", "192.0.2.2"), 60),
      ("aaaa", question("one.example.test", .v6), found("2001:db8::1"), 300),
      ("alias", www, found("192.0.2.7"), 17),
      ("alias-authoritative", www, found("192.0.2.7"), 30),
      ("alias-aaaa", question("www.example.test", .v6), found("2001:db8::7"), 30),
      // A DNAME record, and the CNAME record that was made of it (RFC 6672).
      ("alias-zone", question("edge.old.example.test", .v4), found("192.0.2.7"), 30),
      ("alias-dangling", question("dangling.example.test", .v4), .failure(.notFound), 287),
      ("alias-circle", question("loop.example.test", .v4), .failure(.noData), nil),
      ("wildcard", question("any.wild.example.test", .v4), found("192.0.2.99"), 60),
      ("no-data", question("mail.example.test", .v4), .failure(.noData), 287),
      ("no-data-aaaa", question("sig.example.test", .v6), .failure(.noData), 300),
      ("no-name", question("nobody.example.test", .v4), .failure(.notFound), 287),
      ("no-name-authoritative", question("nobody.example.test", .v6), .failure(.notFound), 300),
      ("no-name-extended", question("nobody.example.test", .v4), .failure(.notFound), 300),
      ("ptr", pointer("192.0.2.7"), named("node7.eu.cdn.example.test"), 3600),
      ("ptr-alias", pointer("192.0.2.1"), named("one.example.test"), 900),
      ("ptr-ipv6", pointer("2001:db8::7"), named("node7.eu.cdn.example.test"), 3600),
      ("ptr-no-name", pointer("192.0.2.9"), .failure(.notFound), 300),
      ("many", many, .success(.addresses(manyAddresses("many"))), 60),
      ("many-recursive", many, .success(.addresses(manyAddresses("many-recursive"))), 60),
    ]

  /// The first 32 records of 16 octets, which follow the header and the question.
  private static func manyAddresses(_ file: String) -> [IPAddress] {
    let octets = (try? octets(file)) ?? []
    return (0..<32).compactMap { index in
      let start = 35 + 16 * index + 12
      guard start + 4 <= octets.count else { return nil }
      return .v4(octets[start..<(start + 4)].reduce(0) { $0 << 8 | UInt32($1) })
    }
  }

  private static func octets(_ file: String) throws -> [UInt8] {
    let directory = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    return Array(try Data(contentsOf: directory.appendingPathComponent("../Corpus/dns/\(file)")))
  }

  enum Outcome: Equatable {
    case passedOver
    case malformed
    case reply(Question.Answer, Duration?)
    case other(code: UInt8, isTruncated: Bool)
  }

  private static func outcome(_ octets: [UInt8], to question: Question) -> Outcome {
    do {
      guard let reply = try Reply(octets, to: question, id: 0x1234) else { return .passedOver }
      guard !reply.isTruncated, reply.code == 0 || reply.code == 3 else {
        return .other(code: reply.code, isTruncated: reply.isTruncated)
      }
      let response = try reply.response()
      return .reply(response.answer, response.lifetime)
    } catch {
      return .malformed
    }
  }

  @Test func `what name servers reply is what was asked`() throws {
    for (file, question, answer, lifetime) in Self.all {
      let octets = try Self.octets(file)
      let outcome = Self.outcome(octets, to: try #require(question))
      #expect(outcome == .reply(try #require(answer), lifetime.map { .seconds($0) }), "\(file)")
      // Of another question it says nothing.
      #expect(Self.outcome(octets, to: .name(of: .loopback4)) == .passedOver, "\(file)")
    }
  }

  @Test(
    arguments: [
      ("truncated", many, .other(code: 0, isTruncated: true)),
      ("truncated-recursive", many, .other(code: 0, isTruncated: true)),
      ("refused", question("other.invalid", .v4), .other(code: 5, isTruncated: false)),
      ("server-failure", question("other.invalid", .v4), .other(code: 2, isTruncated: false)),
      ("format-refused", one, .other(code: 1, isTruncated: false)),
      ("not-implemented", one, .other(code: 4, isTruncated: false)),
      ("pointer-to-itself", one, .malformed), ("pointer-ahead", one, .malformed),
      ("pointer-circle", one, .malformed),
    ] as [(String, Question?, Outcome)])
  func `what is no answer is told as what it is`(
    file: String, question: Question?, outcome: Outcome
  ) throws {
    #expect(Self.outcome(try Self.octets(file), to: try #require(question)) == outcome)
  }

  @Test func `a reply that is cut anywhere says nothing, or is malformed, or says what the whole says`()
    throws
  {
    for (file, question, _, _) in Self.all {
      let octets = try Self.octets(file)
      let question = try #require(question)
      let whole = Self.outcome(octets, to: question)
      let cut = octets.indices.map { Self.outcome(Array(octets[..<$0]), to: question) }
      // Behind the header and the question it is the reply, and behind the answers and authorities all is said.
      let start = 12 + question.wireName.count + 1 + 4
      #expect(cut[..<start].allSatisfy { $0 == .passedOver }, "\(file)")
      let malformed = cut[start...].prefix { $0 == .malformed }
      #expect(!malformed.isEmpty, "\(file)")
      #expect(cut[malformed.endIndex...].allSatisfy { $0 == whole }, "\(file)")
    }
  }

  @Test(arguments: seeds(4))
  func `replies with octets at random are never more than malformed, and answer what was asked`(seed: UInt64)
    throws
  {
    var generator = SeededGenerator(seed: seed)
    for (file, question, _, _) in Self.all {
      let octets = try Self.octets(file)
      let question = try #require(question)
      for _ in 0..<500 {
        var changed = octets
        for _ in 0..<Int.random(in: 1...6, using: &generator) {
          let place = Int.random(in: 2..<changed.count, using: &generator)
          switch Int.random(in: 0..<4, using: &generator) {
          case 0: changed.remove(at: place)
          case 1: changed.insert(UInt8.random(in: 0...255, using: &generator), at: place)
          case 2: changed[place] = UInt8.random(in: 0xc0...0xff, using: &generator)
          default: changed[place] = UInt8.random(in: 0...255, using: &generator)
          }
        }
        guard case .reply(.success(let finding), let lifetime) = Self.outcome(changed, to: question) else {
          continue
        }
        #expect((.zero ... .seconds(Int64(Int32.max))).contains(try #require(lifetime)))
        switch (question, finding) {
        case (.addresses(_, let family), .addresses(let found)):
          #expect((1...32).contains(found.count))
          #expect(family == .v6 || found.allSatisfy { $0.family == .v4 })
        case (.name, .name): break
        default: Issue.record("\(finding) is no answer to \(question)")
        }
      }
    }
  }

  @Test(arguments: seeds(4))
  func `random octets behind a header are never more than malformed`(seed: UInt64) throws {
    var generator = SeededGenerator(seed: seed)
    let question = try #require(Self.one)
    let header: [UInt8] = [0x12, 0x34, 0x81, 0x80, 0, 1, 0, 3, 0, 3, 0, 0]
    let asked = question.wireName + [0, 0, 1, 0, 1]
    for _ in 0..<5000 {
      let count = Int.random(in: 0...200, using: &generator)
      let rest = (0..<count).map { _ in
        // Pointers, ends of names and small numbers are what messages are made of.
        Bool.random(using: &generator)
          ? UInt8.random(in: 0...255, using: &generator)
          : [0, 0, 1, 5, 12, 28, 60, 0xc0][Int.random(in: 0..<8, using: &generator)]
      }
      _ = Self.outcome(header + asked + rest, to: question)
    }
  }
}
