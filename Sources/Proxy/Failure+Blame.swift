import Routing
import Transport
import Wire

extension Failure {
  /// Whose a failure to dial is, and so whether another way may do better.
  enum Blame {
    /// The hop is down: it could not be connected to, or did not admit us. No client has a part in that.
    case hop
    /// The hop took the request and did not answer it. It may be down; or the destination, which the client chose, made
    /// it fall silent or hang up. Or the hop may be full. Another way is tried, and others still take the hop.
    case suspect
    /// The hop is up and refused, without a word about the destination. Another way is tried.
    case refusal
    /// The hop is up, and told what the destination did. Another way would fail alike.
    case destination
    /// It is this program that ran short of something, or gave up. Another way would fail alike.
    case ours
  }

  /// What one dial tells of one hop.
  enum Finding: Equatable {
    /// It has shown what it can do.
    case shown(Standing.Proof)
    /// Nothing.
    case nothing
    /// It is down.
    case failed
    /// It may be down. It has admitted us, unless it was told everything at once.
    case doubtful(hasAdmitted: Bool)

    /// - Parameters:
    ///   - failure: what ended the dial.
    ///   - blame: whose that is. Of a hop that did not open the way to the next one, `hop` means the next one.
    ///   - index: the hop's.
    init(of failure: Failure, as blame: Blame, at index: Int) {
      if failure.isForeseen {
        self = .nothing
        return
      }
      if let next = failure.unopened, index == next - 1 {
        // The hop that did not open the way has admitted us.
        self = .shown(failure.isAnswer ? .answer : .admission)
        return
      }
      guard let failed = failure.culprit, index >= failed else {
        self = .shown(.answer)
        return
      }
      guard index == failed else {
        self = .nothing
        return
      }
      let hasAdmitted = failure.phase.isAfterAdmission && !failure.isUnopened
      self =
        switch blame {
        case .destination, .refusal: hasAdmitted ? .shown(.answer) : .nothing
        case .ours: .nothing
        case .hop: .failed
        case .suspect: .doubtful(hasAdmitted: hasAdmitted)
        }
    }
  }

  /// The hop was not even asked, since its protocol, or the table, rules that out.
  var isForeseen: Bool {
    switch cause {
    case .beyondSOCKS4, .beyondHTTP, .withoutUDP, .noWay: true
    default: false
    }
  }

  /// Whose it is, as far as the failure itself tells.
  var blame: Blame {
    guard case .hop(let index, let count, _) = place else { return .destination }
    if isOurs || cause == .system(.cancelled) || cause == .resolution(.cancelled) { return .ours }
    // With its own `timeout`, the hop may have answered.
    if isCutShort || mayBeFull { return .suspect }
    switch phase {
    case .resolve:
      // That a name server does not answer says nothing of the hop.
      guard case .resolution(let reason) = cause, reason != .notFound, reason != .noData else { return .hop }
      return .suspect
    case .connect where index > 0:
      return meaning == .unreached && !hasRequestUnderway ? .hop : .suspect
    case .connect, .tls, .greet, .authenticate:
      // The client's request had left already, and may be the reason.
      return hasRequestUnderway ? .suspect : .hop
    case .associate, .accept, .relay:
      return isAnswer ? .refusal : .suspect
    case .request:
      guard index == count - 1 else { return isAnswer ? .refusal : .suspect }
      return switch meaning {
      case .unreached, .forbidden: .destination
      case .refusal: .refusal
      case .none: .suspect
      }
    }
  }

  /// The index of a hop to which the hop before it did not open the way, where either of the two may be at fault.
  ///
  /// Some proxies close, or refuse without a reason, when they cannot reach the next hop. Others do so when they have no
  /// session left, which one client can bring about.
  var unopened: Int? {
    guard case .hop(let index, let count, _) = place, blame == .suspect else { return nil }
    switch phase {
    case .connect where index > 0: return index
    case .request where index < count - 1: return index + 1
    default: return nil
    }
  }

  /// Whether either of two hops may be at fault, as for `unopened`.
  var isUnopened: Bool { unopened != nil }

  /// The index of the hop that may be at fault: of two, the one that was not reached.
  var culprit: Int? { unopened ?? place.hopIndex }

  /// The hop was connected to, and did not admit us, without a word on the reason.
  var isAdmissionDenied: Bool {
    switch phase {
    case .tls, .greet, .authenticate: break
    // A connection that was never made is refused, not reset.
    case .connect: return cause == .system(.connectionReset)
    case .resolve, .request, .associate, .accept, .relay: return false
    }
    return switch cause {
    case .closed, .system(.connectionReset), .system(.brokenPipe), .system(.timedOut): true
    default: false
    }
  }

  /// Another way would fail alike.
  var isFinal: Bool { blame == .destination || blame == .ours }

  /// Whose it is when a chain fails so, of which this is the table's form or an identity's.
  ///
  /// A refused login at a hop with identities concerns one identity: a quota that one client has used up.
  func blame(in chain: Chain) -> Blame {
    guard let index = place.hopIndex, chain.hops.indices.contains(index) else { return blame }
    return blame == .hop && phase == .authenticate && chain.hops[index].isIsolated ? .suspect : blame
  }

