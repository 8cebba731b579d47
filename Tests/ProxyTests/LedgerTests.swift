import Addresses
import Routing
import Testing
import Wire

@testable import Proxy

/// What is remembered of each upstream.
@Suite struct LedgerTests {
  private static func chain(_ names: String) -> Chain { Chain(names.map { upstream(String($0)) }) }

  private static func upstream(_ name: String, port: UInt16 = 1) -> Upstream {
    Upstream(name: name, endpoint: Endpoint(.loopback4, port: port))
  }

  private static func failure(
    _ index: Int, _ phase: Failure.Phase, _ cause: Failure.Cause, of count: Int = 2
  ) -> Failure {
    Failure(.hop(index, of: count, name: "?"), phase, cause)
  }

  @Test func `who did its part is told from who did not`() throws {
    let ledger = Ledger()
    let chain = Self.chain("ab")
    ledger.note(nil, of: chain)
    ledger.note(Self.failure(1, .connect, .reply(.connectionRefused)), of: chain)
    ledger.note(Self.failure(1, .greet, .closed), of: chain)
    let (a, b) = (ledger.accounts[Self.upstream("a")], ledger.accounts[Self.upstream("b")])
    #expect(a.successes == 3 && a.failures.isEmpty && a.lastFailure == nil && !a.isDown)
    #expect(b.successes == 1 && b.failures == [.connect: 1, .greet: 1] && b.isDown)
    #expect(b.lastFailure?.failure.phase == .greet)
  }

  @Test(
    arguments: [
      // The destination's own, a refusal without a reason, silence, a command that it does not know.
      (.request, .reply(.connectionRefused), 1, 0), (.request, .reply(.generalFailure), 0, 1),
      (.request, .system(.timedOut), 0, 1), (.request, .closed, 0, 1), (.request, .status(.badGateway), 0, 1),
      (.associate, .reply(.commandNotSupported), 0, 1),
      // What it was never asked, and what is ours.
      (.request, .beyondSOCKS4(.name), 0, 0), (.associate, .withoutUDP, 0, 0),
      (.connect, .system(.tooManyOpenFiles), 0, 0),
    ] as [(Failure.Phase, Failure.Cause, Int, Int)])
  func `a failure of which the hop may be innocent does not make it down`(
    phase: Failure.Phase, cause: Failure.Cause, successes: Int, failures: Int
  ) throws {
    let ledger = Ledger()
    ledger.note(Self.failure(1, phase, cause), of: Self.chain("ab"))
    let last = ledger.accounts[Self.upstream("b")]
    #expect(last.successes == successes)
    #expect(last.failures.values.reduce(0, +) == failures)
    #expect(!last.isDown)
  }

  @Test func `a hop that was not reached is not blamed`() throws {
    let ledger = Ledger()
    ledger.note(Self.failure(0, .connect, .system(.connectionRefused)), of: Self.chain("ab"))
    #expect(ledger.accounts[Self.upstream("a")].isDown == true)
    #expect(ledger.accounts[Self.upstream("b")].isUnused == true)
  }

  @Test func `latency is what it takes to connect and to be admitted, smoothed`() throws {
    let ledger = Ledger()
    let place = Self.upstream("a")
    ledger.note(place, .connect, .milliseconds(100))
    #expect(ledger.accounts[Self.upstream("a")].latency == .milliseconds(100))
    ledger.note(place, .authenticate, .milliseconds(50))
    ledger.note(place, .request, .seconds(9))
    #expect(ledger.accounts[Self.upstream("a")].latency == .milliseconds(150))
    ledger.note(place, .connect, .milliseconds(200))
    #expect(ledger.accounts[Self.upstream("a")].latency == .milliseconds(180))
  }

  @Test func `what several loops know adds up`() throws {
    var total = Ledger.Account()
    for number in 1...2 {
      let ledger = Ledger()
      let chain = Self.chain("a")
      for _ in 0..<number {
        ledger.enter(chain)
        ledger.note(nil, of: chain)
        ledger.note(Self.upstream("a"), .connect, .milliseconds(number * 30))
      }
      ledger.note(Self.failure(0, .connect, .closed, of: 1), of: chain)
      if number == 2 { ledger.note(nil, of: chain) }
      total.add(ledger.accounts[Self.upstream("a")])
      #expect(total.isDown == (number == 1))
    }
    #expect(total.connections == 3)
    #expect(total.successes == 4)
    #expect(total.failures == [.connect: 2])
    #expect(total.latency == .milliseconds(50))
  }

  @Test func `what is gone is forgotten once nothing goes through it`() {
    let ledger = Ledger()
    let (a, b, c) = (Self.upstream("a"), Self.upstream("b"), Self.upstream("c"))
    ledger.enter(Self.chain("ab"))
    ledger.enter(Self.chain("b"))
    ledger.leave(Self.chain("ab"))
    for chain in ["a", "b", "c"] { ledger.note(nil, of: Self.chain(chain)) }
    ledger.keep([c])
    #expect(ledger.accounts[a].isUnused && !ledger.accounts[b].isUnused && !ledger.accounts[c].isUnused)
    ledger.leave(Self.chain("b"))
    ledger.keep([c])
    #expect(ledger.accounts[b].isUnused && !ledger.accounts[c].isUnused)
    // What has been forgotten leaves nothing behind.
    ledger.leave(Self.chain("ab"))
    #expect(ledger.accounts[a].connections == 0)
  }

  @Test func `statistics are of a proxy, and not of whatever has its name`() {
    let ledger = Ledger()
    let moved = Self.upstream("a", port: 2)
    ledger.enter(Self.chain("a"))
    ledger.note(nil, of: Self.chain("a"))
    ledger.keep([moved])
    #expect(ledger.accounts[moved].isUnused && ledger.accounts[moved].connections == 0)
    // The old one's dials and tunnels go on for a while.
    ledger.note(Self.failure(0, .connect, .closed, of: 1), of: Self.chain("a"))
    ledger.note(Self.upstream("a"), .connect, .seconds(9))
    ledger.leave(Self.chain("a"))
    #expect(ledger.accounts[moved].isUnused && ledger.accounts[moved].latency == nil)
    #expect(ledger.accounts[moved].connections == 0)
  }
}
