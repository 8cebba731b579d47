import Addresses
import Testing
import Transport

@testable import DNS

@Suite struct AnswerCacheTests {
  private let start = Deadline(nanoseconds: 1_000_000_000)
  private let found = AnswerCache.Known(
    answer: .success(.addresses([.loopback4])), server: SocketAddress(.loopback4, port: 53))

  private func question(_ name: String, _ family: Family = .v4) throws -> Question {
    .addresses(of: try DomainName(name), family)
  }

  @Test func `an answer is there until its time has come`() throws {
    var cache = AnswerCache(capacity: 10)
    let asked = try question("a.test")
    cache.insert(found, to: asked, until: start + .seconds(1))
    #expect(cache.answer(to: asked, at: start) == found)
    #expect(cache.answer(to: asked, at: start + .milliseconds(999)) == found)
    #expect(cache.answer(to: asked, at: start + .seconds(1)) == nil)
  }

  @Test func `families are apart`() throws {
    var cache = AnswerCache(capacity: 10)
    let other = try question("a.test", .v6)
    cache.insert(found, to: try question("a.test"), until: .never)
    #expect(cache.answer(to: other, at: start) == nil)
  }

  @Test func `a later answer replaces the earlier one`() throws {
    var cache = AnswerCache(capacity: 10)
    let asked = try question("a.test")
    cache.insert(.init(answer: .failure(.notFound)), to: asked, until: start)
    cache.insert(found, to: asked, until: .never)
    #expect(cache.answer(to: asked, at: start) == found)
    #expect(cache.count == 1)
  }

  @Test func `it never holds more than its capacity`() throws {
    var cache = AnswerCache(capacity: 10)
    for index in 0..<1000 {
      let next = try question("n\(index).test")
      cache.insert(found, to: next, until: .never)
      #expect(cache.answer(to: next, at: start) == found)
      #expect(cache.count == min(index + 1, 10))
    }
  }

  @Test func `an answer in use outlives those that are not`() throws {
    var cache = AnswerCache(capacity: 10)
    let used = try question("used.test")
    cache.insert(found, to: used, until: .never)
    for index in 0..<1000 {
      #expect(cache.answer(to: used, at: start) == found)
      cache.insert(found, to: try question("n\(index).test"), until: .never)
    }
  }

  @Test func `a cache of nothing holds nothing`() throws {
    var cache = AnswerCache(capacity: 0)
    cache.insert(found, to: try question("a.test"), until: .never)
    #expect(cache.count == 0)
  }
}
