import Addresses
import DNS
import Routing
import Settings
import TLS
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

  package enum Phase: String, Hashable, Sendable, CaseIterable {
    case resolve
    case connect
    /// A hop was to agree on TLS.
    case tls
    case greet
    case authenticate
    case request
    /// A hop was asked to relay datagrams.
    case associate
    /// A peer was to connect to us.
    case accept
    case relay
  }

  package enum Cause: Hashable, Sendable {
    case system(Errno)
    case resolution(ResolutionFailure)
    /// TLS could not be agreed on, or did not last.
    case tls(TLSFailure)
    /// A hop's REP: its own in the request phase, or in the connect phase what the hop before it said of it.
    case reply(SOCKS5.ReplyCode)
    /// The same of a hop that speaks SOCKS4.
    case socks4Reply(SOCKS4.ReplyCode)
    /// The hop speaks SOCKS4, which cannot say what it was to be asked.
    case beyondSOCKS4(Limit)
    /// The same of a hop that speaks HTTP: a status that is no success.
    case status(HTTP.Status)
    /// The hop speaks HTTP, which has no words but for CONNECT.
    case beyondHTTP
    /// The hop is known to carry no UDP, by the table or by what it speaks, and was not asked.
    case withoutUDP
    /// The peer sent what is no HTTP, or more of it than is read.
    case http(HTTP.Violation)
    /// The peer closed where a message was due.
    case closed
    /// The peer sent what the protocol does not allow.
    case violation(SOCKS5.Violation)
    /// A SOCKS4 client's user id has no end.
    case userIDTooLong
    /// The hop chose a method that was not offered, or accepts none.
    case method(SOCKS5.Method)
    /// The hop refused our user name and password.
    case credentials
    /// The address belongs to one of this program's own listeners.
    case ownListener
    /// The name resolved to an address that is nobody's: unspecified, broadcast or multicast.
    case notDialable
    /// Somebody else connected than the client had named.
    case wrongPeer(SocketAddress)
    /// A route rejects the address that the name resolved to, or that the peer came from.
    case rejected(route: String)
    /// Datagrams were sent, and nothing came back: they were lost, or dropped without a word, at any place of the way.
    case unanswered
    /// Datagrams came back, but not from where others were sent to.
    case strays
    /// No way is left that could be tried.
    case noWay
    /// A limit of this program has no room for it.
    case overLimit(ReachedLimit)
    /// All ports of a range in the table are taken.
    case noPort(PortRange)
  }

  /// What SOCKS4 has no words for.
  package enum Limit: Error, Hashable, Sendable {
    case command
    /// In SOCKS4 without the "a".
    case name
    case ipv6
    /// 0.0.0.1 to 0.0.0.255, which announce a name, and user ids with a NUL.
    case other
  }

  package var place: Place
  package var phase: Phase
  package var cause: Cause
  package var elapsed: Duration
  /// The client's request had left, together with what the hop did not answer (pipelining): whatever the request made
  /// the hop or the network do, it did in this phase. Of an HTTP hop that refuses a login: it was asked for the client's
  /// destination.
  var hasRequestUnderway = false
  /// The dial's time was over before the hop's own `timeout`: a destination, another hop or the table's own choice of a
  /// time for the dial has left it less. Or this program did not run meanwhile.
  var isCutShort = false
  /// The hop may have no session left: it did not admit the connection, without a word, while others are open that it has
  /// admitted. One client can hold all of them.
  var mayBeFull = false
  /// The hop carries datagrams, or did less than 10 minutes ago: that it says it carries none (07) is no more than a refusal.
  var hasCarriedUDP = false
  /// What was looked up when the phase is `resolve`.
  package var inquiry: Inquiry?

  /// A name, or an address whose name was asked for, and the name server that was asked last; `nil` when none was.
  package struct Inquiry: Hashable, Sendable {
    package let host: Host
    package let server: SocketAddress?
  }

  package init(_ place: Place, _ phase: Phase, _ cause: Cause, elapsed: Duration = .zero) {
    self.place = place
    self.phase = phase
    self.cause = cause
    self.elapsed = elapsed
  }

  /// A host that was not resolved.
  init(_ place: Place, resolving host: Host, _ cause: Cause, askedOf server: SocketAddress?) {
    self.init(place, .resolve, cause)
    inquiry = Inquiry(host: host, server: server)
  }

  init(_ place: Place, resolving host: Host, _ unresolved: Unresolved) {
    self.init(place, resolving: host, .resolution(unresolved.reason), askedOf: unresolved.server)
  }
}

