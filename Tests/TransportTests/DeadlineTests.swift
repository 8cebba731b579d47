import Chance
import Testing

@testable import Transport

@Suite struct DeadlineTests {
  private let start = Deadline(nanoseconds: 5_000)

  @Test func `a duration too long for the clock is never`() {
    #expect(start + .seconds(Int64.max) == .never)
    #expect(Deadline.never + .nanoseconds(1) == .never)
  }

  @Test func `a negative duration is none`() {
    #expect(start + .seconds(-1) == start)
  }

  @Test func `the time from an earlier moment, and none from a later one`() {
    #expect((start + .milliseconds(3)).since(start) == .milliseconds(3))
    #expect(start.since(start + .milliseconds(3)) == .zero)
  }

  @Test func `never is farther than any duration, and does not trap`() {
    #expect(Deadline.never.since(start) == .nanoseconds(Int64.max))
  }
}

@Suite struct DeadlineHeapTests {
  @Test(arguments: seeds(20))
  func `deadlines come in order, whatever was inserted and withdrawn`(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    var heap = DeadlineHeap()
    var expected: [Int: Deadline] = [:]
    for _ in 0..<2000 {
      let wait = Int.random(in: 0..<64, using: &random)
      switch Int.random(in: 0..<4, using: &random) {
      case 0, 1:
        guard expected[wait] == nil else { continue }
        expected[wait] = Deadline(nanoseconds: .random(in: 0..<100, using: &random))
        heap.insert(expected[wait]!, for: wait)
      case 2:
        expected[wait] = nil
        heap.remove(wait)
      default:
        let now = Deadline(nanoseconds: .random(in: 0..<20, using: &random))
        while let expired = heap.popExpired(at: now) {
          #expect(expected[expired] == expected.values.min())
          #expect(expected.removeValue(forKey: expired)! <= now)
        }
      }
      #expect(heap.earliest == expected.values.min())
    }
    while let expired = heap.popExpired(at: .never) {
      #expect(expected.removeValue(forKey: expired) != nil)
    }
    #expect(expected.isEmpty)
  }

  @Test func `to withdraw a deadline that was never set is nothing`() {
    var heap = DeadlineHeap()
    heap.remove(7)
    heap.insert(Deadline(nanoseconds: 1), for: 2)
    heap.remove(7)
    #expect(heap.earliest == Deadline(nanoseconds: 1))
  }
}
