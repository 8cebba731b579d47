import Transport

/// Carries bytes between a client and its destination until both have said all they had to say.
///
/// One task steps both directions and then waits for either end. A half-close passes through: the other direction goes
/// on. A reset passes through too, so that a cut transfer cannot look complete.
struct TCPRelay: ~Copyable {
  enum Ending {
    case finished
    case reset
    case idle
    case stopped
  }

  private(set) var up: RelayDirection
  private(set) var down: RelayDirection
  /// How long a silent tunnel is kept, whole and when one direction has ended.
  let idle: Duration
  let halfClosed: Duration

  /// - Parameters:
  ///   - fromClient: what the client sent behind its request.
  ///   - fromUpstream: what the last hop sent behind its reply.
  init(fromClient: [UInt8], fromUpstream: [UInt8], idle: Duration, halfClosed: Duration) {
    up = RelayDirection(early: fromClient)
    down = RelayDirection(early: fromUpstream)
    self.idle = idle
    self.halfClosed = halfClosed
  }

  mutating func run(client: borrowing TCPStream, upstream: borrowing TCPStream) async -> Ending {
    let ending: Ending
    do {
      ending = try await relay(client, upstream)
    } catch {
      ending = .reset
    }
    // Whoever still listens must not take what it got for everything.
    if ending != .finished {
      client.resetOnClose()
      upstream.resetOnClose()
    }
    up.release(on: client.loop)
    down.release(on: client.loop)
    return ending
  }

  private mutating func relay(
    _ client: borrowing TCPStream, _ upstream: borrowing TCPStream
  ) async throws(RelayDirection.Fault) -> Ending {
    try up.step(from: client, to: upstream)
    try down.step(from: upstream, to: client)
    while true {
      if up.progress == .more || down.progress == .more {
        await Task.yield()
        if up.progress == .more { try up.step(from: client, to: upstream) }
        if down.progress == .more { try down.step(from: upstream, to: client) }
        continue
      }
      let isHalfClosed = up.progress == .ended || down.progress == .ended
      if isHalfClosed, up.progress == down.progress { return .finished }

      let wakeup = await client.loop.wait(
        for: client.interest(in: readiness(source: up, sink: down)),
        or: upstream.interest(in: readiness(source: down, sink: up)),
        until: .after(isHalfClosed ? halfClosed : idle))
      switch wakeup {
      case .ready(let end):
        let isClient = end == 0
        if up.progress == (isClient ? .awaitsSource : .awaitsSink) { try up.step(from: client, to: upstream) }
        if down.progress == (isClient ? .awaitsSink : .awaitsSource) {
          try down.step(from: upstream, to: client)
        }
      case .timedOut: return .idle
      case .cancelled: return .stopped
      }
    }
  }

  /// What one end is waited for: as the source of one direction, and as the sink of the other.
  private func readiness(source: RelayDirection, sink: RelayDirection) -> Readiness {
    var readiness: Readiness = []
    if source.progress == .awaitsSource { readiness.insert(.readable) }
    if sink.progress == .awaitsSink { readiness.insert(.writable) }
    return readiness
  }
}