// MARK: - What the client is told

extension SOCKS5.ReplyCode {
  /// RFC 1928 §6 has nine words for all that can go wrong; this picks the truest.
  package init(_ failure: Failure) {
    switch (failure.place, failure.phase, failure.cause) {
    // Any hop may be the one that carries no datagrams; some close where they should say so.
    case (.hop, .associate, .reply(.commandNotSupported)), (.hop, .associate, .closed),
      (.hop, .associate, .withoutUDP):
      self = .commandNotSupported
    case (.hop, .associate, .reply(.notAllowed)):
      self = .notAllowed
    case (.hop, .associate, .system(.timedOut)):
      self = .ttlExpired
    case (.hop, _, .beyondSOCKS4(.command)), (.hop, _, .beyondHTTP):
      self = .commandNotSupported
    // Of the destination; that of a later hop is no business of the client's.
    case (.hop(let index, let count, _), .request, .beyondSOCKS4) where index == count - 1:
      self = .addressTypeNotSupported
    // The last hop speaks for the destination. What it says is passed on, if the client can know it.
    case (.hop(let index, let count, _), .request, .reply(let code))
    where index == count - 1 && code.rawValue <= 8:
      self = code
    case (.hop(let index, let count, _), .request, .status(let status)) where index == count - 1:
      self.init(status)
    case (.hop(let index, let count, _), .request, .system(.timedOut)) where index == count - 1:
      self = .ttlExpired
    case (.hop, _, _), (.client, _, _):
      self = .generalFailure
    case (.destination, _, .rejected), (.destination, _, .ownListener), (.destination, _, .notDialable),
      (.destination, _, .wrongPeer):
      self = .notAllowed
    case (.destination, _, let cause) where cause.isOurs || cause == .resolution(.cancelled):
      self = .generalFailure
    case (.destination, _, .resolution):
      self = .hostUnreachable
    case (.destination, _, .system(let error)):
      self.init(error)
    case (.destination, _, _):
      self = .generalFailure
    }
  }

  /// A gateway that failed has most often not reached the destination; 404 is Privoxy's word for a name without an
  /// address.
  private init(_ status: HTTP.Status) {
    self =
      switch status {
      case .forbidden: .notAllowed
      case .badGateway, .serviceUnavailable, .notFound: .hostUnreachable
      case .gatewayTimeout: .ttlExpired
      default: .generalFailure
      }
  }

  private init(_ error: Errno) {
    self =
      switch error {
      case .connectionRefused, .connectionReset: .connectionRefused
      case .networkUnreachable, .networkDown: .networkUnreachable
      case .hostUnreachable, .hostDown: .hostUnreachable
      case .timedOut: .ttlExpired
      case .addressFamilyNotSupported: .addressTypeNotSupported
      default: .generalFailure
      }
  }
}

extension Failure {
  /// Why an outcome is known to carry no UDP; `nil` when it may.
  init?(lackOfUDPOf outcome: Outcome) {
    guard let hop = outcome.hopWithoutUDP else { return nil }
    // In a plan it stands at no place before one is chosen.
    let hops = if case .chain(let chain) = outcome { chain.hops } else { [hop] }
    let index = hops.firstIndex(of: hop) ?? 0
    self.init(.hop(index, of: hops.count, name: hop.name), .associate, .withoutUDP)
  }

  /// A hop is known to carry no UDP, or was reached, and said so.
  ///
  /// One that closes instead may mean the same, and a client is told so. But it may as well have died, or somebody on
  /// the way may have cut the connection: nobody's datagrams leave another way for that.
  package var isLackOfUDP: Bool {
    phase == .associate && !hasCarriedUDP
      && (cause == .reply(.commandNotSupported) || cause == .withoutUDP)
  }
}

