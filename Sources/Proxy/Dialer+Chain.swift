import Addresses
import Routing
import Transport
import Wire

extension Dialer {
  /// Has the last hop connect to the destination, whose name travels unresolved.
  func dial(
    _ destination: Endpoint, through chain: Chain, until deadline: Deadline
  ) async throws(Failure) -> Connection {
    let last = try await ask(lastOf: chain, .connect, destination, until: deadline)
    // A name is none of the client's business: many cannot even read one.
    let bound = last.reply.bound.socketAddress ?? SocketAddress(.unspecified4, port: 0)
    return Connection(
      stream: last.hop.stream, bound: bound, early: last.hop.input, isWarm: last.isWarm)
  }

  /// Throws when a hop will not even have words for what it is to be asked: before anything is dialled.
  func check(_ chain: Chain, _ command: SOCKS5.Command, _ destination: Endpoint) throws(Failure) {
    for (index, upstream) in chain.hops.enumerated() where upstream.kind != .socks5 {
      let hop = Hop(upstream: upstream, index: index, count: chain.hops.count)
      if index == chain.hops.count - 1 {
        try hop.check(command, destination)
      } else if chain.hops[index + 1].resolution == .previous {
        try hop.check(.connect, chain.hops[index + 1].endpoint)
      }
    }
  }

  /// Connects to the first hop of the chain, then asks each hop for the next, until the one at `index` is there and
  /// has admitted us.
  func reach(_ index: Int, of chain: Chain, until deadline: Deadline) async throws(Failure) -> ReachedHop {
    try await paced(chain, asking: .connect, until: deadline) { pace throws(Failure) in
      var reached = try await approach(index, of: chain, at: pace, until: deadline)
      try await settle(&reached, until: deadline)
      return reached
    }
  }

  /// Asks something of a hop that was reached: its reply, which is a success.
  ///
  /// - Parameter limit: how long the reply may take; `nil`: until the deadline, since the destination may be slow.
  func ask(
    _ reached: inout ReachedHop, _ command: SOCKS5.Command, _ destination: Endpoint,
    phase: Failure.Phase = .request, within limit: Duration? = nil, until deadline: Deadline
  ) async throws(Failure) -> Hop.Reply {
    let hop = reached.hop
    reached.flight.add(
      try hop.request(command, destination, phase: phase), to: hop, due: .reply(phase, within: limit))
    guard let reply = try await settle(&reached, until: deadline) else {
      preconditionFailure("what was asked is answered last")
    }
    return reply
  }

  // MARK: Hop by hop

  /// Comes to the hop at `index`. At a pace that waits for no answer of its, what it is told stays in its flight.
  func approach(
    _ index: Int, of chain: Chain, at pace: Pace, until deadline: Deadline
  ) async throws(Failure) -> ReachedHop {
    let count = chain.hops.count
    var reached = try await enter(chain, until: deadline)
    try await secure(&reached, until: deadline)
    try await greet(&reached, at: pace, until: deadline)
    while reached.hop.index < index {
      let hop = reached.hop
      let next = Hop(upstream: chain.hops[hop.index + 1], index: hop.index + 1, count: count)
      let lookupDeadline = min(deadline, .after(next.upstream.timeout))
      let endpoint = try await endpoint(of: next, in: hop.families, until: lookupDeadline)
      reached.flight.add(try hop.request(.connect, endpoint), to: hop, due: .passage(to: next))
      // TLS begins with nothing else under way.
      if !pace.contains(hop.index) || next.upstream.tls != nil { try await settle(&reached, until: deadline) }
      reached.hop = next
      try await secure(&reached, until: deadline)
      try await greet(&reached, at: pace, until: deadline)
    }
    return reached
  }

  private func enter(_ chain: Chain, until deadline: Deadline) async throws(Failure) -> ReachedHop {
    let first = Hop(upstream: chain.hops[0], index: 0, count: chain.hops.count)
    let start = Deadline.now
    do throws(Failure) {
      let stream = try await connect(
        to: first.upstream.endpoint, place: first.place, of: first.upstream,
        until: min(deadline, start + first.upstream.timeout), refusing: { _ in nil })
      return ReachedHop(first, of: chain, over: stream)
    } catch {
      var failure = error
      failure.noteEnd(
        of: deadline, since: start, outOf: first.upstream.timeout, afterStall: loop.hasStalled(since: start))
      throw failure
    }
  }

