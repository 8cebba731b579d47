import Testing
import Transport

@testable import Proxy

struct HashMemoryTests {
  /// Of 100 octets.
  private let memory: HashMemory
  /// What the memory was asked for.
  private let questions: AsyncStream<Int>
  private let asked: AsyncStream<Int>.Continuation

  init() {
    let (questions, asked) = AsyncStream<Int>.makeStream()
    (self.questions, self.asked) = (questions, asked)
    memory = HashMemory { count in
      asked.yield(count)
      return count <= 100
    }
  }

  @Test func `two hashes that ask at the same moment are not promised the same memory`() async throws {
    var counts = questions.makeAsyncIterator()
    let threads = try (0..<2).map { _ in try EventLoop(carriesDatagrams: false) }
    defer { for thread in threads { thread.stop() } }
    // Until then the first is being computed, and has perhaps taken nothing yet.
    let end = Semaphore()
    let first = Task(executorPreference: threads[0]) { [memory] in memory.compute(taking: 60) { end.wait() } }
    #expect(await counts.next() == 60)
    let second = Task(executorPreference: threads[1]) { [memory] in memory.compute(taking: 60) {} }
    #expect(await counts.next() == 120)
    end.post()
    #expect(await first.value != nil)
    #expect(await second.value != nil)
    asked.finish()
    #expect(await counts.next() == 60)
    #expect(await counts.next() == nil)
  }

  @Test func `hashes are computed at the same time where there is memory for both`() {
    #expect(memory.compute(taking: 50) { memory.compute(taking: 50) { 1 } } == .some(1))
  }

  @Test func `a hash is refused when there is too little memory and no other hash has any`() {
    #expect(memory.compute(taking: 101) { 1 } == nil)
    #expect(memory.compute(taking: 100) { 1 } == 1)
  }

  @Test func `a hash that takes next to nothing asks for nothing`() async {
    #expect(memory.compute(taking: 0) { 1 } == 1)
    asked.finish()
    for await count in questions { Issue.record("\(count) octets were asked for") }
  }
}
