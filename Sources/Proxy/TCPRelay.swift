import Transport

/// Carries bytes between a client and its destination until both have said all they had to say.
///
/// One task steps both directions and then waits for either end. A half-close passes through: the other direction goes
/// on. A reset passes through too, so that a cut transfer cannot look complete.
final class TCPRelay {
  enum Ending {
    case finished
    case reset
    case idle
    case stopped
  }

  private static let keepAliveSeconds = 60
  private static let keepAliveDelay = Deadline.Interval(.seconds(keepAliveSeconds))

  private let client: TCPStream
  private let upstream: TCPStream
  private(set) var up: RelayDirection
  private(set) var down: RelayDirection
  /// How the relay ended; `nil` while it lasts.
  private(set) var ending: Ending?
  private var silentSince: Deadline
  private var isKeptAlive = false
  /// How long a silent tunnel is kept, whole and when one direction has ended.
  private let idle: Deadline.Interval
  private let halfClosed: Deadline.Interval

  /// - Parameters:
  ///   - fromClient: what the client sent behind its request.
  ///   - fromUpstream: what the last hop sent behind its reply.
  init(
    client: consuming TCPStream, upstream: consuming TCPStream, fromClient: [UInt8], fromUpstream: [UInt8],
    idle: Duration, halfClosed: Duration
  ) {
    self.client = client
    self.upstream = upstream
    up = RelayDirection(early: fromClient)
    down = RelayDirection(early: fromUpstream)
    silentSince = self.client.loop.now
    self.idle = Deadline.Interval(idle)
    self.halfClosed = Deadline.Interval(halfClosed)
  }

  /// Relays until `ending` is known.
  func run() async {
    step(up: true, down: true)
    while ending == nil {
      if up.progress == .more || down.progress == .more {
        await Task.yield()
        // Ends that are both faster than this loop never let it wait.
        if Task.isCancelled { return end(.stopped) }
        // Nor may the busy direction keep the other waiting for its end.
        step(up: up.progress != .ended, down: down.progress != .ended)
      } else {
        proceed(
          after: await client.loop.waitUntilInterrupted(
            for: clientInterest, or: upstreamInterest, until: deadline))
      }
    }
  }

  // MARK: Waiting

  /// What the client's end is waited for: as the source of one direction, and as the sink of the other.
  private var clientInterest: Interest {
    client.interest(in: Self.readiness(source: up.progress, sink: down.progress))
  }

  private var upstreamInterest: Interest {
    upstream.interest(in: Self.readiness(source: down.progress, sink: up.progress))
  }

  private static func readiness(
    source: RelayDirection.Progress, sink: RelayDirection.Progress
  ) -> Readiness {
    let reading = source == .awaitsSource ? Readiness.readable : Readiness()
    return sink == .awaitsSink ? reading.union(.writable) : reading
  }

  private var isHalfClosed: Bool { up.progress == .ended || down.progress == .ended }

  /// When nothing has moved for too long, or for long enough to ask whether the peers still live.
  private var deadline: Deadline {
    isKeptAlive ? idleDeadline : min(idleDeadline, silentSince + Self.keepAliveDelay)
  }

  private var idleDeadline: Deadline { silentSince + (isHalfClosed ? halfClosed : idle) }

  // MARK: Moving

  /// Steps the directions that the ready end was waited for by.
  private func proceed(after wakeup: Wakeup) {
    switch wakeup {
    case .ready(let end):
      silentSince = client.loop.now
      let isClient = end == 0
      step(
        up: up.progress == (isClient ? .awaitsSource : .awaitsSink),
        down: down.progress == (isClient ? .awaitsSink : .awaitsSource))
    case .timedOut where idleDeadline <= client.loop.now: end(.idle)
    case .timedOut: keepAlive()
    case .cancelled: end(.stopped)
    }
  }

  private func step(up stepsUp: Bool, down stepsDown: Bool) {
    if stepsUp {
      do {
        try up.step(from: client, to: upstream, isLast: down.progress == .ended)
      } catch {
        // Who refuses more may have said why before, as a server that answers "too large" and closes. It is not told
        // as an end, since what follows is a reset.
        if !error.isSource, down.progress != .ended {
          try? down.step(from: upstream, to: client, isLast: true)
        }
        return end(.reset)
      }
    }
    if stepsDown {
      do {
        try down.step(from: upstream, to: client, isLast: up.progress == .ended)
      } catch {
        return end(.reset)
      }
    }
    if up.progress == .ended, down.progress == .ended { end(.finished) }
  }

  /// Most tunnels are over long before this, and are spared the kernel's timers.
  private func keepAlive() {
    isKeptAlive = true
    client.keepAlive(seconds: Self.keepAliveSeconds)
    upstream.keepAlive(seconds: Self.keepAliveSeconds)
  }

  private func end(_ ending: Ending) {
    self.ending = ending
    // Whoever still listens must not take what it got for everything.
    if ending != .finished {
      client.resetOnClose()
      upstream.resetOnClose()
    }
    up.release(on: client.loop)
    down.release(on: client.loop)
  }
}
