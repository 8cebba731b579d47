import Routing
import Testing
import Transport

@testable import Proxy

/// What is learnt of one chain's tunnels at rest, told what happens at which second.
struct WarmStockTests {
  private static func at(_ seconds: Double) -> Deadline {
    Deadline(nanoseconds: 1_000_000_000_000) + .seconds(seconds)
  }

  /// Of a chain whose last hop is far, and which was used at second 0.
  private static func used(_ warmth: Warmth = .auto) -> WarmStock {
    var stock = WarmStock(warmth, at: at(0))
    stock.use(at: at(0), resting: 0)
    stock.reach(after: .milliseconds(480), roundTrip: .milliseconds(40), at: at(0.5))
    return stock
  }

  @Test func `auto keeps one after the first use, and more when that was not enough`() {
    var stock = Self.used()
    #expect(stock.target(at: Self.at(1)) == 1)
    stock.use(at: Self.at(1), resting: 1)
    #expect(stock.target(at: Self.at(1)) == 1)
    stock.use(at: Self.at(2), resting: 0)
    #expect(stock.target(at: Self.at(2)) == 2)
    for _ in 0..<20 { stock.use(at: Self.at(3), resting: 0) }
    #expect(stock.target(at: Self.at(3)) == 8)
  }

  @Test func `auto keeps none for a single hop that is near, however busy everybody is`() {
    var stock = WarmStock(.auto, at: Self.at(0))
    for _ in 0..<100 {
      stock.use(at: Self.at(1), resting: 0)
      stock.reach(after: .seconds(2), roundTrip: .milliseconds(5), at: Self.at(1))
    }
    #expect(stock.target(at: Self.at(1)) == 0)
    stock.reach(after: .seconds(2), roundTrip: .milliseconds(6), at: Self.at(1))
    #expect(stock.target(at: Self.at(1)) == 8)
  }

  @Test
  func `where the first of several hops is near, the quickest of some dials tells how far the last one is`() {
    var stock = WarmStock(.auto, hops: 2, at: Self.at(0))
    func reach(_ milliseconds: Int, at second: Double) -> Bool {
      stock.use(at: Self.at(second), resting: 0)
      stock.reach(
        after: .milliseconds(milliseconds), roundTrip: .microseconds(30), at: Self.at(second))
      return stock.target(at: Self.at(second)) > 0
    }
    #expect([300, 200, 250].allSatisfy { !reach($0, at: 1) })
    #expect(reach(260, at: 1))
    #expect(!reach(49, at: 2))
    // What was measured grows old.
    stock.advance(to: Self.at(30))
    #expect([200, 200, 200, 200].allSatisfy { !reach($0, at: 31) })
    stock.advance(to: Self.at(60))
    #expect(reach(200, at: 61))
  }

  @Test func `auto keeps none when nobody has used the chain for a minute`() {
    let stock = Self.used()
    #expect(stock.target(at: Self.at(59)) == 1)
    #expect(stock.target(at: Self.at(60)) == 0)
    #expect(stock.nextMoment(after: Self.at(59)) == Self.at(60))
  }

  @Test func `each season without need takes one away`() {
    var stock = Self.used()
    for _ in 0..<4 { stock.use(at: Self.at(1), resting: 0) }
    #expect(stock.target(at: Self.at(1)) == 5)
    stock.advance(to: Self.at(30))
    #expect(stock.target(at: Self.at(30)) == 5)
    stock.use(at: Self.at(31), resting: 5)
    stock.advance(to: Self.at(60))
    #expect(stock.target(at: Self.at(60)) == 4)
    stock.use(at: Self.at(61), resting: 1)
    stock.advance(to: Self.at(90))
    #expect(stock.target(at: Self.at(90)) == 4)
  }

