import Addresses

/// A moment on some clock that only goes forward, in nanoseconds.
package typealias Moment = UInt64

/// What is known of one upstream: whether it is up, how soon it answers, how many connections pass it.
package struct Standing: Hashable, Sendable {
  /// What an upstream has shown that it can do. During its pause, a failure is over when the upstream shows what it had
  /// failed at, or more: a proxy that answers no requests may still admit clients.
  package enum Proof: Int, Hashable, Sendable, Comparable {
    /// It was connected to, and admitted us.
    case admission
    /// It answered a request, if only with a refusal.
    case answer
    /// It reached what it was asked for.
    case passage

    package static func < (one: Proof, other: Proof) -> Bool { one.rawValue < other.rawValue }
  }

  /// Failures in a row.
  package private(set) var failures = 0
  /// What ends the failure before the pause is over; after that, admission does. Meaningless without failures.
  private var missing = Proof.admission
  /// The group whose check has found the failure, or has found it too; meaningless without failures.
  private var checkedGroup: String?
  /// An upstream that failed is not tried before.
  package private(set) var pauseEnd: Moment = 0
  /// Until then one connection finds out whether it is up again, and others avoid it.
  private var trialEnd: Moment = 0
  private var doubts = Doubts()
  /// When it last showed what it can do.
  private var latestProof: Moment = 0
  /// To connect to it and to be admitted, smoothed, in nanoseconds; `nil` before it was ever reached.
  package private(set) var latency: Double?
  package var connections = 0
  /// Those of the connections that are open and that it has admitted: while there are any, it may be full.
  package var admitted = 0

  private static let firstPause: Moment = 1_000_000_000
  private static let longestPause: Moment = 60_000_000_000
  /// A trial of which nothing is heard does not hold up others for longer.
  private static let longestTrial: Moment = 30_000_000_000

  package init() {}

  /// Whether it failed, and is not to be tried.
  package func isDown(at now: Moment) -> Bool { failures > 0 && (now < pauseEnd || now < trialEnd) }

  /// Whether it left a request of this client without an answer, and has answered nobody since.
  package func isSuspect(to client: Client?, at now: Moment) -> Bool { doubts.concern(client, at: now) }

  /// Whether it did not answer this client's requests for several destinations. Others know nothing of that.
  package func isDoubtful(to client: Client?, at now: Moment) -> Bool { doubts.hold(for: client, at: now) }

  /// When the pause of an upstream that failed ends; `nil` when the next connection may try it.
  package func restEnd(at now: Moment) -> Moment? { failures > 0 && now < pauseEnd ? pauseEnd : nil }

  /// A connection is about to try it.
  ///
  /// - Returns: the end of the trial that begins with this, which tells it from others; `nil` when none does, since the
  ///   upstream has not failed, or pauses, or another connection tries it.
  @discardableResult
  mutating func begin(at now: Moment) -> Moment? {
    guard failures > 0, now >= pauseEnd, now >= trialEnd else { return nil }
    trialEnd = now + Self.longestTrial
    return trialEnd
  }

  /// It has shown what it can do. If that is less than what it failed at, the failure goes on until the pause is over: a
  /// check would have made the pause longer if it had been made again.
  ///
  /// - Parameter now: when it did; 0 when that is not known.
  package mutating func show(_ proof: Proof, at now: Moment = 0) {
    latestProof = max(latestProof, now)
    if proof >= .answer { doubts = Doubts() }
    guard proof >= missing || now >= pauseEnd else { return }
    failures = 0
    trialEnd = 0
  }

  /// Whether it has shown something since then: a dial that began before and fails now does not tell that it is down.
  package func hasShown(since start: Moment) -> Bool { latestProof > start }

  /// It failed: it pauses, twice as long as the last time.
  ///
  /// Many connections fail at once where one does: during a pause, no other failure makes it longer, unless by `pause`.
  ///
  /// - Parameters:
  ///   - missing: what ends the failure.
  ///   - least: the shortest pause, in nanoseconds: a check that fails pauses an upstream until the next check.
  ///   - jitter: from 0 up to 1; it lengthens or shortens the pause by up to a quarter, so that not all instances try
  ///     the upstream at the same time.
  ///   - group: the group whose check has found the failure.
  package mutating func fail(
    missing: Proof = .admission, at now: Moment, pausing least: Moment = 0, jitter: Double,
    inCheckOf group: String? = nil
  ) {
    trialEnd = 0
    if failures == 0 || group != nil { checkedGroup = group }
    self.missing = failures == 0 ? missing : max(self.missing, missing)
    if failures == 0 || now >= pauseEnd {
      let pause =
        failures < 6 ? min(Self.firstPause << Moment(failures), Self.longestPause) : Self.longestPause
      failures += 1
      pauseEnd = now + Moment(Double(pause) * (0.75 + jitter / 2))
    }
    pauseEnd = max(pauseEnd, now + least)
  }

  /// The check of that group is another now, or there is none: what it has found holds no longer.
  mutating func endFailure(inCheckOf group: String) {
    guard failures > 0, checkedGroup == group else { return }
    failures = 0
    trialEnd = 0
  }

  /// It took a client's request and did not answer: it hung up, fell silent, or broke the protocol. That is a matter
  /// between it and the client, who chose the destination.
  package mutating func doubt(of client: Client?, for destination: Host, at now: Moment) {
    doubts.add(of: client, for: destination, at: now)
  }

  /// The connection with the trial that ends then has found out all that it will. Another may try the upstream at once.
  mutating func endTrial(until end: Moment) {
    if trialEnd == end { trialEnd = 0 }
  }

  package mutating func measure(_ nanoseconds: Double) {
    latency = latency.map { Self.smooth($0, nanoseconds) } ?? nanoseconds
  }

  /// An exponentially weighted moving average: the latest measurement counts 0.3.
  static func smooth(_ average: Double, _ latest: Double) -> Double { average + 0.3 * (latest - average) }
}

