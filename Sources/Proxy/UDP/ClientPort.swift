import Addresses
import Transport

/// The port that the client of an association sends from (G1, G2, G7, G8).
///
/// It is the one that the client told, or that of its first datagram that parses. A NAT may give the client another
/// port after a pause; so a port may be followed by another of the same address after 10 s without a datagram from or to
/// the client. For a client on this host there is no NAT, and other users of the host have the same address: there it is
/// not followed.
struct ClientPort {
  /// `nil` before it is known.
  private(set) var number: UInt16?
  private let mayMove: Bool
  private var lastUse = Deadline.now

  /// How long a client must have been silent before it may come from another port.
  static let silence = Deadline.Interval(.seconds(10))

  /// - Parameters:
  ///   - client: the address of the control connection.
  ///   - isLocal: whether it is an address of this host.
  ///   - hint: where the client says it will send from (RFC 1928 §4). A port at another address is ignored: it would open
  ///     the relay to a stranger. One at 0.0.0.0 or `::` is ignored too, since a NAT may have changed it, unless the
  ///     client is on loopback.
  init(of client: IPAddress, isLocal: Bool, hint: Endpoint) {
    let told = hint.host.address
    let isTold = hint.port != 0 && (told == client || told?.isUnspecified == true && client.isLoopback)
    number = isTold ? hint.port : nil
    mayMove = !isTold && !isLocal
  }

  /// Whether a datagram from this port of the client's address may be the client's.
  func admits(_ port: UInt16, at now: Deadline) -> Bool {
    number == nil || number == port || mayMove && lastUse + Self.silence <= now
  }

  /// Notes that the client is sent a datagram: one that only receives is not silent.
  mutating func answer(at now: Deadline) { lastUse = now }

  /// Notes that the client has sent a datagram from this port.
  ///
  /// - Returns: the port that it had before, if it has moved.
  mutating func use(_ port: UInt16, at now: Deadline) -> UInt16? {
    defer {
      number = port
      lastUse = now
    }
    return number == port ? nil : number
  }
}