  @Test func `a number is kept from the first use on, and is that number whatever the number of loops`() {
    #expect(WarmStock(.count(3), at: Self.at(0)).target(at: Self.at(0)) == 0)
    #expect(Self.used(.count(3)).target(at: Self.at(86_400)) == 3)
    #expect(Self.used(.count(0)).target(at: Self.at(1)) == 0)
    for loops in 1...9 {
      for count in 1...64 {
        let parts = (0..<loops).map { rank in
          var stock = WarmStock(.count(count), loops: loops, rank: rank, at: Self.at(0))
          stock.useElsewhere(at: Self.at(0))
          return stock.target(at: Self.at(86_400))
        }
        #expect(parts.reduce(0, +) == count && parts.max()! - parts.min()! <= 1, "\(loops) loops: \(parts)")
      }
    }
  }

  @Test func `other loops hear of the first use, and where tunnels go with disuse again in time`() {
    var lasting = WarmStock(.count(3), at: Self.at(0))
    var identity = WarmStock(.count(3), isLasting: false, at: Self.at(0))
    #expect(lasting.isNews(at: Self.at(0)) && identity.isNews(at: Self.at(0)))
    lasting.use(at: Self.at(0), resting: 0)
    identity.use(at: Self.at(0), resting: 0)
    #expect(!lasting.isNews(at: Self.at(86_400)))
    #expect(!identity.isNews(at: Self.at(29)) && identity.isNews(at: Self.at(30)))
    for warmth in [Warmth.auto, .count(0)] {
      #expect(!WarmStock(warmth, at: Self.at(0)).isNews(at: Self.at(0)))
    }
  }

  @Test func `what is one identity's alone goes with it`() {
    var stock = WarmStock(.count(3), isLasting: false, at: Self.at(0))
    stock.use(at: Self.at(0), resting: 0)
    #expect(stock.target(at: Self.at(59)) == 3)
    #expect(stock.target(at: Self.at(60)) == 0)
  }

  @Test
  func `a standby has as many as may be needed, for as long as they may be, unless it turns out to be near`()
  {
    for warmth in [Warmth.auto, .count(5)] {
      var stock = WarmStock(warmth, at: Self.at(0))
      stock.standBy(with: 3, until: Self.at(60))
      #expect(stock.target(at: Self.at(59)) == 3)
      #expect(stock.target(at: Self.at(60)) == 0)
    }
    var near = WarmStock(.auto, at: Self.at(0))
    near.standBy(with: 1, until: Self.at(60))
    near.reach(after: .milliseconds(2), roundTrip: .microseconds(30), at: Self.at(1))
    #expect(near.target(at: Self.at(1)) == 0)
    var off = WarmStock(.count(0), at: Self.at(0))
    off.standBy(with: 1, until: Self.at(60))
    #expect(off.target(at: Self.at(1)) == 0)
  }

  // MARK: Lives

  @Test func `a tunnel that ends at rest teaches how long one lasts, once its hop is found alive`() {
    var stock = Self.used()
    #expect(stock.usableLife == .seconds(270))
    stock.end(at: Self.at(30), age: .seconds(20), jitter: 0)
    #expect(stock.usableLife == .seconds(270))
    stock.reach(after: .milliseconds(480), roundTrip: .milliseconds(40), at: Self.at(31))
    #expect(stock.usableLife == .seconds(18))
    #expect(stock.freshLife == .seconds(18) - .milliseconds(960))
  }

  @Test func `a tunnel that is lost to a request teaches nothing, and another of its age is to be asked`() {
    var stock = Self.used()
    stock.doubt(age: .seconds(20), at: Self.at(30))
    // The first doubt holds, whatever clients add to it.
    stock.doubt(age: .seconds(1), at: Self.at(31))
    #expect(stock.doubtedAge == .seconds(20))
    stock.reach(after: .milliseconds(480), roundTrip: .milliseconds(40), at: Self.at(32))
    #expect(stock.life == .seconds(300))
    stock.settleDoubt(at: Self.at(40))
    stock.doubt(age: .seconds(2), at: Self.at(69))
    #expect(stock.doubtedAge == nil)
    stock.doubt(age: .seconds(2), at: Self.at(70))
    #expect(stock.doubtedAge == .seconds(2))
  }

