import Transport
import Wire

extension Failure {
  /// Whose a failure to dial is, and so whether another way may do better.
  enum Blame {
    /// The hop's: it is down.
    case hop
    /// A hop's that took the request and let nothing be heard, or its destination's.
    case silence
    /// Nobody's that is known, or it concerns this request only: another way may do better.
    case nobody
    /// The destination's own, the client's, or ours: another way would fail alike.
    case destination
  }

  /// What one dial tells of one hop.
  enum Finding {
    /// It did its part.
    case passed
    /// Nothing.
    case nothing
    /// It did not do its part.
    case failed
    /// It took a request, and nothing came of that.
    case silent

    /// - Parameters:
    ///   - failure: what became of the dial; `nil` when all hops were passed.
    ///   - blame: whose that is.
    ///   - index: the hop's.
    init(of failure: Failure?, as blame: Blame, at index: Int) {
      guard let failure, let failed = failure.place.hopIndex, index >= failed else {
        self = .passed
        return
      }
      guard index == failed else {
        self = .nothing
        return
      }
      self =
        switch blame {
        // It answered; or it was not its turn to do anything.
        case .destination: failure.phase == .request ? .passed : .nothing
        case .nobody: .nothing
        case .hop: .failed
        case .silence: .silent
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

  var blame: Blame {
    guard case .hop(let index, let count, _) = place else { return .destination }
    if isOurs || cause == .system(.cancelled) || cause == .resolution(.cancelled) { return .destination }
    switch (phase, cause) {
    case (_, .beyondSOCKS4), (_, .beyondHTTP):
      return .nobody
    // That it carries no datagrams does not mean that it is down.
    case (.associate, _):
      return .nobody
    case (.request, .system(.timedOut)) where index == count - 1:
      return .silence
    case (.request, .reply(let code)) where index == count - 1:
      return Self.blame(for: code)
    // 5B is the only word of SOCKS4 for a destination that refuses.
    case (.request, .socks4Reply(.rejected)) where index == count - 1:
      return .destination
    case (.request, .status(let status)) where index == count - 1:
      return Self.blame(for: status)
    default:
      return .hop
    }
  }

  /// What a last hop's answer to a request means.
  private static func blame(for code: SOCKS5.ReplyCode) -> Blame {
    switch code {
    case .notAllowed, .networkUnreachable, .hostUnreachable, .connectionRefused, .ttlExpired: .destination
    // General failure, and what it cannot do: no word on the destination.
    default: .nobody
    }
  }

  /// The same of one that speaks HTTP.
  private static func blame(for status: HTTP.Status) -> Blame {
    switch status {
    case .forbidden, .notFound, .badGateway, .gatewayTimeout: .destination
    default: .nobody
    }
  }
}

extension Failure.Place {
  /// From 0; `nil` for what is no hop.
  var hopIndex: Int? {
    if case .hop(let index, _, _) = self { index } else { nil }
  }
}