  private func secure(_ reached: inout ReachedHop, until deadline: Deadline) async throws(Failure) {
    let hop = reached.hop
    guard let context = hop.upstream.tls else { return }
    let start = Deadline.now
    do throws(Failure) {
      try await hop.secure(
        &reached.stream, with: context, input: reached.input,
        until: min(deadline, start + hop.upstream.timeout)
      )
    } catch {
      var failure = error
      failure.noteEnd(
        of: deadline, since: start, outOf: hop.upstream.timeout, afterStall: loop.hasStalled(since: start))
      throw failure
    }
    tell(hop.place, of: hop.upstream, .tls, since: start, tlsVersion: reached.stream.sessionVersion)
  }

  private func greet(
    _ reached: inout ReachedHop, at pace: Pace, until deadline: Deadline
  ) async throws(Failure) {
    let hop = reached.hop
    guard hop.isGreeted else {
      // Of the last hop no more is heard before its reply, which can take as long as the destination.
      if hop.isLast, reached.flight.due.isEmpty { journey?.noteAdmission(ofHop: hop.index) }
      return
    }
    guard !pace.contains(hop.index) else {
      // Whoever does not wait for the choice leaves none.
      let method: SOCKS5.Method = hop.claim == nil ? .noAuthentication : .usernamePassword
      reached.flight.add(
        SOCKS5.Greeting(methods: [method]).bytes, to: hop, due: .method(among: [method]))
      if let claim = hop.claim { reached.flight.add(claim, to: hop, due: .admission) }
      return
    }
    reached.flight.add(
      SOCKS5.Greeting(methods: hop.methods).bytes, to: hop, due: .method(among: hop.methods))
    try await settle(&reached, until: deadline)
    guard reached.method == .usernamePassword, let claim = hop.claim else { return }
    reached.flight.add(claim, to: hop, due: .admission)
    try await settle(&reached, until: deadline)
  }

  // MARK: Flights

  /// Sends what is to be sent, and hears the answers: the reply to what was asked last, if that was no matter between
  /// hops.
  @discardableResult
  private func settle(
    _ reached: inout ReachedHop, until deadline: Deadline
  ) async throws(Failure) -> Hop.Reply? {
    let flight = reached.flight
    reached.flight = Flight()
    guard let first = flight.due.first else { return nil }
    let start = reached.phaseStart ?? .now
    reached.phaseStart = start
    let isPipelined = flight.due.count > 1
    do throws(Errno) {
      try await reached.stream.write(
        flight.bytes, until: min(deadline, first.timeout.map { .after($0) } ?? .never))
    } catch {
      var failure = Failure(first.hop.place, first.phase, Failure.Cause(error, on: reached.stream))
      if let timeout = first.timeout {
        failure.noteEnd(of: deadline, since: start, outOf: timeout, afterStall: loop.hasStalled(since: start))
      }
      if isPipelined, flight.hasRequest { failure.noteRequestUnderway() }
      throw failure
    }
    var reply: Hop.Reply?
    var timeout: Duration?
    do throws(Failure) {
      for due in flight.due {
        timeout = due.timeout
        reply = try await hear(due, &reached, isPipelined: isPipelined, until: deadline)
      }
    } catch {
      var failure = error
      if let timeout {
        failure.noteEnd(
          of: deadline, since: reached.phaseStart ?? start, outOf: timeout,
          afterStall: loop.hasStalled(since: reached.phaseStart ?? start))
      }
      if isPipelined, flight.hasRequest { failure.noteRequestUnderway() }
      throw failure
    }
    return reply
  }