  @Test func `a hop that died teaches nothing`() {
    var stock = Self.used()
    stock.end(at: Self.at(30), age: .seconds(20), jitter: 0)
    stock.fail(at: Self.at(31), resting: 0, jitter: 0)
    stock.reach(after: .milliseconds(480), roundTrip: .milliseconds(40), at: Self.at(40))
    #expect(stock.life == .seconds(300))
  }

  @Test func `tunnels that end together at different ages teach nothing`() {
    var stock = Self.used()
    for age in [20, 9, 9] { stock.end(at: Self.at(30), age: .seconds(age), jitter: 0) }
    stock.reach(after: .milliseconds(480), roundTrip: .milliseconds(40), at: Self.at(31))
    #expect(stock.life == .seconds(300))
    for age in [20.0, 20.2] { stock.end(at: Self.at(60), age: .seconds(age), jitter: 0) }
    stock.reach(after: .milliseconds(480), roundTrip: .milliseconds(40), at: Self.at(61))
    #expect(stock.life == .seconds(20))
  }

  @Test func `those that last as long as they are let may rest for longer, up to five minutes`() {
    var stock = Self.used()
    stock.end(at: Self.at(30), age: .seconds(20), jitter: 0)
    stock.reach(after: .milliseconds(480), roundTrip: .milliseconds(40), at: Self.at(31))
    for _ in 0..<4 { stock.survive(age: .seconds(5)) }
    #expect(stock.life == .seconds(20))
    for _ in 0..<4 { stock.survive(age: stock.usableLife) }
    #expect(stock.life == .seconds(30))
    for _ in 0..<100 { stock.survive(age: stock.usableLife) }
    #expect(stock.life == .seconds(300))
  }

  @Test func `auto leaves a hop alone that ends tunnels after seconds`() {
    for (warmth, pauses) in [(Warmth.auto, true), (.count(2), false)] {
      var stock = Self.used(warmth)
      stock.end(at: Self.at(5), age: .seconds(3), jitter: 0)
      stock.reach(after: .milliseconds(480), roundTrip: .milliseconds(40), at: Self.at(6))
      #expect((stock.pauseEnd > Self.at(60)) == pauses)
    }
  }

  // MARK: Failures

  @Test func `after failures it pauses, longer each time, and one at a time finds out`() {
    var stock = Self.used()
    #expect(stock.mostRefills == 4)
    var now = 10.0
    for pause in [1, 2, 4, 8, 16, 32, 60, 60] {
      stock.fail(at: Self.at(now), resting: 0, jitter: 0.5)
      // Those begun together fail together.
      stock.fail(at: Self.at(now), resting: 0, jitter: 0.5)
      #expect(stock.pauseEnd == Self.at(now + Double(pause)))
      #expect(stock.mostRefills == 1)
      now += Double(pause)
    }
    stock.reach(after: .milliseconds(480), roundTrip: .milliseconds(40), at: Self.at(now))
    #expect(stock.mostRefills == 4)
    stock.fail(at: Self.at(now), resting: 0, jitter: 0.5)
    #expect(stock.pauseEnd == Self.at(now + 1))
  }

  @Test func `what is ended at once is refused`() {
    var stock = Self.used()
    stock.end(at: Self.at(10), age: .milliseconds(900), jitter: 0.5)
    #expect(stock.pauseEnd == Self.at(11))
    #expect(stock.life == .seconds(300))
  }

  @Test func `a hop that refuses one while others stand has its limit, which is tried again slowly`() {
    var stock = Self.used(.count(6))
    stock.fail(at: Self.at(10), resting: 2, jitter: 0)
    #expect(stock.target(at: Self.at(20)) == 2)
    stock.advance(to: Self.at(30))
    #expect(stock.target(at: Self.at(30)) == 3)
    stock.advance(to: Self.at(59))
    #expect(stock.target(at: Self.at(59)) == 3)
    stock.advance(to: Self.at(60))
    #expect(stock.target(at: Self.at(60)) == 4)
  }
}
