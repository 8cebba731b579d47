import Transport

/// Carries bytes between a client and its destination until both have said all they had to say.
///
/// One task steps both directions and then waits for either end. A half-close passes through: the other direction goes
/// on. A reset passes through too, so that a cut transfer cannot look complete, but not before the client has what came
/// until then: a reset destroys what waits to be sent.
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
  /// When a byte moved last, in either direction.
  var silentSince: Deadline
  private var isKeptAlive = false
  /// The client is to be cut off, for this reason, once it has what came for it.
  private var cut: Ending?
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
      if let cut {
        await deliver(before: cut)
      } else if up.progress == .more || down.progress == .more {
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
      let isClient = end == 0
      step(
        up: up.progress == (isClient ? .awaitsSource : .awaitsSink),
        down: down.progress == (isClient ? .awaitsSink : .awaitsSource))
    case .timedOut where idleDeadline <= client.loop.now: cutOff(.idle)
    case .timedOut: keepAlive()
    case .cancelled: end(.stopped)
    }
  }

  private func step(up stepsUp: Bool, down stepsDown: Bool) {
    let (byteCount, wasHalfClosed) = (byteCount, isHalfClosed)
    do throws(RelayDirection.Fault) {
      if stepsUp { try up.step(from: client, to: upstream, isLast: down.progress == .ended) }
    } catch {
      return error.isSource ? end(.reset) : cutOff(.reset)
    }
    do throws(RelayDirection.Fault) {
      if stepsDown { try down.step(from: upstream, to: client, isLast: up.progress == .ended) }
    } catch {
      return error.isSource ? cutOff(.reset) : end(.reset)
    }
    // What wakes the tunnel and moves nothing, as a ticket of TLS, does not keep it.
    if self.byteCount != byteCount || isHalfClosed != wasHalfClosed { silentSince = client.loop.now }
    if up.progress == .ended, down.progress == .ended { end(.finished) }
  }

  private var byteCount: UInt64 { up.byteCount &+ down.byteCount }

  /// Most tunnels are over long before this, and are spared the kernel's timers.
  private func keepAlive() {
    isKeptAlive = true
    client.keepAlive(seconds: Self.keepAliveSeconds)
    upstream.keepAlive(seconds: Self.keepAliveSeconds)
  }

  // MARK: Ending

  /// Ends the tunnel when the client has what came for it.
  private func cutOff(_ ending: Ending) {
    // A client that was told the end is left to the kernel, which delivers what is on its way.
    guard down.progress != .ended else { return end(ending) }
    cut = ending
    silentSince = client.loop.now
    // An upstream that failed has no more. One that still lives could go on for ever.
    if ending == .idle { down.stopReading() }
  }

  private static let pauses = Duration.milliseconds(5)...Duration.milliseconds(500)

  /// Hands the client what came for it, as a server that answers "too large" and resets has said why. Gives up when the
  /// client takes nothing for as long as a half-closed tunnel may be silent.
  private func deliver(before ending: Ending) async {
    var pause = Self.pauses.lowerBound
    var left = 0
    while true {
      let byteCount = down.byteCount
      let isOut: Bool
      do throws(RelayDirection.Fault) {
        // Its end is not told, since what follows is a reset.
        try down.step(from: upstream, to: client, isLast: true)
        isOut = down.progress == .awaitsSource || down.progress == .ended
      } catch {
        // What was read before an upstream's failure has been written.
        guard error.isSource else { return end(.reset) }
        isOut = true
      }
      let unacknowledged = client.unacknowledgedCount
      if isOut, unacknowledged == 0 || client.hasFailed { return end(ending) }
      let now = client.loop.now
      if down.byteCount != byteCount || unacknowledged < left {
        silentSince = now
        pause = Self.pauses.lowerBound
      }
      left = unacknowledged
      let limit = silentSince + halfClosed
      guard now < limit else { return end(ending) }
      // The kernel does not say when the last byte is acknowledged: it is asked again and again.
      let wakeup = await client.loop.waitUntilInterrupted(
        for: client.interest(in: .writable), or: upstream.interest(in: []), until: min(now + pause, limit))
      if wakeup == .cancelled { return end(.stopped) }
      pause = min(pause * 2, Self.pauses.upperBound)
    }
  }

  /// Makes the peer see that it was cut off, and counts only what it has. What TLS adds is not told from what it holds.
  private func reset(_ stream: borrowing TCPStream, _ direction: inout RelayDirection) {
    if !stream.isSecured { direction.takeBack(stream.unacknowledgedCount) }
    stream.resetOnClose()
  }

  private func end(_ ending: Ending) {
    self.ending = ending
    // A peer that was told the end has everything. No other may take what it got for everything.
    if cut != nil || down.progress != .ended { reset(client, &down) }
    if up.progress != .ended { reset(upstream, &up) }
    up.release(on: client.loop)
    down.release(on: client.loop)
  }
}
