import Addresses
import Testing

@testable import Proxy

/// Whose turn it is to have a hash computed.
struct LoginQueueTests {
  private typealias Queue = LoginQueue<String>

  private static func client(_ number: UInt8) -> Client { Client(at: .v4(0xC000_0200 + UInt32(number))) }

  private let one = client(1)
  private let two = client(2)
  private let three = client(3)

  @Test func `clients take turns, however many logins each has`() throws {
    var queue = Queue()
    for number in 1...3 { _ = queue.add("one \(number)", of: one) }
    for number in 1...2 { _ = queue.add("two \(number)", of: two) }
    var order: [String] = []
    while let (ticket, login) = queue.next() {
      order.append(login)
      if order.count == 1 { _ = queue.add("three", of: three) }
      queue.finish(ticket.client)
    }
    #expect(order == ["one 1", "two 1", "three", "one 2", "two 2", "one 3"])
    #expect(queue.isEmpty)
  }

  @Test func `at most one login of a client is computed at a time`() throws {
    var queue = Queue()
    for number in 1...2 { _ = queue.add("one \(number)", of: one) }
    _ = queue.add("two", of: two)
    #expect(queue.next()?.login == "one 1")
    #expect(queue.next()?.login == "two")
    #expect(queue.next() == nil)
    _ = queue.add("one 3", of: one)
    #expect(queue.next() == nil)
    queue.finish(one)
    #expect(queue.next()?.login == "one 2")
    #expect(queue.next() == nil)
  }

  @Test func `a client waits with 64 logins at most, and others come in`() throws {
    var queue = Queue()
    for _ in 0..<64 { guard case .admitted = queue.add("one", of: one) else { throw NotAdmitted() } }
    guard case .full = queue.add("one", of: one) else { throw NotAdmitted() }
    guard case .admitted = queue.add("two", of: two) else { throw NotAdmitted() }
    // What is computed does not wait.
    _ = queue.next()
    guard case .admitted = queue.add("one", of: one) else { throw NotAdmitted() }
    #expect(queue.waitingCount == 65)
  }

  @Test func `when 512 wait, a client with few takes the last place of the client with the most`() throws {
    var queue = Queue()
    for number in 0..<8 as Range<UInt8> {
      for place in 0..<(number == 3 ? 64 : 63) {
        _ = queue.add("\(number) \(place)", of: Self.client(number))
      }
    }
    for place in 0..<7 { _ = queue.add("8 \(place)", of: Self.client(8)) }
    #expect(queue.waitingCount == 512)
    guard case .displaced(_, let login) = queue.add("new", of: Self.client(9)) else { throw NotAdmitted() }
    #expect(login == "3 63")
    #expect(queue.waitingCount == 512)
  }

  @Test func `when 512 clients wait with one login each, another one is refused`() throws {
    var queue = Queue()
    for number in 0..<512 as Range<UInt32> { _ = queue.add("", of: Client(at: .v4(number))) }
    guard case .full = queue.add("new", of: Client(at: .v4(512))) else { throw NotAdmitted() }
  }

  @Test func `a login that is withdrawn is not computed, and nothing is kept of its client`() throws {
    var queue = Queue()
    guard case .admitted(let first) = queue.add("one 1", of: one),
      case .admitted(let second) = queue.add("one 2", of: one),
      case .admitted(let other) = queue.add("two", of: two)
    else { throw NotAdmitted() }
    #expect(queue.withdraw(first) == "one 1")
    #expect(queue.withdraw(first) == nil)
    #expect(queue.next()?.login == "one 2")
    #expect(queue.withdraw(second) == nil)
    #expect(queue.withdraw(other) == "two")
    #expect(queue.next() == nil)
    queue.finish(one)
    #expect(queue.isEmpty && queue.waitingCount == 0)
  }

  private struct NotAdmitted: Error {}
}
