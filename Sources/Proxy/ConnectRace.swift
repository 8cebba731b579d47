import Addresses
import DNS
import Transport

/// Connects to whichever address of a name answers first: Happy Eyeballs, RFC 8305.
///
/// Attempts start one after another, IPv6 first and the families in turn, each a little after the one before it or as
/// soon as that has failed; the first to connect wins, and the others are closed.
struct ConnectRace {
  /// RFC 8305 §5, "Connection Attempt Delay".
  private static let attemptDelay = Duration.milliseconds(250)
  /// RFC 8305 §3, "Resolution Delay": how long an IPv4 address waits for IPv6 ones.
  private static let resolutionDelay = Duration.milliseconds(50)
  /// How many attempts may be under way at once.
  private static let attemptLimit = 6
  /// How long an attempt is left alone when another address waits for its place: longer than the kernel takes to send a
  /// lost SYN again.
  private static let attemptLifetime = Duration.seconds(2)

  private final class Attempt {
    let address: SocketAddress
    let start = Deadline.now
    var stream: TCPStream?
    /// `nil` for one attempt of a dial.
    let seat: Shares.Seat?

    init(to address: SocketAddress, in seat: Shares.Seat?, on loop: EventLoop) throws(Errno) {
      self.address = address
      self.seat = seat
      stream = try TCPStream.beginConnecting(to: address, on: loop)
    }

    var interest: Interest? { stream?.interest(in: .writable) }

    /// The stream, once it is connected.
    func take() throws(Errno) -> TCPStream? {
      guard try stream?.isConnected(to: address) == true else { return nil }
      return stream.take()
    }
  }

  private let port: UInt16
  private let loop: EventLoop
  /// Why an address may not be dialled; `nil` if it may.
  private let refusal: (IPAddress) -> Failure.Cause?
  private var lookup: Lookup?
  private var lookupDeadline = Deadline.never
  private var awaited: Set<Family> = []
  private var candidates: [Family: [IPAddress]] = [:]
  private var resolvedAt: Deadline?
  private var lastFamily = Family.v4
  private var attempts: [Attempt] = []
  private var verdict: ConnectFailure?
  /// Room for one more attempt beside the first; returns `nil` when the client's sockets are too many. Without it the
  /// attempts have no other limit than `attemptLimit`.
  var makeSeat: (() -> Shares.Seat?)?
  /// For the next attempt.
  private var seat: Shares.Seat?

  init(port: UInt16, on loop: EventLoop, refusing refusal: @escaping (IPAddress) -> Failure.Cause?) {
    self.port = port
    self.loop = loop
    self.refusal = refusal
  }

  /// Races among addresses that are known.
  mutating func add(_ addresses: [IPAddress]) {
    for address in addresses {
      if let cause = refusal(address) {
        note(.connect, cause)
      } else {
        candidates[address.family, default: []].append(address)
      }
    }
  }

  /// Races among the addresses that a name server tells, as they come.
  mutating func add(_ lookup: Lookup, until deadline: Deadline) {
    self.lookup = lookup
    lookupDeadline = deadline
    awaited = Set(Family.allCases)
  }

  /// The first connection, or why there is none.
  mutating func run(until deadline: Deadline) async throws(ConnectFailure) -> TCPStream {
    var mayStartAt = Deadline.now
    while true {
      collectAnswers()
      if let stream = collectAttempts(&mayStartAt) { return stream }

      let now = Deadline.now
      if now >= mayStartAt, now >= fullUntil() ?? now, let address = nextCandidate(at: now) {
        if !hasRoom() { giveUpOldest() }
        start(address)
        mayStartAt = attempts.isEmpty ? now : now + Self.attemptDelay
        continue
      }
      if now >= lookupDeadline { endLookup() }
      if attempts.isEmpty, awaited.isEmpty, candidates.isEmpty { throw failure }
      if now >= deadline { throw ConnectFailure(phase: .connect, cause: .system(.timedOut)) }

      let wakeup = await loop.wait(
        for: attempts.compactMap(\.interest), until: min(deadline, nextTurn(mayStartAt))
      ) { lookup?.wake($0) }
      if wakeup == .cancelled { throw ConnectFailure(phase: .connect, cause: .system(.cancelled)) }
    }
  }