/// What is known of all upstreams, and whose turn it is where several take turns.
package struct Standings: Sendable {
  private var records: UpstreamRecords<Standing>
  /// Connections that go `direct` by a plan.
  package var directConnections = 0
  /// Of groups and chains, by their names.
  var turns: [String: Int] = [:]
  /// What the checks of groups measured, by the groups' names.
  private var surveys: [String: Survey] = [:]
  var unopened = UnopenedWays()

  package init() { self.init { _ in Standing() } }

  /// - Parameter makeStanding: of an upstream that nothing is known of.
  init(_ makeStanding: @escaping @Sendable (Upstream) -> Standing) {
    records = UpstreamRecords(makeStanding)
  }

  /// Of an upstream that nothing is known of: as good as any.
  package subscript(upstream: Upstream) -> Standing { records[upstream] }

  /// The same if nothing had ever failed.
  var withoutFailures: Standings {
    var standings = self
    standings.records.updateAll { $0.show(.passage) }
    return standings
  }

  /// Changes it in place; does nothing when a reload gave the name to another proxy.
  package mutating func update(_ upstream: Upstream, _ change: (inout Standing) -> Void) {
    records.update(upstream, change)
  }

  /// Forgets all but the upstreams and groups of a table that holds from now on, and upstreams that connections still
  /// pass.
  package mutating func keep(_ upstreams: [Upstream], _ groups: [Group]) {
    records.keep(upstreams) { $0.connections > 0 }
    surveys = surveys.filter { name, survey in groups.contains { $0.name == name && $0 == survey.group } }
    unopened = UnopenedWays()
  }

  // MARK: Checks

  /// Ends what the check of a group has found.
  ///
  /// - Parameter next: the group of that name in the table that holds from now on. What it checks in the same way stays.
  package mutating func endFailures(inCheckOf group: Group, unlessOf next: Group?) {
    let checked = next?.check == group.check ? next?.members.flatMap(\.stop.upstreams) ?? [] : []
    for upstream in group.members.flatMap(\.stop.upstreams)
    where !checked.contains(where: { $0.isSameProxy(as: upstream) }) {
      update(upstream) { $0.endFailure(inCheckOf: group.name) }
    }
  }

  /// How long it takes to reach the destination of a group's check through each member.
  private struct Survey: Sendable {
    let group: Group
    /// In nanoseconds, smoothed; `nil` for a member that has not passed a check yet.
    var times: [Double?]
  }

  /// Notes how long a check of a member took, from the first connect to the last hop's success.
  package mutating func measure(_ nanoseconds: Double, to member: Stop, of group: Group) {
    guard let index = group.members.firstIndex(where: { $0.stop == member }) else { return }
    var survey = surveys[group.name] ?? Survey(group: group, times: group.members.map { _ in nil })
    // A reload may have given the name to another group, or the group another check.
    if survey.group != group { survey = Survey(group: group, times: group.members.map { _ in nil }) }
    survey.times[index] = survey.times[index].map { Standing.smooth($0, nanoseconds) } ?? nanoseconds
    surveys[group.name] = survey
  }

  /// What the checks of a group measured, by member, in nanoseconds; `nil` when no check has passed yet.
  func times(of group: Group) -> [Double?]? {
    guard group.check != nil, let survey = surveys[group.name], survey.group == group else { return nil }
    return survey.times
  }
}
