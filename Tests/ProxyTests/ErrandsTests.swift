import Addresses
import Routing
import Synchronization
import Testing
import Transport

@testable import Proxy

/// What the journeys of clients have checked.
@Suite struct ErrandsTests {
  private let request = Request(to: Endpoint(.loopback4, port: 80))
  private let check = Group.Check(
    to: Endpoint(.loopback4, port: 1), every: .seconds(30), timeout: .seconds(5))

  private func upstream(_ name: Character) -> Stop {
    .upstream(Upstream(name: String(name), endpoint: Endpoint(.loopback4, port: 1)))
  }

  private func group(_ name: String, _ members: [Stop]) -> Group {
    Group(name: name, members: members.map { Group.Member($0) }, check: check)
  }

  /// The errands' descriptions, in order.
  private final class Errands: Sendable {
    private let list = Mutex<[String]>([])

    func add(_ errand: Errand) {
      let text =
        switch errand {
        case .checks(let group): "checks of \(group)"
        case .earlyCheck(let member, let subject): "member \(member) of \(subject.group.name)"
        case .trial(let trial): "trial \(trial.unopened.map(\.name)) \(trial.opened.map(\.name))"
        }
      list.withLock { $0.append(text) }
    }

    func take() -> [String] {
      list.withLock { list in
        defer { list = [] }
        return list
      }
    }
  }

  @Test func `a request without an answer has the member checked that it passed, and no other`() {
    for (phase, cause, isSuspect) in [
      (.request, .closed, true), (.request, .system(.timedOut), true),
      (.request, .reply(.hostUnreachable), false), (.request, .reply(.generalFailure), false),
      (.greet, .closed, false),
    ] as [(Failure.Phase, Failure.Cause, Bool)] {
      let (health, errands) = (Health(), Errands())
      let plan = Plan(.group(group("g", "abc".map(upstream))))
      let journey = Journey(by: plan, for: request, health: health, begin: errands.add)
      #expect(journey.next()?.description == "a")
      #expect(errands.take() == ["checks of g"])
      journey.fail(Failure(.hop(0, of: 1, name: "a"), phase, cause))
      #expect(errands.take() == (isSuspect ? ["member 0 of g"] : []), "\(phase) \(cause)")
      guard isSuspect else { continue }
      #expect(journey.next()?.description == "b")
      journey.fail(Failure(.hop(0, of: 1, name: "b"), phase, cause))
      #expect(errands.take() == ["member 1 of g"])
      // The next one comes too soon.
      let next = Journey(by: plan, for: request, health: health, begin: errands.add)
      #expect(next.next()?.description == "a")
      next.fail(Failure(.hop(0, of: 1, name: "a"), phase, cause))
      #expect(errands.take() == [])
    }
  }

  @Test func `a hop outside of a group has none of its members checked`() {
    let (health, errands) = (Health(), Errands())
    let exits = Stop.group(group("g", "ab".map(upstream)))
    let stops = [upstream("e"), exits, upstream("z")].map { Itinerary.Position([$0]) }
    for (index, name, expected) in [(0, "e", []), (2, "z", []), (1, "a", ["member 0 of g"])] {
      let journey = Journey(
        by: Plan(.itinerary(Itinerary(stops))), for: request, health: health, begin: errands.add)
      #expect(journey.next()?.description == "e,a,z")
      _ = errands.take()
      // Neither opens the way to the next, nor breaks the protocol before a hop of the group is asked.
      let phase: Failure.Phase = index == 2 ? .request : .resolve
      journey.fail(
        Failure(.hop(index, of: 3, name: name), phase, index == 2 ? .closed : .resolution(.timedOut)))
      #expect(errands.take() == expected)
    }
  }

  @Test func `a check of an outer group does not keep the checks of an inner group from beginning`() {
    let (health, errands) = (Health(), Errands())
    let inner = Stop.group(group("inner", "bc".map(upstream)))
    let checking = Journey(
      by: Plan(.itinerary(Itinerary([Itinerary.Position([inner])]))), for: request,
      as: .check(again: .seconds(60), behind: 0), health: health)
    #expect(checking.next()?.description == "b")
    checking.arrive()
    let plan = Plan(.group(group("outer", [upstream("a"), inner])))
    let journey = Journey(by: plan, for: request, health: health, begin: errands.add)
    #expect(journey.next()?.description == "a")
    journey.fail(Failure(.hop(0, of: 1, name: "a"), .connect, .closed))
    #expect(errands.take() == ["checks of outer"])
    #expect(journey.next()?.description == "b")
    #expect(errands.take() == ["checks of inner"])
  }

  /// `s` is an entry that does not open the way to `b`, as one whose sessions a client has used up, and opens it to `c`.
  @Test(arguments: [false, true])
  func `ways that an entry does not open take no hop down, and lead to one trial (T32)`(isPipelined: Bool) {
    let (health, errands) = (Health(), Errands())
    let chains = ["sb", "sc"].map { names in
      Stop.itinerary(Itinerary(names.map { Itinerary.Position([upstream($0)]) }))
    }
    let plan = Plan(.group(Group(name: "g", members: (chains + [.direct]).map { Group.Member($0) })))
    // The client's connections of one moment, and then another.
    let burst = (0..<5).map { _ in Journey(by: plan, for: request, health: health, begin: errands.add) }
    for journey in burst {
      #expect(journey.next()?.description == "s,b")
      var failure = Failure(.hop(0, of: 2, name: "s"), .request, .closed)
      failure.hasRequestUnderway = isPipelined
      journey.fail(failure)
    }
    #expect(errands.take() == [])
    for journey in burst {
      #expect(journey.next()?.description == "s,c")
      journey.arrive()
    }
    // What the client's own request may have brought about is not even a reason for a trial.
    #expect(errands.take() == (isPipelined ? [] : [#"trial ["s", "b"] ["s", "c"]"#]))
    let last = Journey(by: plan, for: request, health: health, begin: errands.add)
    #expect(last.next()?.description == "s,b")
  }
}
