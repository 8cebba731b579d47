import Addresses
import Testing

@testable import Routing

/// What becomes of an upstream by what it does.
@Suite struct StandingTests {
  private static let second: Moment = 1_000_000_000

  private func client(_ number: UInt32) -> Client { Client(at: .v4(0x0a00_0000 + number)) }

  private func host(_ number: Int) throws -> Host { .name(try DomainName("h\(number).test")) }

  @Test func `a pause grows from a second to a minute, and success ends it`() {
    var standing = Standing()
    var now = Self.second
    var pauses: [Moment] = []
    for _ in 0..<9 {
      standing.fail(at: now, jitter: 0.5)
      #expect(standing.isDown(at: now))
      // What fails meanwhile does not make it longer.
      standing.fail(at: now + 1, jitter: 0.5)
      pauses.append((standing.pauseEnd - now) / Self.second)
      now = standing.pauseEnd
      #expect(!standing.isDown(at: now))
    }
    #expect(pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60])
    standing.show(.passage)
    #expect(!standing.isDown(at: 0))
    standing.fail(at: now, jitter: 0)
    #expect(standing.pauseEnd - now == Self.second * 3 / 4)
  }

  @Test func `of latencies the latest counts most, and the older ones less and less`() {
    var standing = Standing()
    #expect(standing.latency == nil)
    var latencies: [Int] = []
    for measured in [100, 200, 200, 0] {
      standing.measure(Double(measured))
      latencies.append(Int((standing.latency ?? 0).rounded()))
    }
    #expect(latencies == [100, 130, 151, 106])
  }

  @Test(
    arguments: [
      (.admission, [true, true, true]), (.answer, [false, true, true]), (.passage, [false, false, true]),
    ] as [(Standing.Proof, [Bool])])
  func `a failure is over when the upstream shows what it failed at, and not before`(
    missing: Standing.Proof, isOver: [Bool]
  ) {
    for (proof, isOver) in zip([Standing.Proof.admission, .answer, .passage], isOver) {
      var standing = Standing()
      standing.fail(missing: missing, at: 1, jitter: 0)
      // That it cannot even be connected to any more does not make less of it.
      standing.fail(at: 2, jitter: 0)
      standing.show(proof)
      #expect(standing.isDown(at: 3) != isOver, "\(proof)")
    }
  }

  @Test func `of 256 clients it is remembered that their requests got no answer`() throws {
    var standing = Standing()
    for number in 0..<256 as Range<UInt32> { standing.doubt(of: client(number), for: try host(1), at: 1) }
    #expect((0..<256).allSatisfy { standing.isSuspect(to: client($0), at: 2) })
    #expect(!standing.isSuspect(to: client(256), at: 2))
    // Clients without end take no more memory, and none is another.
    standing.doubt(of: client(256), for: try host(1), at: 3)
    #expect(!standing.isSuspect(to: client(0), at: 3) && standing.isSuspect(to: client(256), at: 3))
    // However many requests one client makes, what is known of the others stays.
    for number in 0..<1000 { standing.doubt(of: client(256), for: try host(number), at: 4) }
    #expect((1...256).allSatisfy { standing.isSuspect(to: client($0), at: 4) })
  }

  @Test
  func `a member that failed its check is down until the pause is over or it has reached a destination`() {
    for missing in [Standing.Proof.admission, .passage] {
      for proof in [Standing.Proof.admission, .answer, .passage] {
        var standing = Standing()
        standing.fail(missing: missing, at: 1, pausing: 40 * Self.second, jitter: 0)
        standing.show(proof, at: 40 * Self.second)
        #expect(standing.isDown(at: 40 * Self.second) == (proof < missing))
      }
      // The check has not been made again: its group is not in use. It is not to keep others from the member for as long
      // as the destination of the one connection takes that tries it.
      var standing = Standing()
      standing.fail(missing: missing, at: 1, pausing: 40 * Self.second, jitter: 0)
      let later = 41 * Self.second
      standing.begin(at: later)
      #expect(standing.isDown(at: later))
      // It is not known when: it may have been before the check.
      standing.show(.admission)
      #expect(standing.isDown(at: later) == (missing == .passage))
      standing.show(.admission, at: later)
      #expect(!standing.isDown(at: later) && standing.failures == 0)
    }
  }

  @Test func `a check that fails pauses its member at least until the next one`() {
    var standing = Standing()
    for now in [1, 30, 60] as [Moment] {
      standing.fail(missing: .passage, at: now * Self.second, pausing: 40 * Self.second, jitter: 0)
      #expect(standing.pauseEnd == (now + 40) * Self.second)
    }
  }

  @Test func `one client takes a hop down by no number of destinations that do not answer`() throws {
    var standing = Standing()
    for number in 0..<1000 {
      standing.doubt(of: client(1), for: try host(number), at: Moment(number) * 1000)
    }
    // Nor by as many addresses of its own /64.
    for number in 0..<1000 {
      let address = Client(at: .v6(0x2001_0db8 << 96 | UInt128(number)))
      standing.doubt(of: address, for: try host(number), at: 1_000_000)
    }
    #expect(!standing.isDown(at: 1_000_001))
    #expect(standing.isDoubtful(to: client(1), at: 1_000_001))
    #expect(!standing.isDoubtful(to: client(2), at: 1_000_001))
    #expect(!standing.isDoubtful(to: nil, at: 1_000_001))
    #expect(standing.isDoubtful(to: Client(at: .v6(0x2001_0db8 << 96 | 77777)), at: 1_000_001))
  }

  @Test func `one destination that never answers takes a hop down for nobody`() throws {
    var standing = Standing()
    for number in 0..<1000 as Range<UInt32> {
      standing.doubt(of: client(number), for: try host(1), at: 1)
      #expect(!standing.isDoubtful(to: client(number), at: 1))
    }
    #expect(!standing.isDown(at: 1))
  }

  @Test func `no number of clients whose requests get no answer takes a hop down for others`() throws {
    var standing = Standing()
    for number in 1...1000 {
      standing.doubt(of: client(UInt32(number)), for: try host(number), at: 1)
      #expect(!standing.isDown(at: 1))
      #expect(!standing.isDoubtful(to: client(UInt32(number)), at: 1))
    }
    // Nor does it keep one down that admits us again.
    standing.fail(at: 1, jitter: 0)
    let later = 2 * Self.second
    standing.begin(at: later)
    standing.show(.admission)
    standing.doubt(of: client(9), for: try host(9), at: later)
    #expect(!standing.isDown(at: later))
    // What a check has found, only what the check asks for ends.
    standing.fail(missing: .passage, at: later, pausing: 60 * Self.second, jitter: 0)
    standing.doubt(of: client(9), for: try host(10), at: later)
    standing.show(.answer)
    #expect(standing.isDown(at: later))
    standing.show(.passage)
    #expect(!standing.isDown(at: later))
  }

  @Test func `what is known of a client's requests is past after five minutes, or with one answer`() throws {
    for isAnswered in [false, true] {
      var standing = Standing()
      for number in 1...2 { standing.doubt(of: client(1), for: try host(number), at: 1) }
      if isAnswered { standing.show(.answer) }
      let later = isAnswered ? 1 : 302 * Self.second
      standing.doubt(of: client(1), for: try host(3), at: later)
      #expect(!standing.isDoubtful(to: client(1), at: later))
    }
  }
}
