import Chance
import Testing

@testable import Proxy

struct RecencyMapTests {
  /// The same by searching: the entry used last stands last.
  private struct Naive {
    let capacity: Int
    var entries: [(key: Int, value: Int)] = []

    mutating func use(_ key: Int) -> Int? {
      guard let place = entries.firstIndex(where: { $0.key == key }) else { return nil }
      let entry = entries.remove(at: place)
      entries.append(entry)
      return entry.value
    }

    mutating func insert(_ value: Int, for key: Int) -> Int? {
      let displaced = entries.count == capacity ? entries.removeFirst().value : nil
      entries.append((key, value))
      return displaced
    }

    mutating func removeOldest(where fits: (Int) -> Bool) -> Int? {
      guard let place = entries.firstIndex(where: { fits($0.value) }) else { return nil }
      return entries.remove(at: place).value
    }
  }

  @Test(arguments: [1, 2, 3, 7, 64], [freshSeed])
  func `it does what a search would do`(capacity: Int, seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    var map = RecencyMap<Int, Int>(capacity: capacity)
    var naive = Naive(capacity: capacity)
    for step in 0..<20_000 {
      if Int.random(in: 0..<4, using: &generator) == 0 {
        let rest = Int.random(in: 0..<5, using: &generator)
        let removed = map.removeOldest { $0 % 5 == rest }
        guard removed == naive.removeOldest(where: { $0 % 5 == rest }) else {
          Issue.record("step \(step): \(removed as Int?) was removed")
          return
        }
      }
      let key = Int.random(in: 0..<2 * capacity + 1, using: &generator)
      let found = map.use(key)
      guard found == naive.use(key) else {
        Issue.record("step \(step): \(key) is \(found as Int?)")
        return
      }
      if found == nil, Bool.random(using: &generator) {
        guard map.insert(step, for: key) == naive.insert(step, for: key) else {
          Issue.record("step \(step): another one made room for \(key)")
          return
        }
      }
    }
    #expect(map.count == naive.entries.count)
    #expect(map.values.sorted() == naive.entries.map(\.value).sorted())
  }

  @Test func `a value that makes room is let go of`() {
    final class Token {}
    var map = RecencyMap<Int, Token>(capacity: 1)
    weak var first: Token?
    do {
      let token = Token()
      first = token
      #expect(map.insert(token, for: 1) == nil)
    }
    #expect(first != nil)
    _ = map.insert(Token(), for: 2)
    #expect(first == nil)
  }
}
