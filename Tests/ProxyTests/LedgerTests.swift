import Addresses
import Routing
import Testing
import Wire

@testable import Proxy

/// What is remembered of each upstream.
@Suite struct LedgerTests {
  private static func chain(_ names: String) -> Chain {
    Chain(
      names.map { Upstream(name: String($0), endpoint: Endpoint(.loopback4, port: 1)) })
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
    let (a, b) = try (#require(ledger.accounts["a"]), #require(ledger.accounts["b"]))
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
    let last = try #require(ledger.accounts["b"])
    #expect(last.successes == successes)
    #expect(last.failures.values.reduce(0, +) == failures)
    #expect(!last.isDown)
  }

  @Test func `a hop that was not reached is not blamed`() throws {
    let ledger = Ledger()
    ledger.note(Self.failure(0, .connect, .system(.connectionRefused)), of: Self.chain("ab"))
    #expect(ledger.accounts["a"]?.isDown == true)
    #expect(ledger.accounts["b"]?.isUnused == true)
  }

  @Test func `latency is what it takes to connect and to be admitted, smoothed`() throws {
    let ledger = Ledger()
    let place = Failure.Place.hop(0, of: 1, name: "a")
    ledger.note(place, .connect, .milliseconds(100))
    #expect(ledger.accounts["a"]?.latency == .milliseconds(100))
    ledger.note(place, .authenticate, .milliseconds(50))
    ledger.note(place, .request, .seconds(9))
    ledger.note(.destination, .connect, .seconds(9))
    #expect(ledger.accounts["a"]?.latency == .milliseconds(150))
    ledger.note(place, .connect, .milliseconds(200))
    #expect(ledger.accounts["a"]?.latency == .milliseconds(180))
    #expect(ledger.accounts.count == 1)
  }

  @Test func `what several loops know adds up`() throws {
    var total = Ledger.Account()
    for number in 1...2 {
      let ledger = Ledger()
      let chain = Self.chain("a")
      for _ in 0..<number {
        ledger.enter(chain)
        ledger.note(nil, of: chain)
        ledger.note(.hop(0, of: 1, name: "a"), .connect, .milliseconds(number * 30))
      }
      ledger.note(Self.failure(0, .connect, .closed, of: 1), of: chain)
      if number == 2 { ledger.note(nil, of: chain) }
      total.add(try #require(ledger.accounts["a"]))
      #expect(total.isDown == (number == 1))
    }
    #expect(total.connections == 3)
    #expect(total.successes == 4)
    #expect(total.failures == [.connect: 2])
    #expect(total.latency == .milliseconds(50))
  }

  @Test func `what is gone is forgotten once nothing goes through it`() throws {
    let ledger = Ledger()
    ledger.enter(Self.chain("ab"))
    ledger.enter(Self.chain("b"))
    ledger.leave(Self.chain("ab"))
    ledger.note(nil, of: Self.chain("c"))
    ledger.keep(["c"])
    #expect(Set(ledger.accounts.keys) == ["b", "c"])
    ledger.leave(Self.chain("b"))
    ledger.keep(["c"])
    #expect(Set(ledger.accounts.keys) == ["c"])
    // Who has been forgotten leaves nothing behind.
    ledger.leave(Self.chain("ab"))
    #expect(Set(ledger.accounts.keys) == ["c"])
  }
}
