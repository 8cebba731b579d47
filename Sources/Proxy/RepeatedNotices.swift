import Synchronization
import Transport

/// Tells the log of what clients and peers repeat, on behalf of all loops.
final class RepeatedNotices: Sendable {
  private struct State {
    var repetitions = Repetitions()
    /// A task waits until there is something to tell.
    var isWaiting = false
  }

  private let state = Mutex(State())
  private let sink: any EventSink

  init(_ sink: any EventSink) {
    self.sink = sink
  }

  /// Counts one, and has the rest told once a minute.
  ///
  /// - Parameter begin: runs a task on the calling loop, which is cancelled when the server ends.
  /// - Returns: whether the log is to be told of this one now.
  func isNews(
    _ kind: Repetitions.Kind, _ detail: String = "", on loop: EventLoop,
    begin: (@escaping @Sendable () async -> Void) -> Void, notice: @escaping @Sendable (Int) -> Notice
  ) -> Bool {
    let (isNews, mustBegin) = state.withLock { state in
      let isNews = state.repetitions.isNews(kind, detail, at: loop.now, notice: notice)
      defer { if !isNews { state.isWaiting = true } }
      return (isNews, !isNews && !state.isWaiting)
    }
    if mustBegin { begin { [self] in await tellRest(on: loop) } }
    return isNews
  }

  private func tellRest(on loop: EventLoop) async {
    while let next = nextNotice {
      do throws(Errno) {
        try await loop.sleep(until: next)
      } catch {
        // The loop ends: another one goes on with this, or the server's end does.
        return state.withLock { $0.isWaiting = false }
      }
      tell(at: loop.now)
    }
  }

  private var nextNotice: Deadline? {
    state.withLock { state in
      let next = state.repetitions.nextNotice
      if next == nil { state.isWaiting = false }
      return next
    }
  }

  /// Tells what is due at `now`; with `never`, all that is untold.
  func tell(at now: Deadline) {
    for notice in state.withLock({ $0.repetitions.notices(at: now) }) { sink.record(notice) }
  }
}
