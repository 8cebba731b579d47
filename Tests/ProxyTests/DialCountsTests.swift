import Addresses
import Settings
import Testing
import Transport

@testable import Proxy

/// Who is refused where no local port is left.
struct DialCountsTests {
  private let hop = Endpoint(.v4(0xc000_0201), port: 1080)
  private let other = Endpoint(.v4(0xc000_0202), port: 1080)
  private let greedy = Client.loopback
  private let modest = Client(user: 1000)
  private func begin(
    _ client: Client, towards endpoint: Endpoint, at now: Deadline, _ counts: inout DialCounts
  ) -> ReachedLimit? {
    counts.begin(client, towards: endpoint, at: now)
  }

  private let start = Deadline(nanoseconds: 1_000_000_000_000)

  @Test
  func `who has begun more than a quarter is refused where no port is left, and nobody else, nor elsewhere`()
  {
    var counts = DialCounts()
    for _ in 0..<28_232 { #expect(begin(greedy, towards: hop, at: start, &counts) == nil) }
    #expect(begin(modest, towards: hop, at: start, &counts) == nil)
    counts.noteExhaustion(of: hop, among: 28_232, at: start)
    #expect(begin(greedy, towards: hop, at: start, &counts) == ReachedLimit(.clientDials, value: 7058))
    #expect(begin(modest, towards: hop, at: start, &counts) == nil)
    #expect(begin(greedy, towards: other, at: start, &counts) == nil)
  }

  @Test
  func `a quarter is what one client may begin before it is refused, and what is refused does not count`() {
    var counts = DialCounts()
    counts.noteExhaustion(of: hop, among: 40, at: start)
    for _ in 0..<10 { #expect(begin(greedy, towards: hop, at: start, &counts) == nil) }
    for _ in 0..<10 { #expect(begin(greedy, towards: hop, at: start + .seconds(29), &counts) != nil) }
    counts.noteExhaustion(of: hop, among: 40, at: start + .seconds(58))
    #expect(begin(greedy, towards: hop, at: start + .seconds(59), &counts) != nil)
    #expect(begin(greedy, towards: hop, at: start + .seconds(60), &counts) == nil)
  }

  @Test func `after a minute ports are taken to be left again`() {
    var counts = DialCounts()
    for second in 0..<120 { _ = counts.begin(greedy, towards: hop, at: start + .seconds(second)) }
    counts.noteExhaustion(of: hop, among: 4, at: start + .seconds(119))
    #expect(begin(greedy, towards: other, at: start + .seconds(177), &counts) == nil)
    #expect(begin(greedy, towards: hop, at: start + .seconds(178), &counts) != nil)
    #expect(begin(greedy, towards: hop, at: start + .seconds(179), &counts) == nil)
  }
}
