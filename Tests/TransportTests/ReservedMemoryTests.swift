import Testing

@testable import Transport

struct ReservedMemoryTests {
  @Test func `memory that cannot be had is an error`() {
    // More than any address space has.
    #expect(throws: Errno.outOfMemory) { _ = try ReservedMemory(byteCount: 1 << 60) }
  }

  @Test func `reserved memory is empty, and can be written from end to end`() throws {
    let memory = try ReservedMemory(byteCount: 100_000)
    let bytes = unsafe memory.bytes
    let before = unsafe Array(bytes)
    unsafe bytes.initializeMemory(as: UInt8.self, repeating: 7)
    let after = unsafe Array(bytes)
    #expect(before == Array(repeating: 0, count: 100_000) && after == Array(repeating: 7, count: 100_000))
  }

  @Test func `there is memory where nothing limits it`() {
    var gauge = MemoryGauge()
    let now = Deadline.now
    let answers = [0, 50, 150].map { gauge.isShort(at: now + .milliseconds($0)) }
    #expect(answers == [false, false, false])
  }
}