  /// Whose it is when a group's check fails so.
  ///
  /// The table chose the check's destination, so a member that does not reach it has failed. A hop before the group is
  /// judged as for a client, and a name server's failure counts against no hop.
  ///
  /// - Parameter count: the number of hops before the group.
  func blame(inCheckOf chain: Chain, behind count: Int) -> Blame {
    guard blame != .ours, !isOfNameServer, culprit ?? 0 >= count else { return blame(in: chain) }
    return .hop
  }

  /// A name server did not say what the address of a hop is. That says nothing of the hop.
  var isOfNameServer: Bool { phase == .resolve && blame == .suspect }

  /// What a hop's end of a request says of what it was asked for.
  private enum Meaning {
    case unreached
    case forbidden
    case refusal
    case none
  }

  /// The table for connections of clients, checks, trials and warm tunnels alike.
  ///
  /// | answer | of the last hop, asked for the destination | of another hop, asked for the next one |
  /// |---|---|---|
  /// | SOCKS5 03 to 06, HTTP 404: not reached | the destination's: the client is told, and no other member is asked | the next hop is down |
  /// | SOCKS5 02, HTTP 403: not allowed | the same | either may be at fault: a trial tells |
  /// | SOCKS5 01, 07, 08 and others, SOCKS4 5B, HTTP 502, 503, 504 and others: no reason | a refusal: the next member is asked, and the hop stays up | the same |
  /// | SOCKS4 5C and 5D, HTTP 401 and 407: the login is refused | the hop becomes suspect: perhaps for this destination only | SOCKS4: the same; HTTP: the hop that says so is down |
  /// | none: closed, reset, silent, malformed | the hop becomes suspect | the same |
  ///
  /// For a check of a member all of these are failures, since the table itself chose the destination.
  private var meaning: Meaning {
    switch cause {
    case .reply(let code):
      switch code {
      case .networkUnreachable, .hostUnreachable, .connectionRefused, .ttlExpired: .unreached
      case .notAllowed: .forbidden
      default: .refusal
      }
    case .status(let status):
      switch status {
      // Privoxy's word for a name without an address.
      case .notFound: .unreached
      case .forbidden: .forbidden
      // Providers' gateways say 502, 503 or 504 when an exit is gone, and when the destination does not answer.
      default: .refusal
      }
    // 5B is SOCKS4's one word for both, too.
    case .socks4Reply(let code): code == .identUnreachable || code == .identMismatch ? .none : .refusal
    case .beyondSOCKS4, .beyondHTTP, .withoutUDP, .noWay: .refusal
    default: .none
    }
  }

  /// Notes that the client's request had left in the same flight as what has failed, so that the request may be the reason.
  ///
  /// A hop that says clearly that the next one is not reached, or that it refuses a login, has not come to the request:
  /// no destination can make it say so.
  mutating func noteRequestUnderway() {
    switch (phase, cause) {
    case (.connect, .reply), (.connect, .socks4Reply), (.connect, .status), (.authenticate, .credentials):
      break
    default: hasRequestUnderway = true
    }
  }

  /// Notes if the dial's time was over before the hop's own, or if the hop had less than the clock says.
  ///
  /// - Parameters:
  ///   - deadline: the end of the dial.
  ///   - start: since when the hop has had time.
  ///   - timeout: the hop's own. A hop that had nine tenths of it had its time: equal shares of the dial's time may come
  ///     to the hop's `timeout`, and differ by rounding.
  ///   - afterStall: whether this program did not run for a while since then.
  mutating func noteEnd(
    of deadline: Deadline, since start: Deadline, outOf timeout: Duration, afterStall: Bool
  ) {
    guard cause == .system(.timedOut) else { return }
    let hadLess = deadline <= .now && deadline.since(start) < timeout * 9 / 10
    isCutShort = hadLess || afterStall
  }

  /// Words of the hop, whatever they are, and what it was not asked because of its protocol.
  var isAnswer: Bool {
    switch cause {
    case .reply, .socks4Reply, .status: true
    default: isForeseen
    }
  }

  /// How much it tells a client of what was asked for, of several failures on different ways: more is truer.
  ///
  /// First what is said of the destination, then what a hop cannot do for this request, then that no answer came, then
  /// refusals without a reason, and last that a way leads nowhere.
  var truth: Int {
    if isFinal { return 5 }
    guard case .hop(let index, let count, _) = place, phase.isAfterAdmission,
      index == count - 1 || phase == .associate
    else { return 0 }
    return switch SOCKS5.ReplyCode(self) {
    case .generalFailure: 1
    case .ttlExpired where cause == .system(.timedOut): 2
    case .commandNotSupported, .addressTypeNotSupported: 3
    default: 4
    }
  }
}

extension Failure.Phase {
  /// Whether a hop that fails in it has been connected to and has admitted us.
  var isAfterAdmission: Bool {
    switch self {
    case .request, .associate, .accept, .relay: true
    case .resolve, .connect, .tls, .greet, .authenticate: false
    }
  }
}

extension Failure.Place {
  /// From 0; `nil` for what is no hop.
  var hopIndex: Int? {
    if case .hop(let index, _, _) = self { index } else { nil }
  }
}
