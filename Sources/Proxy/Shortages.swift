import Addresses
import Synchronization
import Transport

/// Tells the log that this machine has run short of something, and what is to be done: once a minute for each kind, however
/// many connections fail for it.
final class Shortages: Sendable {
  private static let interval = Duration.seconds(60)

  private let sink: any EventSink
  /// When each kind may be told again.
  private let rests = Mutex<[Failure.Cause: Deadline]>([:])

  init(_ sink: any EventSink) {
    self.sink = sink
  }

  /// Tells of `cause` if it is a shortage of ours.
  func note(_ cause: Failure.Cause, towards endpoint: Endpoint) {
    guard cause.isOurs else { return }
    let now = Deadline.now
    let isNew = rests.withLock { rests in
      guard rests[cause].map({ $0 <= now }) ?? true else { return false }
      rests[cause] = now + Self.interval
      return true
    }
    if isNew { sink.record(.shortage(cause, towards: endpoint)) }
  }
}
