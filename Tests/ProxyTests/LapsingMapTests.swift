import Chance
import Synchronization
import Testing
import Transport

@testable import Proxy

struct LapsingMapTests {
  /// The same by searching; the oldest is first.
  private struct Naive {
    var entries: [(key: Int, value: Int, end: Deadline)] = []

    func value(of key: Int, at now: Deadline) -> Int? {
      entries.first { $0.key == key && now < $0.end }?.value
    }

    mutating func set(_ value: Int, for key: Int, at now: Deadline) {
      _ = remove(key)
      entries.append((key, value, now + .seconds(10)))
    }

    mutating func remove(_ key: Int) -> Int? {
      entries.firstIndex { $0.key == key }.map { entries.remove(at: $0).value }
    }

    mutating func removeLapsed(at now: Deadline) -> Int? {
      entries.firstIndex { $0.end <= now }.map { entries.remove(at: $0).value }
    }

    mutating func removeOldest() -> Int? { entries.isEmpty ? nil : entries.removeFirst().value }
  }

  @Test(arguments: [1, 3, 20, 500], [freshSeed])
  func `it does what a search would do`(keys: Int, seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    var map = LapsingMap<Int, Int>(lifetime: .seconds(10))
    var naive = Naive()
    var now = Deadline(nanoseconds: 0)
    for step in 0..<20_000 {
      // Never twice at a time: which of two was set first would not be known.
      now = now + .milliseconds(Int.random(in: 1...100, using: &generator))
      let key = Int.random(in: 0..<keys, using: &generator)
      let (one, other): (Int?, Int?)
      switch Int.random(in: 0..<20, using: &generator) {
      case 0: (one, other) = (map.remove(key), naive.remove(key))
      case 1: (one, other) = (map.removeOldest(), naive.removeOldest())
      case 2...6: (one, other) = (map.removeLapsed(at: now), naive.removeLapsed(at: now))
      case 7...12:
        map.set(step, for: key, at: now)
        naive.set(step, for: key, at: now)
        (one, other) = (map.count, naive.entries.count)
      default: (one, other) = (map[key, at: now], naive.value(of: key, at: now))
      }
      guard one == other else {
        Issue.record("step \(step), \(key): \(one as Int?) in place of \(other as Int?)")
        return
      }
    }
  }

  /// A key that counts how often keys are looked at.
  private struct Key: Hashable {
    let number: Int
    let looks: Looks

    static func == (one: Key, other: Key) -> Bool { one.number == other.number }

    func hash(into hasher: inout Hasher) {
      looks.count.withLock { $0 += 1 }
      hasher.combine(number)
    }
  }

  private final class Looks: Sendable {
    let count = Mutex(0)
  }

  @Test func `ten thousand values cost a few steps each, to ask for, to set and to remove`() {
    let looks = Looks()
    var map = LapsingMap<Key, Int>(lifetime: .seconds(10))
    var now = Deadline(nanoseconds: 0)
    for number in 0..<10_000 {
      now = now + .milliseconds(2)
      while map.removeLapsed(at: now) != nil {}
      let key = Key(number: number, looks: looks)
      if map[key, at: now] == nil { map.set(number, for: key, at: now) }
    }
    // Those of the last 10 s.
    #expect(map.count == 5_000)
    #expect(looks.count.withLock { $0 } < 200_000)
    // Of one that is set again and again, no more is kept.
    for _ in 0..<100_000 {
      now = now + .nanoseconds(1)
      map.set(0, for: Key(number: 0, looks: looks), at: now)
    }
    #expect(looks.count.withLock { $0 } < 2_000_000)
  }
}
