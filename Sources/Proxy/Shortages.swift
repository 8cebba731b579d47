import Addresses
import Settings
import Synchronization
import Transport

/// Keeps clients from using up the local ports of others. Tells the log that this machine has run short of something, and
/// what is to be done: once a minute for each kind, however many connections fail for it.
final class Shortages: Sendable {
  private static let interval = Duration.seconds(60)

  private let sink: any EventSink
  /// When each kind may be told again.
  private let rests = Mutex<[Failure.Cause: Deadline]>([:])
  private let dials = Mutex(DialCounts())

  init(_ sink: any EventSink) {
    self.sink = sink
  }

  /// Counts a connection that a client is about to begin.
  ///
  /// - Returns: the limit that refuses it, since no local port is left and the client has had its share.
  func begin(_ client: Client, towards endpoint: Endpoint, at now: Deadline) -> ReachedLimit? {
    dials.withLock { $0.begin(client, towards: endpoint, at: now) }
  }

  /// Tells of `cause` if it is a shortage of ours.
  func note(_ cause: Failure.Cause, towards endpoint: Endpoint) {
    switch cause {
    // A limit that is reached has a line of its own.
    case .overLimit, .resolution(.overloaded): return
    default: break
    }
    guard cause.isOurs else { return }
    let now = Deadline.now
    if cause.isLackOfPorts {
      dials.withLock { $0.noteExhaustion(of: endpoint, among: OwnProcess.localPortCount, at: now) }
    }
    let isNew = rests.withLock { rests in
      guard rests[cause].map({ $0 <= now }) ?? true else { return false }
      rests[cause] = now + Self.interval
      return true
    }
    if isNew { sink.record(.shortage(cause, towards: endpoint)) }
  }
}