  /// When, if nothing happens before, there is something to do.
  private mutating func nextTurn(_ mayStartAt: Deadline) -> Deadline {
    var turn = awaited.isEmpty ? Deadline.never : lookupDeadline
    guard !candidates.isEmpty else { return turn }
    turn = min(turn, max(mayStartAt, fullUntil() ?? mayStartAt))
    guard turn <= .now, let resolvedAt else { return turn }
    return resolvedAt + Self.resolutionDelay
  }

  // MARK: Answers

  private mutating func collectAnswers() {
    guard let lookup else { return }
    for family in awaited {
      switch lookup[family] {
      case .success(let addresses):
        awaited.remove(family)
        add(addresses)
        if resolvedAt == nil { resolvedAt = .now }
      case .failure:
        awaited.remove(family)
      case nil:
        break
      }
    }
    if awaited.isEmpty {
      if let failure = lookup.failure { note(.resolve, .resolution(failure), by: lookup.server) }
      self.lookup = nil
    }
  }

  /// The name server took too long: what it has not told by now is not waited for.
  private mutating func endLookup() {
    if !awaited.isEmpty { note(.resolve, .resolution(.timedOut), by: lookup?.server) }
    awaited = []
    lookup = nil
    lookupDeadline = .never
  }

  private mutating func nextCandidate(at now: Deadline) -> IPAddress? {
    let preferred: Family = lastFamily == .v4 ? .v6 : .v4
    // An IPv4 address that came first gives IPv6 a moment.
    if attempts.isEmpty, candidates[.v6] == nil, awaited.contains(.v6), let resolvedAt,
      now < resolvedAt + Self.resolutionDelay
    {
      return nil
    }
    for family in [preferred, lastFamily] {
      guard let address = candidates[family]?.removeFirst() else { continue }
      if candidates[family]?.isEmpty == true { candidates[family] = nil }
      lastFamily = family
      return address
    }
    return nil
  }

  // MARK: Attempts

  /// When the next attempt may take the place of the oldest; `nil` when there is one for it.
  private mutating func fullUntil() -> Deadline? {
    guard !candidates.isEmpty, let oldest = attempts.first, !hasRoom() else { return nil }
    return oldest.start + Self.attemptLifetime
  }

  private mutating func hasRoom() -> Bool {
    guard !attempts.isEmpty, attempts.count < Self.attemptLimit else { return attempts.isEmpty }
    guard seat == nil, let makeSeat else { return true }
    seat = makeSeat()
    return seat != nil
  }

  private mutating func giveUpOldest() {
    // The next attempt takes its place, and its seat.
    seat = attempts.removeFirst().seat
    note(.connect, .system(.timedOut))
  }

  private mutating func start(_ address: IPAddress) {
    let seat = attempts.isEmpty ? nil : seat.take()
    do {
      attempts.append(try Attempt(to: SocketAddress(address, port: port), in: seat, on: loop))
    } catch {
      note(.connect, .system(error))
    }
  }

  private mutating func collectAttempts(_ mayStartAt: inout Deadline) -> TCPStream? {
    for (index, attempt) in attempts.enumerated().reversed() {
      do {
        if let stream = try attempt.take() { return stream }
      } catch {
        attempts.remove(at: index)
        mayStartAt = .now
        note(.connect, .system(error))
      }
    }
    return nil
  }

  // MARK: Failing

  /// Keeps the cause that says most: a shortage of ours, since then not all was tried; an address that could not even be
  /// tried says least.
  private mutating func note(_ phase: Failure.Phase, _ cause: Failure.Cause, by server: SocketAddress? = nil)
  {
    let untried: [Failure.Cause] = [
      .system(.networkUnreachable), .system(.addressFamilyNotSupported), .notDialable,
    ]
    if let verdict, !untried.contains(verdict.cause), verdict.cause.isOurs || !cause.isOurs { return }
    verdict = ConnectFailure(phase: phase, cause: cause, server: server)
  }

  private var failure: ConnectFailure {
    verdict ?? ConnectFailure(phase: .resolve, cause: .resolution(.noData))
  }
}

/// Why no connection was made.
struct ConnectFailure: Error {
  var phase: Failure.Phase
  var cause: Failure.Cause
  /// The name server that was asked last, if one was.
  var server: SocketAddress?
}