extension Failure.Cause {
  /// Why no socket was opened on one of the ports of `range`, or on any where that is `nil`.
  init(_ error: Errno, opening range: PortRange?) {
    if error == .addressInUse, let range { self = .noPort(range) } else { self = .system(error) }
  }
}

// MARK: - Text

extension Failure.Inquiry: CustomStringConvertible {
  /// `host=www.test server=192.0.2.53:53`
  package var description: String {
    "host=\(host)" + (server.map { " server=\($0)" } ?? "")
  }
}

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
    case .system(let error): error.isOurs ? error.shortage : error.description
    case .resolution(let failure): failure.description
    case .tls(let failure): failure.description
    case .reply(let code): "reply \(code)"
    case .socks4Reply(let code): "reply \(code)"
    case .beyondSOCKS4(.command): "SOCKS4 has no such command"
    case .beyondSOCKS4(.name): "SOCKS4 carries no names"
    case .beyondSOCKS4(.ipv6): "SOCKS4 carries no IPv6 addresses"
    case .beyondSOCKS4(.other): "SOCKS4 carries no such address or user id"
    case .status(let status): "reply \(status)"
    case .beyondHTTP: "HTTP has no such command"
    case .withoutUDP: "carries no UDP"
    case .http(.notHTTP): "not HTTP"
    case .http(.malformed): "malformed HTTP"
    case .http(.tooLong): "HTTP header too long"
    case .closed: "closed by the peer"
    case .violation(.version(let version)): "not SOCKS: version \(version)"
    case .violation(.addressType(let type)): "unknown address type \(type)"
    case .violation(.name(.malformed)): "malformed name"
    case .violation(.name(.tooLong)): "name too long"
    case .userIDTooLong: "user id too long"
    case .method(.noneAcceptable): "no acceptable authentication method"
    case .method(let method): "method not offered: \(method)"
    case .credentials: "user name or password refused"
    case .ownListener: "one of our own listeners"
    case .notDialable: "the address of no host"
    case .wrongPeer(let peer): "somebody else came: \(peer)"
    case .rejected(let route): "rejected by route '\(route)'"
    case .noWay: "there is no way that could be tried"
    case .overLimit(let reached): "limit reached: \(reached)"
    case .noPort(let range): "no port of \(range) is free"
    case .unanswered: "no datagram came back"
    case .strays: "the datagrams that came back are not the destination's, or have headers of other relays"
    }
  }
}

extension Failure {
  /// What went wrong, in words, without a certainty that nobody has: some hops close instead of saying that the next one
  /// cannot be reached (`ssh -D`).
  package var errorText: String {
    guard case .hop(let index, _, _) = place, phase == .request, isUnopened else { return cause.description }
    let way = "instead of opening the way to hop \(index + 2)"
    return switch cause {
    case .closed: "hop \(index + 1) closed \(way)"
    case .system(.connectionReset), .system(.brokenPipe): "hop \(index + 1) reset the connection \(way)"
    default: "\(cause) \(way)"
    }
  }

  /// Where the failed hop is; `nil` when it is none, or not one of `chain`.
  package func endpoint(in chain: Chain?) -> Endpoint? {
    guard case .hop(let index, _, let name) = place, let hops = chain?.hops, index < hops.count,
      hops[index].name == name
    else { return nil }
    return hops[index].endpoint
  }
}

extension Failure: CustomStringConvertible {
  /// As the log writes it: `hop=2/2 tor phase=request reply=05 (connection refused)`, or of a shortage of this machine
  /// `sockeye phase=connect error=(no descriptor is left)`.
  package var description: String {
    let what =
      switch cause {
      case .reply(let code): "reply=\(code)"
      case .socks4Reply(let code): "reply=\(code)"
      case .status(let status): "reply=\(status)"
      default: "error=(\(errorText))"
      }
    let inquiry = inquiry.map { "\($0) " } ?? ""
    // What is ours is told of no hop.
    let place = isOurs ? "sockeye" : place.description
    return "\(place) phase=\(phase.rawValue) \(inquiry)\(what)"
  }
}
