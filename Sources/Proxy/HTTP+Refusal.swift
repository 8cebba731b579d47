import Transport
import Wire

extension HTTP.Refusal {
  /// For those who take this for a proxy that fetches pages.
  static let onlyTunnels = HTTP.Refusal(
    .notImplemented,
    """
    This proxy opens tunnels with CONNECT, and fetches no pages itself.\r
    Browsers use it so for every https:// address. Other programs do when told to tunnel, as in\r
    curl --proxytunnel (-p); or let them use this same address as a SOCKS5 proxy.
    """)

  static let noDestination = HTTP.Refusal(
    .badRequest, "The request names no destination as host:port, or [address]:port for IPv6.")

  init(_ violation: HTTP.Violation) {
    switch violation {
    case .tooLong: self.init(.headerFieldsTooLarge, "The request is longer than any that is served.")
    case .notHTTP, .malformed: self.init(.badRequest, "The request is malformed.")
    }
  }

  /// What a client is told of a request that was heard and came to nothing.
  init(_ ending: Event.Ending) {
    switch ending {
    case .failed(let failure): self.init(failure)
    case .rejected, .refused(.notAllowed): self = .notAllowed
    case .refused: self = .noDestination
    case .unsupported: self.init(.notImplemented, "This proxy does not serve such requests.")
    case .overLimit, .stopped: self = .noRoom
    // There is no answer to these.
    case .finished, .reset, .idle, .dropped, .unauthenticated, .noRequest, .left:
      self.init(.badGateway, "The destination was not reached.")
    }
  }

  private init(_ failure: Failure) {
    let status = HTTP.Status(failure)
    switch status {
    case .forbidden: self = .notAllowed
    case .serviceUnavailable: self = .noRoom
    default:
      let way = if case .hop = failure.place { " through the proxies on the way" } else { "" }
      self.init(status, "The destination was not reached\(way): \(failure.cause).")
    }
  }

  private static let notAllowed = HTTP.Refusal(
    .forbidden, "The rules of this proxy do not allow this destination.")
  private static let noRoom = HTTP.Refusal(
    .serviceUnavailable, "This proxy has no room for another connection at the moment.")
}

extension HTTP.Status {
  /// A gateway has five words for all that can go wrong (RFC 9110 §15.6); this picks the truest.
  package init(_ failure: Failure) {
    switch (failure.place, failure.cause) {
    case (_, .system(.timedOut)), (_, .resolution(.timedOut)), (_, .reply(.ttlExpired)),
      (_, .status(.gatewayTimeout)):
      self = .gatewayTimeout
    case (.destination, .rejected), (.destination, .ownListener), (.destination, .notDialable):
      self = .forbidden
    // The last hop speaks for the destination.
    case (.hop(let index, let count, _), .reply(.notAllowed)),
      (.hop(let index, let count, _), .status(.forbidden)):
      self = failure.phase == .request && index == count - 1 ? .forbidden : .badGateway
    case (_, let cause)
    where cause.isOurs || cause == .resolution(.cancelled) || cause == .system(.cancelled):
      self = .serviceUnavailable
    default:
      self = .badGateway
    }
  }
}
