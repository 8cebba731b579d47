import Addresses
import Transport

/// A TCP connection that stands for an association: it lasts as long as this does (RFC 1928 §7).
///
/// `@unchecked` holds because it is used by tasks of its stream's loop only: they run on one thread.
final class ControlConnection: @unchecked Sendable {
  private let stream: TCPStream

  /// How many reads of what means nothing are made in a row.
  private static let rounds = 4
  /// Silence is all that a control connection ever carries: so a peer that is gone is asked for early.
  private static let keepAliveSeconds = 30

  init(_ stream: consuming TCPStream) {
    self.stream = stream
    self.stream.keepAlive(seconds: Self.keepAliveSeconds)
  }

  var localAddress: SocketAddress? { stream.localAddress }
  var peerAddress: SocketAddress? { stream.peerAddress }
  var interest: Interest { stream.interest(in: .readable) }

  enum Hearing {
    case silence
    /// The peer sends without end: listen again, when others have had their turn.
    case noise
    case end(Failure.Cause)
  }

  /// Reads away what the peer sends, which means nothing (G6); that it ends means the end (G4).
  func listen() -> Hearing {
    do throws(Errno) {
      for _ in 0..<Self.rounds where try stream.discard() == 0 { return .end(.closed) }
      return .noise
    } catch .wouldBlock {
      return .silence
    } catch {
      return .end(Failure.Cause(error, on: stream))
    }
  }
}
