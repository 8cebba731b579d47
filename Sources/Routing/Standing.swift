/// A moment on some clock that only goes forward, in nanoseconds.
package typealias Moment = UInt64

/// What is known of one upstream: whether it is up, how soon it answers, how much goes through it.
package struct Standing: Hashable, Sendable {
  /// In a row.
  package private(set) var failures = 0
  /// Until then it is left alone, if it failed.
  package private(set) var pauseEnd: Moment = 0
  /// Until then one connection finds out whether it is up again, and others leave it alone.
  private var trialEnd: Moment = 0
  /// Requests that it passed on and that nobody answered, in a row.
  private var silences = 0
  /// To connect to it and to be admitted, smoothed, in nanoseconds; `nil` before it was ever reached.
  package private(set) var latency: Double?
  package var connections = 0

  private static let firstPause: Moment = 1_000_000_000
  private static let longestPause: Moment = 60_000_000_000
  /// A trial of which nothing is heard does not hold up others for longer.
  private static let longestTrial: Moment = 30_000_000_000
  /// One silence may well be the destination's.
  private static let silencesForFailure = 3
  /// How much the latest measurement counts (exponentially weighted moving average).
  private static let smoothing = 0.3

  package init() {}

  /// Whether it failed, and is to be left alone.
  package func isDown(at now: Moment) -> Bool { failures > 0 && (now < pauseEnd || now < trialEnd) }

  /// Until when it is left alone; `nil` when the next connection may try it.
  package func restEnd(at now: Moment) -> Moment? { failures > 0 && now < pauseEnd ? pauseEnd : nil }

  /// A connection is about to try it.
  mutating func begin(at now: Moment) {
    if failures > 0, now >= pauseEnd { trialEnd = now + Self.longestTrial }
  }

  /// It did its part.
  package mutating func succeed() {
    failures = 0
    trialEnd = 0
    silences = 0
  }

  /// It did not do its part: it pauses, twice as long as the last time.
  ///
  /// Many connections fail at once where one does: as long as it pauses, no other failure counts.
  ///
  /// - Parameter jitter: from 0 up to 1; it lengthens or shortens the pause by up to a quarter, so that not everybody
  ///   comes back at the same time.
  package mutating func fail(at now: Moment, jitter: Double) {
    trialEnd = 0
    silences = 0
    guard failures == 0 || now >= pauseEnd else { return }
    let pause = failures < 6 ? min(Self.firstPause << Moment(failures), Self.longestPause) : Self.longestPause
    failures += 1
    pauseEnd = now + Moment(Double(pause) * (0.75 + jitter / 2))
  }

  /// It let us in, and was asked for nothing yet: that brings back what was down, but not what swallows requests.
  package mutating func admit() {
    trialEnd = 0
    if silences < Self.silencesForFailure { failures = 0 }
  }

  /// It took a request, and nothing came of that in time: its failure, if it happens again and again.
  package mutating func fallSilent(at now: Moment, jitter: Double) {
    let count = silences + 1
    trialEnd = 0
    if count >= Self.silencesForFailure { fail(at: now, jitter: jitter) }
    silences = count
  }

  /// Nothing was found out about it.
  package mutating func endTrial() { trialEnd = 0 }

  package mutating func measure(_ nanoseconds: Double) {
    latency = latency.map { $0 + Self.smoothing * (nanoseconds - $0) } ?? nanoseconds
  }
}

/// What is known of all upstreams, and whose turn it is where several take turns.
package struct Standings: Sendable {
  private var byName: [String: Standing] = [:]
  /// Of groups and chains, by their names.
  var turns: [String: Int] = [:]

  package init() {}

  /// Of an upstream that nothing is known of: as good as any.
  package subscript(name: String) -> Standing {
    get { byName[name] ?? Standing() }
    set { byName[name] = newValue }
  }

  /// The same if nothing had ever failed.
  var withoutFailures: Standings {
    var standings = self
    for name in standings.byName.keys { standings.update(name) { $0.succeed() } }
    return standings
  }

  /// Changes it in place.
  package mutating func update(_ name: String, _ change: (inout Standing) -> Void) {
    change(&byName[name, default: Standing()])
  }

  /// Forgets all but these, and those through which something still goes.
  package mutating func keep(_ names: Set<String>) {
    byName = byName.filter { names.contains($0.key) || $0.value.connections > 0 }
  }
}