  private func hear(
    _ due: Flight.Due, _ reached: inout ReachedHop, isPipelined: Bool, until deadline: Deadline
  ) async throws(Failure) -> Hop.Reply? {
    let hop = due.hop
    let start = reached.phaseStart ?? .now
    reached.phaseStart = start
    let deadline = min(deadline, due.timeout.map { start + $0 } ?? .never)
    var reply: Hop.Reply?
    switch due.answer {
    case .method(let offered):
      let method = try await hop.method(
        among: offered, over: reached.stream, input: &reached.input, until: deadline)
      reached.method = method
      // Its phase lasts until it has seen the claim.
      if method == .usernamePassword { return nil }
      tell(
        hop.place, of: hop.upstream, hop.upstream.credentials == nil ? .greet : .authenticate, since: start,
        isPipelined: isPipelined)
      journey?.noteAdmission(ofHop: hop.index)
    case .admission:
      try await hop.admission(over: reached.stream, input: &reached.input, until: deadline)
      tell(hop.place, of: hop.upstream, .authenticate, since: start, isPipelined: isPipelined)
      journey?.noteAdmission(ofHop: hop.index)
    case .passage(let next):
      try await hear(hop, openingTheWayTo: next, &reached, until: deadline)
      tell(next.place, of: next.upstream, .connect, since: start, isPipelined: isPipelined)
      if !hop.isGreeted { journey?.noteAdmission(ofHop: hop.index) }
      if !next.isGreeted, next.isLast, next.upstream.tls == nil { journey?.noteAdmission(ofHop: next.index) }
    case .reply(let phase, let limit):
      // Only a trial has a limit, and is not the reason for another.
      let answer = try await hear(
        hop, replyingIn: phase, &reached, since: start, isPipelined: isPipelined && limit == nil,
        until: deadline)
      if let refusal = answer.refusal { throw Failure(hop.place, phase, refusal) }
      tell(hop.place, of: hop.upstream, phase, since: start, isPipelined: isPipelined)
      reply = answer
    }
    if reply == nil { reached.since = .now }
    reached.phaseStart = nil
    return reply
  }

  /// Hears the reply to what the last hop was asked for, which may take all the time that the dial has: the destination
  /// can be slow. After the hop's own `timeout` without one, other reasons are looked for, and the member is checked.
  ///
  /// - Parameter deadline: the end of the way's share. The hop has the time of the other ways too, unless it goes down
  ///   meanwhile. SOCKS4 and HTTP hops have admitted us when they are connected to.
  private func hear(
    _ hop: Hop, replyingIn phase: Failure.Phase, _ reached: inout ReachedHop, since start: Deadline,
    isPipelined: Bool, until deadline: Deadline
  ) async throws(Failure) -> Hop.Reply {
    let doubtTime = start + hop.upstream.timeout
    var mayDoubt = true
    var patience = deadline
    while true {
      let end = mayDoubt ? min(patience, doubtTime) : patience
      do throws(Failure) {
        return try await hop.reply(over: reached.stream, input: &reached.input, phase: phase, until: end)
      } catch {
        let now = Deadline.now
        guard error.cause == .system(.timedOut), now >= end else { throw error }
        if mayDoubt, now >= doubtTime {
          mayDoubt = false
          // Not even the first hop's kernel has received the request: a tunnel at rest was cut without a word.
          if reached.isWarm, reached.stream.isUnacknowledged { throw error }
          // Of a hop that is not greeted this is the first answer: the one before may have lost what is for it.
          if isPipelined { doubt(hop.isGreeted ? hop.index : hop.index - 1, of: reached.chain) }
          journey?.noteSilence()
        }
        if now >= patience {
          // Datagrams have no destination yet that could be slow.
          guard phase != .associate, let more = journey?.morePatience(at: now) else { throw error }
          patience = more
        }
      }
    }
  }

  /// When a hop says that it cannot, or nothing, it is the next one that is not reached. `Failure.blame` says whether that is
  /// its own failure.
  private func hear(
    _ hop: Hop, openingTheWayTo next: Hop, _ reached: inout ReachedHop, until deadline: Deadline
  ) async throws(Failure) {
    let reply: Hop.Reply
    do {
      reply = try await hop.reply(over: reached.stream, input: &reached.input, until: deadline)
    } catch  where error.cause == .system(.timedOut) {
      throw Failure(next.place, .connect, error.cause)
    }
    if let refusal = reply.refusal { throw Failure(next.place, .connect, refusal) }
  }
}
