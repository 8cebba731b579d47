import Testing
import Wire

@testable import Proxy

struct DropsTests {
  @Test func `drops are counted by reason, and told in one order`() {
    var drops = Drops()
    #expect(drops.entries.isEmpty)
    drops.count(.unsent)
    drops.count(.stranger)
    drops.count(.unsent, 2)
    #expect(drops[.unsent] == 3)
    #expect(drops[.fragment] == 0)
    #expect(drops.entries.map(\.drop) == [.stranger, .unsent])
    #expect(drops.entries.map(\.count) == [1, 3])
  }

  @Test(
    arguments: [
      (.fragment(1), .fragment), (.truncated, .malformed),
      (.addressType(2), .malformed), (.name(.malformed), .malformed), (.name(.tooLong), .malformed),
    ] as [(SOCKS5.DatagramHeader.Violation, Drop)])
  func `G10, G12: a fragment is told from what is broken`(
    violation: SOCKS5.DatagramHeader.Violation, drop: Drop
  ) {
    #expect(Drop(violation) == drop)
  }
}
