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

  /// Of a table with these groups, and with upstreams of all names of one letter.
  private func health(of groups: [Group]) -> Health {
    let health = Health()
    keep(groups, in: health)
    return health
  }

  private func keep(_ groups: [Group], in health: Health) {
    health.keep("abcdefghijklmnopqrstuvwxyz".flatMap { upstream($0).upstreams }, groups)
  }

  /// The errands' descriptions, in order.
  private final class Errands: Sendable {
    private let list = Mutex<[String]>([])

    func add(_ errand: Errand) {
      let text =
        switch errand {
        case .checks(let group, _): "checks of \(group)"
        case .earlyCheck(let member, let subject): "member \(member) of \(subject.group.name)"
        case .trial(let trial): "trial \(names(trial.unopened)) \(trial.other.map(names) ?? "")"
        }
      list.withLock { $0.append(text) }
    }

    private func names(_ hops: [Upstream]) -> String { hops.map(\.name).joined(separator: ",") }

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
      let errands = Errands()
      let group = group("g", "abc".map(upstream))
      let (health, plan) = (health(of: [group]), Plan(.group(group)))
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
    let errands = Errands()
    let exits = group("g", "ab".map(upstream))
    let health = health(of: [exits])
    let stops = [upstream("e"), .group(exits), upstream("z")].map { Itinerary.Position([$0]) }
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
    let errands = Errands()
    let innerGroup = group("inner", "bc".map(upstream))
    let inner = Stop.group(innerGroup)
    let outer = group("outer", [upstream("a"), inner])
    let health = health(of: [outer, innerGroup])
    let checking = Journey(
      by: Plan(.itinerary(Itinerary([Itinerary.Position([inner])]))), for: request,
      as: .check(of: outer, again: .seconds(43), behind: 0), health: health)
    #expect(checking.next()?.description == "b")
    checking.arrive(showing: .passage)
    let plan = Plan(.group(outer))
    let journey = Journey(by: plan, for: request, health: health, begin: errands.add)
    #expect(journey.next()?.description == "a")
    journey.fail(Failure(.hop(0, of: 1, name: "a"), .connect, .closed))
    #expect(errands.take() == ["checks of outer"])
    #expect(journey.next()?.description == "b")
    #expect(errands.take() == ["checks of inner"])
  }

  // MARK: Reloads

  private func other(_ name: String, _ members: String, every seconds: Int?) -> Group {
    let check = seconds.map {
      Group.Check(to: self.check.destination, every: .seconds($0), timeout: .seconds(5))
    }
    return Group(name: name, members: members.map { Group.Member(upstream($0)) }, check: check)
  }

  @Test func `a reload ends what a check has found that the table no longer has, and what it finds still`() {
    let old = group("g", "ab".map(upstream))
    for (next, isOver) in [
      ([old], false), ([old, other("h", "a", every: 5)], false), ([other("g", "bac", every: 30)], false),
      ([other("g", "ab", every: nil)], true), ([other("g", "ab", every: 5)], true), ([], true),
      ([other("g", "b", every: 30)], true), ([other("h", "ab", every: 30)], true),
    ] as [([Group], Bool)] {
      let health = health(of: [old])
      let checks = (0..<2).map { _ in
        Journey(
          by: Plan(upstream("a")), for: request, as: .check(of: old, again: .seconds(43), behind: 0),
          health: health)
      }
      for check in checks { #expect(check.next()?.description == "a") }
      let failure = Failure(.hop(0, of: 1, name: "a"), .request, .reply(.hostUnreachable))
      let isDown = { health.standings.isUp(self.upstream("a"), at: Deadline.now.nanoseconds) == false }
      checks[0].fail(failure, as: .hop)
      #expect(isDown())
      keep(next, in: health)
      #expect(isDown() != isOver, "\(next)")
      guard isOver else { continue }
      checks[1].fail(failure, as: .hop)
      #expect(!isDown(), "\(next)")
      // What clients have found stays.
      let client = Journey(by: Plan(upstream("a")), for: request, health: health)
      _ = client.next()
      client.fail(Failure(.hop(0, of: 1, name: "a"), .connect, .closed))
      keep([old], in: health)
      keep(next, in: health)
      #expect(isDown())
    }
  }

  @Test func `an association from before a reload brings no check back that the table no longer has`() {
    let old = group("g", "ab".map(upstream))
    for next in [other("g", "ab", every: nil), other("g", "ab", every: 5)] {
      let (health, errands) = (health(of: [old]), Errands())
      func pass(_ group: Group) -> [String] {
        _ = Journey(by: Plan(.group(group)), for: request, health: health, begin: errands.add).next()
        return errands.take()
      }
      keep([next], in: health)
      #expect(pass(old) == [])
      #expect(pass(next) == (next.check == nil ? [] : ["checks of g"]))
      #expect(pass(old) == [])
      let subject = health.subject("g", of: 1) { _ in Deadline(nanoseconds: 0) }
      #expect(subject?.group == (next.check == nil ? nil : next))
    }
  }

  @Test func `a reload wakes the task that checks a group, and lets no two check it`() throws {
    let exits = group("g", "ab".map(upstream))
    let (health, errands) = (health(of: [exits]), Errands())
    let stops = [upstream("e"), .group(exits)].map { Itinerary.Position([$0]) }
    let plan = Plan(.itinerary(Itinerary(stops)))
    func pass(_ plan: Plan) -> [String] {
      _ = Journey(by: plan, for: request, health: health, begin: errands.add).next()
      return errands.take()
    }
    func subject(of task: Int) -> Health.Subject? {
      health.subject("g", of: task) { _ in Deadline(nanoseconds: 0) }
    }
    let wakes = Mutex(0)
    func sleep(_ subject: Health.Subject) -> Bool {
      health.sleep(subject) { wakes.withLock { $0 += 1 } }
    }
    #expect(pass(plan) == ["checks of g"])
    let first = try #require(subject(of: 1))
    #expect(sleep(first))
    keep([exits], in: health)
    #expect(wakes.withLock { $0 } == 0)
    // Another proxy stands before the group.
    health.keep("ab".flatMap { upstream($0).upstreams }, [exits])
    #expect(wakes.withLock { $0 } == 1)
    #expect(pass(plan) == [])
    #expect(pass(Plan(.group(exits))) == ["checks of g"])
    #expect(subject(of: 1) == nil && !sleep(first))
    let second = try #require(subject(of: 2))
    // The check changes while the task does not sleep, and while it does.
    let next = other("g", "ab", every: 5)
    keep([next], in: health)
    #expect(!sleep(second))
    let changed = try #require(subject(of: 2))
    #expect(changed.group == next && sleep(changed))
    keep([exits], in: health)
    #expect(wakes.withLock { $0 } == 2)
    #expect(pass(Plan(.group(exits))) == [])
  }

  @Test func `no more members of all groups are checked early at a time than all checks may be`() throws {
    let groups = (0..<1002).map { number in
      group(
        "g\(number)",
        [.upstream(Upstream(name: "m\(number)", endpoint: Endpoint(.loopback4, port: 1)))])
    }
    let (health, errands) = (health(of: groups), Errands())
    func suspect(_ number: Int) {
      let plan = Plan(.group(groups[number]))
      let journey = Journey(by: plan, for: request, health: health, begin: errands.add)
      _ = journey.next()
      journey.fail(Failure(.hop(0, of: 1, name: "m\(number)"), .request, .closed))
    }
    func earlyChecks() -> Int { errands.take().count { $0.hasPrefix("member") } }
    for number in 0..<1000 { suspect(number) }
    #expect(earlyChecks() == 64)
    suspect(1000)
    #expect(earlyChecks() == 0)
    let first = try #require(health.subject("g0", of: 1) { _ in Deadline(nanoseconds: 0) })
    health.endEarlyCheck(of: 0, in: first, hasPassed: true)
    suspect(1000)
    suspect(1001)
    #expect(earlyChecks() == 1)
    health.limitEarlyChecks(to: 65)
    suspect(1001)
    #expect(earlyChecks() == 1)
  }

  private func chain(_ names: String) -> Stop {
    .itinerary(Itinerary(names.map { Itinerary.Position([upstream($0)]) }))
  }

  private func plan(_ chains: String...) -> Plan {
    Plan(.group(Group(name: "g", members: (chains.map(chain) + [.direct]).map { Group.Member($0) })))
  }

  /// What an entry may do instead of opening the way to the next hop: it closes, refuses without a reason, or says nothing.
  private static let unopened: [(Int, Failure.Phase, Failure.Cause)] = [
    (0, .request, .closed), (1, .connect, .reply(.generalFailure)), (1, .connect, .status(.badGateway)),
    (1, .connect, .socks4Reply(.rejected)), (1, .connect, .system(.timedOut)),
  ]

  /// `s` is an entry that does not open the way to `b`, as one whose sessions a client has used up, and opens it to `c`.
  @Test(arguments: 0..<5, [false, true])
  func `ways that an entry does not open take no hop down, and lead to one trial (T32)`(
    index: Int, isPipelined: Bool
  ) {
    let (health, errands) = (Health(), Errands())
    let plan = plan("sb", "sc")
    let (hop, phase, cause) = Self.unopened[index]
    // The client's connections of one moment, and then another.
    let burst = (0..<5).map { _ in Journey(by: plan, for: request, health: health, begin: errands.add) }
    for journey in burst {
      #expect(journey.next()?.description == "s,b")
      var failure = Failure(.hop(hop, of: 2, name: "sb"), phase, cause)
      failure.hasRequestUnderway = isPipelined
      #expect(journey.fail(failure))
    }
    // It also asks for what pipelining makes of the client's request: only what the trial finds counts.
    #expect(errands.take() == ["trial s,b s,c"])
    for journey in burst {
      #expect(journey.next()?.description == "s,c")
      journey.arrive(showing: .passage)
    }
    #expect(errands.take() == [])
    let last = Journey(by: plan, for: request, health: health, begin: errands.add)
    #expect(last.next()?.description == "s,b")
  }

  /// As `s` does that has a limit for each of its identities.
  @Test func `what one identity meets is a reason for a trial only, also while the hop is down`() {
    let (health, errands) = (Health(), Errands())
    var s = Upstream(name: "s", endpoint: Endpoint(.loopback4, port: 1))
    let b = Upstream(name: "b", endpoint: Endpoint(.loopback4, port: 1))
    for isolation in [nil, Isolation(by: [.client])] {
      s.isolation = isolation
      let stops = [s, b].map { Itinerary.Position([.upstream($0)]) }
      let failures = [Failure.Cause.reply(.connectionRefused), .reply(.generalFailure)]
      for (number, cause) in failures.enumerated() {
        let journey = Journey(
          by: Plan(.itinerary(Itinerary(stops))), for: request, health: health, begin: errands.add)
        #expect(journey.next()?.description == "s,b", "\(number)")
        journey.fail(Failure(.hop(1, of: 2, name: "b"), .connect, cause))
      }
      #expect(health.standings[b].failures == 1)
      #expect(errands.take() == (isolation == nil ? [] : ["trial s,b "]))
    }
  }

  @Test func `a hop that a dial had too little time for is tried once by Sockeye, and stays down if it was`()
    async throws
  {
    let (health, errands) = (Health(), Errands())
    let a = Upstream(name: "a", endpoint: Endpoint(.loopback4, port: 1))
    let plan = plan("a", "b")
    func failures(_ way: String = "a", isCutShort: Bool) -> Int {
      let journey = Journey(by: plan, for: request, health: health, begin: errands.add)
      #expect(journey.next()?.description == way)
      var failure = Failure(.hop(0, of: 1, name: way), .greet, .system(.timedOut))
      failure.isCutShort = isCutShort
      #expect(journey.fail(failure))
      // The client did not learn that the proxy is down.
      #expect(journey.next()?.description == "b")
      return health.standings[a].failures
    }
    #expect(failures(isCutShort: true) == 0)
    #expect(errands.take() == ["trial a "])
    #expect(failures(isCutShort: true) == 0)
    #expect(failures(isCutShort: false) == 1)
    #expect(errands.take() == [])
    let pauseEnd = health.pauseEnd(of: Chain([a]))
    try await onLoop { loop in try await loop.sleep(until: pauseEnd) }
    #expect(failures(isCutShort: true) == 2)
  }

  @Test func `a way is tried with another one through the same hop, and alone where there is none`() {
    for (chains, expected) in [
      (["sb"], "trial s,b "), (["sb", "s"], "trial s,b "), (["sb", "db", "bs", "sb"], "trial s,b "),
      // Clients would go by `d`; Sockeye knows `s,c` all the same.
      (["sb", "d", "scx"], "trial s,b s,c"), (["sb", "tsc"], "trial s,b "),
    ] {
      let (health, errands) = (Health(), Errands())
      let members = (chains.map(chain) + [.direct]).map { Group.Member($0) }
      let journey = Journey(
        by: Plan(.group(Group(name: "g", members: members))), for: request, health: health,
        begin: errands.add)
      #expect(journey.next()?.description == "s,b")
      journey.fail(Failure(.hop(1, of: 2, name: "b"), .connect, .reply(.generalFailure)))
      #expect(errands.take() == [expected], "\(chains)")
    }
  }
}
