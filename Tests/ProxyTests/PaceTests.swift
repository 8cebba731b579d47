import Addresses
import Routing
import Testing
import Transport
import Wire

@testable import Proxy

/// Who is to blame when hops were told everything at once, and who has shown that it stands that.
struct PaceTests {
  static let chain = Chain(
    ["a", "b", "c"].map { Upstream(name: $0, endpoint: Endpoint(.loopback4, port: 1)) })
  static let http = Chain([chain.hops[0], Upstream(name: "h", kind: .http, endpoint: chain.hops[0].endpoint)])

  private static func pace(_ indices: Int...) -> Pace {
    var pace = Pace()
    for index in indices { pace.insert(index) }
    return pace
  }

  private static func failure(
    _ index: Int, _ phase: Failure.Phase, _ cause: Failure.Cause = .closed
  ) -> Failure {
    Failure(.hop(index, of: 3, name: chain.hops[index].name), phase, cause)
  }

  @Test(
    arguments: [
      // Nobody stood before it.
      (failure(0, .greet), pace(0), 0),
      (failure(0, .greet, .system(.timedOut)), pace(0, 1, 2), 0),
      // The hop before may have lost the greeting.
      (failure(1, .greet), pace(0, 1), 0),
      (failure(2, .greet), pace(0, 1, 2), 1),
      // What has answered once was sent what followed.
      (failure(1, .authenticate), pace(0, 1), 1),
      (failure(0, .request), pace(0, 1), 0),
      (failure(1, .request, .violation(.version(1))), pace(0, 1), 1),
      (failure(2, .connect, .system(.timedOut)), pace(0, 1), 1),
      (failure(2, .request, .system(.connectionReset)), pace(0, 1, 2), 2),
      // Not told at once, or not by this.
      (failure(0, .greet), pace(1, 2), nil),
      (failure(1, .request), pace(0), nil),
      (failure(2, .connect), pace(0), nil),
      (failure(0, .connect, .system(.timedOut)), pace(0, 1), nil),
      (failure(0, .connect, .system(.connectionRefused)), pace(0), nil),
      // A clear answer.
      (failure(2, .request, .reply(.connectionRefused)), pace(0, 1, 2), nil),
      (failure(1, .connect, .reply(.hostUnreachable)), pace(0, 1, 2), nil),
      (failure(1, .authenticate, .credentials), pace(0, 1), nil),
      (failure(1, .greet, .system(.cancelled)), pace(0, 1), nil),
      (Failure(.destination, .connect, .closed), pace(0), nil),
    ] as [(Failure, Pace, Int?)])
  func `the hop that was told too much is found`(failure: Failure, pace: Pace, culprit: Int?) {
    #expect(pace.culprit(of: failure, in: Self.chain, isProven: { _ in false }) == culprit)
  }

  @Test func `a hop that has proven itself has lost nothing of what was for the next`() {
    let pace = Self.pace(0, 1)
    let isProven: (Upstream) -> Bool = { $0.name == "a" }
    #expect(pace.culprit(of: Self.failure(1, .greet), in: Self.chain, isProven: isProven) == 1)
    #expect(Self.pace(0).culprit(of: Self.failure(1, .greet), in: Self.chain, isProven: isProven) == 0)
  }

  @Test func `of a hop that is not greeted the request may be lost as others' greetings are`() {
    let silence = Failure(.hop(1, of: 2, name: "h"), .request, .closed)
    #expect(Self.pace(0).culprit(of: silence, in: Self.http, isProven: { _ in false }) == 0)
  }

  @Test(
    arguments: [
      (nil, 3),
      (failure(0, .connect), 0), (failure(0, .greet), 0), (failure(0, .request), 0),
      (failure(1, .connect), 0), (failure(1, .connect, .reply(.connectionRefused)), 0),
      (failure(1, .greet), 0), (failure(1, .greet, .system(.cancelled)), 1), (failure(1, .authenticate), 1),
      (failure(1, .request), 1), (failure(2, .connect, .reply(.connectionRefused)), 1),
      (failure(2, .greet), 1), (failure(2, .authenticate, .credentials), 2), (failure(2, .request), 2),
      (failure(2, .request, .reply(.hostUnreachable)), 3),
      (Failure(.destination, .connect, .closed), 0),
    ] as [(Failure?, Int)])
  func `whose answers came has lost nothing`(failure: Failure?, proven: Int) {
    #expect(Pace.provenHops(by: failure, of: 3) == proven)
  }

  @Test(
    arguments: [
      // It loses or refuses what comes at once, and serves in lockstep.
      (0, failure(0, .greet), nil, true), (2, failure(2, .request, .system(.timedOut)), nil, true),
      (0, failure(0, .greet), failure(0, .request), true),
      (2, failure(2, .request, .system(.timedOut)), failure(2, .request, .reply(.hostUnreachable)), true),
      (2, failure(2, .request, .system(.timedOut)), failure(2, .request), true),
      (0, failure(1, .greet), failure(1, .authenticate), true),
      (0, failure(1, .greet), failure(1, .authenticate, .credentials), true),
      // It is down, or full.
      (0, failure(0, .greet), failure(0, .greet), false),
      (1, failure(1, .greet), failure(1, .connect, .reply(.connectionRefused)), false),
      // The next hop, or the name that is asked for, makes it close at any pace.
      (0, failure(0, .request), failure(0, .request), false),
      (0, failure(1, .greet), failure(0, .request), false),
      (0, failure(1, .connect, .system(.timedOut)), failure(0, .request), false),
      (2, failure(2, .request), failure(2, .request), false),
      (2, failure(2, .request), failure(2, .request, .system(.timedOut)), false),
    ] as [(Int, Failure, Failure?, Bool)])
  func `a hop loses the privilege only if a dial in lockstep gets further than the trial`(
    culprit: Int, trial: Failure, lockstep: Failure?, isConvicted: Bool
  ) {
    #expect(Pace.convicts(culprit, of: trial, then: lockstep, of: 3) == isConvicted)
  }

  @Test func `of a chain with more hops than any has, those behind are asked one thing at a time`() {
    var pace = Pace()
    pace.insert(63)
    pace.insert(64)
    #expect(pace.contains(63) && !pace.contains(64) && !pace.contains(-1))
  }
}

struct TimeToDialTests {
  @Test func `a dial that is begun again has an eighth of the time at least`() {
    let now = Deadline.now
    #expect((now + .seconds(80)).leavesTimeToDial(since: now))
    #expect(
      !(now + .seconds(1)).leavesTimeToDial(since: Deadline(nanoseconds: now.nanoseconds - 30_000_000_000)))
    #expect(
      (now + .seconds(60)).leavesTimeToDial(since: Deadline(nanoseconds: now.nanoseconds - 30_000_000_000)))
    #expect(Deadline.never.leavesTimeToDial(since: now))
  }
}
