import Addresses
import Testing
import Transport

@testable import Proxy

struct FlowTests {
  static let way = Flow.Way.direct(SocketAddress(.loopback4, port: 53))

  static func time(_ seconds: Int) -> Deadline { Deadline(nanoseconds: 0) + .seconds(seconds) }

  @Test func `a name keeps its address for as long as datagrams go there`() {
    let flow = Flow(
      Flow.Decision(way: Self.way, expiry: Self.time(30), lifetime: Deadline.Interval(.seconds(30))))
    for second in stride(from: 0, to: 300, by: 29) {
      #expect(flow.holds(at: Self.time(second)))
    }
    #expect(!flow.holds(at: Self.time(330)))
  }

  @Test func `other ways hold until they expire, whether they are used or not`() {
    let flow = Flow(.nowhere(.noPath, until: Self.time(2)))
    #expect(flow.holds(at: Self.time(0)))
    #expect(flow.holds(at: Self.time(1)))
    #expect(!flow.holds(at: Self.time(2)))
  }

  @Test func `an address is no other one later`() {
    let flow = Flow(Flow.Decision(way: Self.way))
    #expect(flow.holds(at: Self.time(1_000_000)))
  }
}
