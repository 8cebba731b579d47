import Addresses
import Routing
import Settings
import Transport
import Wire

/// How one session went: told once, when it ends.
package struct Event: Sendable {
  /// What the client asked for, as the log calls it.
  package enum Command: String, Sendable {
    case connect
    case bind
    case udp
    case resolve
    case resolvePTR = "resolve_ptr"

    /// `nil` for a command that nobody knows.
    init?(_ command: SOCKS5.Command) {
      switch command {
      case .connect: self = .connect
      case .bind: self = .bind
      case .associate: self = .udp
      case .resolve: self = .resolve
      case .resolvePTR: self = .resolvePTR
      default: return nil
      }
    }
  }

  /// Why a client was not let in.
  package enum LoginFailure: String, Hashable, Sendable {
    case unknownUser = "unknown user"
    case wrongPassword = "wrong password"
    /// Too many logins of its client wait for their hash, or of all clients.
    case tooManyLogins = "too many logins wait"
    /// The hash of its password was not computed before the handshake's deadline.
    case notInTime = "the login waited longer than timeouts.handshake"
    /// There was no memory to compute the hash of its password.
    case outOfMemory = "out of memory"
    /// A reload has removed the listener while the client was logging in.
    case listenerRemoved = "the listener was removed from the table"
    /// It offered no method that proves who it is, or sent no credentials.
    case noCredentials = "no user name and password were offered"
    /// It greeted before a reload, and was asked for no password then.
    case notLoggedIn = "the table requires a login since a reload, and the client made none"
    /// SOCKS4 has no password.
    case socks4 = "SOCKS4 has no password"
    /// The listener asks for no user, and the client offers nothing but to be one.
    case noMethod = "no acceptable method was offered"
  }

  package enum Ending: Sendable {
    /// Both directions ended.
    case finished
    /// One of the two ends was reset, and the other with it.
    case reset
    /// Nothing moved for as long as the idle limit allows.
    case idle
    // Indirect, since it is large and an idle tunnel has none.
    indirect case failed(Failure)
    /// A route said `reject`.
    case rejected
    /// A route said `drop`.
    case dropped
    /// There was no room for another connection.
    case overLimit(ReachedLimit)
    /// A command that is not served, in words.
    case unsupported(String)
    /// A destination that nobody can be connected to, such as port 0.
    case refused(SOCKS5.ReplyCode)
    /// The client could not say who it is.
    case unauthenticated(LoginFailure)
    /// The client sent no request: it spoke something else, left, or took too long.
    indirect case noRequest(Failure.Cause)
    /// The client did not wait for its destination to be reached, or the client of a BIND for its peer.
    case left
    /// The program was asked to stop.
    case stopped
  }

  package var listener: String
  /// `nil` for a Unix-domain client.
  package var client: SocketAddress?
  /// `connect` as long as nothing was asked for.
  package var command: Command
  package var user: String?
  package var destination: Endpoint?
  /// What was dialled instead, when the route said so.
  package var rewritten: Endpoint?
  /// The deciding route's label; `nil` before there was a verdict.
  package var route: String?
  /// What the route, or the default, leads to, unless that is a plan.
  package var outcome: Outcome?
  /// The plan's name, otherwise.
  package var plan: String?
  /// Of a plan: the way that was taken, if one was, and those that failed before.
  package var way: Way?
  package var attempts: [Journey.Attempt] = []
  /// Bytes the destination, and the client, have taken.
  package var up: UInt64 = 0
  package var down: UInt64 = 0
  /// What a UDP association carried; `nil` for all else.
  package var datagrams: Datagrams?
  /// From the request to its reply.
  package var dial = Duration.zero
  /// The tunnel to the last hop had been there before.
  package var isWarm = false
  /// From accept to the end.
  package var time = Duration.zero
  package var ending = Ending.finished
  /// The log is told of many like this in a line of their own.
  package var isRepeated = false
}

extension Event {
  /// The datagrams of a UDP association.
  package struct Datagrams: Sendable {
    /// Sent on towards destinations, and to the client.
    package let up: Int
    package let down: Int
    package let drops: Drops
  }
}

/// What the server has to tell beside the sessions' ends.
package enum Notice: Sendable {
  /// The process or the system is short of descriptors or memory, so that Sockeye turns new connections to this listener
  /// away for now. `count`: since that was last told, once a minute.
  case turnedAway(listener: String, Errno, count: Int)
  /// As many logins were refused as `count` says, besides those whose sessions tell it; the last was this. Told once a
  /// minute for each client.
  case loginsRefused(client: SocketAddress?, user: String?, Event.LoginFailure, count: Int)
  /// Limits need more descriptors than this process may open, and are lowered.
  case limitsLowered(from: Limits, to: Limits, needed: Int, available: Int)
  /// A limit refused this client. `count`: connections (or UDP paths) of any client since that was last told, once a minute.
  case limitReached(ReachedLimit, client: String, listener: String, count: Int)
  /// All places for handshakes, or those of this client, were taken: the oldest handshake of this client, which held `held`
  /// of them, was closed to serve a newer one. `count`: handshakes closed for this limit since that was last told, once a
  /// minute.
  case handshakeClosed(ReachedLimit, client: Client, held: Int, count: Int)
  /// A question to a name server was not asked, for want of a place. `client`: whose it was; `nil`: the program's own.
  /// `count`: questions of any client since that was last told, once a minute.
  case nameRefused(ReachedLimit, client: Client?, count: Int)
  /// Datagrams that were to leave through this chain or plan are dropped. Told once in 30 s for each.
  case pathFailed(Outcome, Failure)
  /// The client of a UDP association, with this control connection, sends from another port after a pause.
  /// `count`: since that was last told of this client, once a minute.
  case clientMoved(SocketAddress, from: UInt16, to: UInt16, count: Int)
  /// This machine ran short of something when it was to connect to that endpoint, or to resolve its name. Told once a
  /// minute for each kind of shortage.
  case shortage(Failure.Cause, towards: Endpoint)
}

/// Takes what the server tells. Called on the loops' threads: it must not block.
package protocol EventSink: Sendable {
  func record(_ event: Event)
  func record(_ notice: Notice)
}
