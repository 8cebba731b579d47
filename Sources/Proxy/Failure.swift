import Addresses
import DNS
import Transport
import Wire

/// Why a connection was not made, or did not last: where, in which phase, what, and after how long.
///
/// The same value feeds the reply, the log and `trace`. No secret ever enters it.
package struct Failure: Error, Hashable, Sendable {
  package enum Place: Hashable, Sendable {
    case client
    /// The hop of that index, from 0, in a chain of `count`.
    case hop(Int, of: Int, name: String)
    case destination
  }

  package enum Phase: String, Hashable, Sendable {
    case resolve
    case connect
    case greet
    case authenticate
    case request
    /// A hop was asked to relay datagrams.
    case associate
    case relay
  }

  package enum Cause: Hashable, Sendable {
    case system(Errno)
    case resolution(ResolutionFailure)
    /// A hop's REP: its own in the request phase, or in the connect phase what the hop before it said of it.
    case reply(SOCKS5.ReplyCode)
    /// The peer closed where a message was due.
    case closed
    /// The peer sent what the protocol does not allow.
    case violation(SOCKS5.Violation)
    /// The hop chose a method that was not offered, or accepts none.
    case method(SOCKS5.Method)
    /// The hop refused our user name and password.
    case credentials
    /// The address belongs to one of this program's own listeners.
    case ownListener
    /// The name resolved to an address that is nobody's: unspecified, broadcast or multicast.
    case notDialable
    /// A route rejects the address that the name resolved to.
    case rejected(route: String)
    /// Datagrams were sent, and nothing came back: they were lost, or dropped without a word, at any place of the way.
    case unanswered
    /// Datagrams came back, but not from where others were sent to.
    case strays
  }

  package var place: Place
  package var phase: Phase
  package var cause: Cause
  package var elapsed: Duration

  package init(_ place: Place, _ phase: Phase, _ cause: Cause, elapsed: Duration = .zero) {
    self.place = place
    self.phase = phase
    self.cause = cause
    self.elapsed = elapsed
  }
}

// MARK: - What the client is told

extension SOCKS5.ReplyCode {
  /// RFC 1928 §6 has nine words for all that can go wrong; this picks the truest.
  package init(_ failure: Failure) {
    switch (failure.place, failure.phase, failure.cause) {
    // Any hop may be the one that carries no datagrams; some close where they should say so.
    case (.hop, .associate, .reply(.commandNotSupported)), (.hop, .associate, .closed):
      self = .commandNotSupported
    case (.hop, .associate, .reply(.notAllowed)):
      self = .notAllowed
    case (.hop, .associate, .system(.timedOut)):
      self = .ttlExpired
    // The last hop speaks for the destination. What it says is passed on, if the client can know it.
    case (.hop(let index, let count, _), .request, .reply(let code))
    where index == count - 1 && code.rawValue <= 8:
      self = code
    case (.hop(let index, let count, _), .request, .system(.timedOut)) where index == count - 1:
      self = .ttlExpired
    case (.hop, _, _), (.client, _, _):
      self = .generalFailure
    case (.destination, _, .rejected), (.destination, _, .ownListener), (.destination, _, .notDialable):
      self = .notAllowed
    case (.destination, _, .resolution(.overloaded)), (.destination, _, .resolution(.cancelled)):
      self = .generalFailure
    case (.destination, _, .resolution):
      self = .hostUnreachable
    case (.destination, _, .system(let error)):
      self.init(error)
    case (.destination, _, _):
      self = .generalFailure
    }
  }

  private init(_ error: Errno) {
    self =
      switch error {
      case .connectionRefused, .connectionReset: .connectionRefused
      case .networkUnreachable, .networkDown: .networkUnreachable
      case .hostUnreachable, .hostDown: .hostUnreachable
      case .timedOut: .ttlExpired
      case .addressFamilyNotSupported, .addressNotAvailable: .addressTypeNotSupported
      default: .generalFailure
      }
  }
}

extension Failure {
  /// A hop was reached, and said that it carries no UDP.
  package var isLackOfUDP: Bool { phase == .associate && SOCKS5.ReplyCode(self) == .commandNotSupported }
}

// MARK: - Text

extension Failure.Place: CustomStringConvertible {
  package var description: String {
    switch self {
    case .client: "client"
    case .hop(let index, let count, let name): "hop=\(index + 1)/\(count) \(name)"
    case .destination: "destination"
    }
  }
}

extension Failure.Cause: CustomStringConvertible {
  package var description: String {
    switch self {
    case .system(let error): error.description
    case .resolution(let failure): failure.description
    case .reply(let code): "reply \(code)"
    case .closed: "closed by the peer"
    case .violation(.version(let version)): "not SOCKS: version \(version)"
    case .violation(.addressType(let type)): "unknown address type \(type)"
    case .violation(.name(.malformed)): "malformed name"
    case .violation(.name(.tooLong)): "name too long"
    case .method(.noneAcceptable): "no acceptable authentication method"
    case .method(let method): "method not offered: \(method)"
    case .credentials: "user name or password refused"
    case .ownListener: "one of our own listeners"
    case .notDialable: "the address of no host"
    case .rejected(let route): "rejected by route '\(route)'"
    case .unanswered: "no datagram came back"
    case .strays: "the datagrams that came back are not the destination's, or have headers of other relays"
    }
  }
}

extension Failure: CustomStringConvertible {
  /// As the log writes it: `hop=2/2 tor phase=request reply=05 (connection refused)`.
  package var description: String {
    if case .reply(let code) = cause { return "\(place) phase=\(phase.rawValue) reply=\(code)" }
    return "\(place) phase=\(phase.rawValue) error=(\(cause))"
  }
}
