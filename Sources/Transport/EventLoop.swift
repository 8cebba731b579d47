import CLinux
import Synchronization

/// A thread that runs tasks and wakes them when their descriptors are ready or their deadlines pass.
///
/// A connection lives on one loop for life: its task is started with `addTask(executorPreference: loop)`, and every
/// wait on the loop's descriptors is made by a task that runs there. So the state of a connection is touched by one
/// thread, and needs neither lock nor actor.
package final class EventLoop: TaskExecutor {
  private let poller: FileDescriptor
  private let alarm: FileDescriptor
  private let inbox = Mutex(Inbox())
  private let state: ThreadState

  /// What other threads bring.
  private struct Inbox {
    var jobs: [UnownedJob] = []
    var cancellations: [WaitID] = []
    var isStopping = false
    /// The alarm has been raised for what is in here.
    var isAnnounced = false
  }

  /// What only the loop's own thread touches. Whatever is large is reserved when the loop starts: later it might not be
  /// had.
  ///
  /// `@unchecked` holds because every access from outside `run` passes through `own`, which asserts the thread. `@safe`
  /// holds because it frees its own memory when the loop is freed, and each pointer to that is taken by an unsafe expression.
  @safe private final class ThreadState: @unchecked Sendable {
    var jobs: [UnownedJob] = []
    var waits = Waits()
    var now = Deadline.now
    /// When the loop last went on after it had not run for a while.
    var stallEnd = Deadline(nanoseconds: 0)
    var memory = MemoryGauge()
    let scratch: ReservedMemory
    let events: ReservedMemory
    var pipes = PipePool()
    let datagrams: DatagramBatch?

    init(carriesDatagrams: Bool) throws(Errno) {
      scratch = try ReservedMemory(byteCount: EventLoop.scratchSize)
      events = try unsafe ReservedMemory(
        byteCount: EventLoop.batchSize * MemoryLayout<epoll_event>.stride)
      datagrams = carriesDatagrams ? try DatagramBatch() : nil
    }
  }

  /// The size of a loop's scratch buffer, in bytes.
  package static let scratchSize = 64 * 1024

  /// Starts the loop's thread, which runs until `stop`.
  ///
  /// - Parameter carriesDatagrams: whether it reserves 2.4 MiB for them.
  package init(carriesDatagrams: Bool = true) throws(Errno) {
    state = try ThreadState(carriesDatagrams: carriesDatagrams)
    poller = FileDescriptor(owning: try Errno.check(linux_epoll_create()))
    alarm = FileDescriptor(owning: try Errno.check(linux_eventfd()))
    _ = try Errno.check(
      linux_epoll_add(poller.rawValue, alarm.rawValue, EPOLLIN.rawValue | EPOLLET.rawValue, Self.alarmTag))
    // The thread owns one reference and gives it back when it ends.
    let owner = unsafe Unmanaged.passRetained(self).toOpaque()
    _ = try Errno.check(unsafe linux_start_thread(runEventLoop, owner))
  }

  /// Ends the thread once it has nothing to run. Tasks that still wait on the loop never wake: end them first.
  package func stop() {
    submit { $0.isStopping = true }
  }

  /// The calling thread is the loop's own.
  package var isCurrent: Bool {
    unsafe linux_thread_owner() == Unmanaged.passUnretained(self).toOpaque()
  }

  private var own: ThreadState {
    precondition(isCurrent, "the state of a loop was touched from another thread")
    return state
  }

  // MARK: Jobs

  package func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    if isCurrent {
      state.jobs.append(job)
    } else {
      submit { $0.jobs.append(job) }
    }
  }

  private func submit(_ change: (inout sending Inbox) -> Void) {
    let wasAnnounced = inbox.withLock { inbox in
      change(&inbox)
      defer { inbox.isAnnounced = true }
      return inbox.isAnnounced
    }
    guard !wasAnnounced else { return }
    var one: UInt64 = 1
    for _ in 0..<Self.alarmTries where unsafe linux_write(alarm.rawValue, &one, 8) == 8 { return }
    // A loop that is not woken does not look into its inbox: the next to submit tries again.
    inbox.withLock { $0.isAnnounced = false }
  }

  private static let alarmTries = 8

  // MARK: The thread

  private static let alarmTag = UInt64.max
  private static let batchSize = 256
  private static let rounds = 4
  /// How many batches of events are looked at in a turn.
  private static let batches = 256
  /// A loop that goes on later than it should by so much has not run: it was busy, or the process was stopped.
  private static let longestDelay = Deadline.Interval(.milliseconds(250))

  fileprivate func run() {
    unsafe linux_set_thread_owner(Unmanaged.passUnretained(self).toOpaque())
    let events = unsafe state.events.bytes.bindMemory(to: epoll_event.self)

    let executor = unsafe asUnownedTaskExecutor()
    var running: [UnownedJob] = []
    var isStopping = false
    while !isStopping || !state.jobs.isEmpty {
      // A job often starts or resumes another: a few rounds save as many looks at the descriptors.
      for _ in 0..<Self.rounds where !state.jobs.isEmpty {
        swap(&running, &state.jobs)
        for job in running { unsafe job.runSynchronously(on: executor) }
        running.removeAll(keepingCapacity: true)
      }

      let start = Deadline.now
      if start > state.now + Self.longestDelay { state.stallEnd = start }
      let end = endOfSleep(from: start)
      var milliseconds = Self.milliseconds(from: start, to: end)
      // What is ready goes before deadlines: all of it is looked at.
      for _ in 0..<Self.batches {
        let count = unsafe linux_epoll_wait(
          poller.rawValue, events.baseAddress, Int32(Self.batchSize), milliseconds)
        for index in 0..<max(0, Int(count)) {
          let event = unsafe events[index]
          let tag = unsafe event.data.u64
          if tag == Self.alarmTag {
            if emptyInbox() { isStopping = true }
          } else {
            let readiness = Readiness(events: unsafe event.events)
            if let watcher = state.waits.handle(readiness, tag: tag) {
              watcher.peerEnded(isGone: readiness.contains(.gone))
            }
          }
        }
        guard count == Self.batchSize else { break }
        milliseconds = 0
      }
      state.now = .now
      if state.now > end + Self.longestDelay { state.stallEnd = state.now }
      state.waits.expire(at: state.now)
      state.waits.finishDue()
    }
  }

  /// Until when the loop sleeps if nothing happens.
  private func endOfSleep(from start: Deadline) -> Deadline {
    guard state.jobs.isEmpty, !state.waits.hasDue else { return start }
    return max(start, state.waits.earliestDeadline ?? .never)
  }

  /// Rounded up: to wake a little early would mean to spin until the deadline.
  private static func milliseconds(from start: Deadline, to end: Deadline) -> Int32 {
    guard end != .never else { return -1 }
    guard end > start else { return 0 }
    let milliseconds = (end.nanoseconds - start.nanoseconds - 1) / 1_000_000 + 1
    return Int32(min(milliseconds, 1_000_000_000))
  }

  /// Takes over what other threads brought; true when the loop is to end.
  private func emptyInbox() -> Bool {
    var count: UInt64 = 0
    _ = unsafe linux_read(alarm.rawValue, &count, 8)
    let taken = inbox.withLock { inbox in
      let taken = inbox
      inbox = Inbox()
      return taken
    }
    state.jobs += taken.jobs
    for id in taken.cancellations { state.waits.wake(id, .cancelled) }
    return taken.isStopping
  }
}

private func runEventLoop(_ owner: UnsafeMutableRawPointer?) {
  guard let owner = unsafe owner else { return }
  unsafe Unmanaged<EventLoop>.fromOpaque(owner).takeRetainedValue().run()
}

// MARK: - From outside

extension EventLoop {
  /// Runs `body` on the loop's thread, and blocks the calling thread until it returns. The caller must be on no loop that
  /// anything waits for, this one least of all.
  ///
  /// It takes no descriptor: what only `body` can throw is thrown.
  package func perform<Failure: Error>(
    _ body: @escaping @Sendable () throws(Failure) -> Void
  ) throws(Failure) {
    precondition(!isCurrent, "a loop cannot wait for itself")
    let outcome = Outcome<Failure>()
    Task(executorPreference: self) {
      do throws(Failure) {
        try body()
      } catch {
        outcome.failure.withLock { $0 = error }
      }
      outcome.done.post()
    }
    outcome.done.wait()
    if let failure = outcome.failure.withLock({ $0 }) { throw failure }
  }

  private final class Outcome<Failure: Error>: Sendable {
    let done = Semaphore()
    let failure = Mutex<Failure?>(nil)
  }
}

// MARK: - Waiting

extension EventLoop {
  /// Suspends the task until one of the interests is ready or the deadline passes.
  ///
  /// Call the system first, and wait only when it would block: edges are reported once. The task must run on this
  /// loop, and no two tasks may wait for one descriptor.
  package func wait(for interest: Interest, until deadline: Deadline) async -> Wakeup {
    let state = own
    let id = state.waits.begin(until: deadline)
    state.waits.arm(interest, at: 0, for: id)
    return await suspend(id)
  }

  /// Waits for either of two descriptors: how a relay waits for both its ends.
  ///
  /// The task's own cancellation does not end this wait, only `interrupt` does: a handler for it would cost every idle
  /// tunnel 300 bytes.
  package func waitUntilInterrupted(
    for first: Interest, or second: Interest, until deadline: Deadline
  ) async -> Wakeup {
    let state = own
    let id = state.waits.begin(until: deadline)
    state.waits.arm(first, at: 0, for: id)
    state.waits.arm(second, at: 1, for: id)
    if let wakeup = state.waits.endEarly(id) { return wakeup }
    return unsafe await withUnsafeContinuation { continuation in
      unsafe state.waits.suspend(id, continuation)
    }
  }

  /// Waits like that for any of several descriptors, or for `wake` with the name that `announce` is given.
  package func waitUntilInterrupted(
    for interests: [Interest], until deadline: Deadline, announce: (WaitID) -> Void
  ) async -> Wakeup {
    let state = own
    let id = state.waits.begin(until: deadline)
    for (position, interest) in interests.enumerated() { state.waits.arm(interest, at: position, for: id) }
    announce(id)
    if let wakeup = state.waits.endEarly(id) { return wakeup }
    return unsafe await withUnsafeContinuation { continuation in
      unsafe state.waits.suspend(id, continuation)
    }
  }

  /// Ends every wait of the loop as `cancelled`, now and from now on. On the loop's thread only.
  package func interrupt() {
    own.waits.interrupt()
  }

  /// Waits for any of several descriptors, or for `wake` with the name that `announce` is given.
  package func wait(
    for interests: [Interest], until deadline: Deadline, announce: (WaitID) -> Void = { _ in }
  ) async -> Wakeup {
    let id = own.waits.begin(until: deadline)
    for (position, interest) in interests.enumerated() { own.waits.arm(interest, at: position, for: id) }
    announce(id)
    return await suspend(id)
  }

  /// Ends that wait as `ready(0)`, if it still lasts. On the loop's thread only.
  package func wake(_ id: WaitID) {
    own.waits.wake(id, .ready(0))
  }

  private func suspend(_ id: WaitID) async -> Wakeup {
    if let wakeup = own.waits.endEarly(id) { return wakeup }
    return await withTaskCancellationHandler {
      unsafe await withUnsafeContinuation { continuation in
        unsafe own.waits.suspend(id, continuation)
      }
    } onCancel: {
      // This runs on the cancelling thread, which may be any.
      submit { $0.cancellations.append(id) }
    }
  }

  /// Suspends the task until `deadline`.
  package func sleep(until deadline: Deadline) async throws(Errno) {
    guard await wait(for: [], until: deadline) == .timedOut else { throw .cancelled }
  }
}

// MARK: - What a loop's connections share

extension EventLoop {
  /// When the loop last looked at the clock: before it began to run what runs now.
  package var now: Deadline { own.now }

  /// Whether the loop did not run for a while since then, a quarter of a second or more: this program was stopped, or had
  /// no processor. A peer may have had no time to answer, whatever the clock says.
  ///
  /// It is not noticed while no deadline is waited for.
  package func hasStalled(since start: Deadline) -> Bool { own.stallEnd > start }

  /// 64 KiB for bytes on their way: valid until the calling task next suspends.
  var scratch: UnsafeMutableRawBufferPointer { unsafe own.scratch.bytes }

  /// Datagrams on their way: valid until the calling task next suspends.
  ///
  /// - Precondition: the loop was made to carry datagrams.
  package var datagrams: DatagramBatch {
    guard let datagrams = own.datagrams else { preconditionFailure("the loop carries no datagrams") }
    return datagrams
  }

  /// There is hardly any memory left that the program could get.
  var isShortOfMemory: Bool { own.memory.isShort(at: own.now) }

  func takePipe() -> Pipe? {
    let state = own
    return state.pipes.take(at: state.now)
  }

  func returnPipe(_ pipe: Pipe) { own.pipes.put(pipe) }

  /// Lets the loop's tunnels have no more than that many pipes; those that hold one keep it.
  package func limitPipes(to count: Int) { own.pipes.limit = count }

  /// Watches a descriptor for both directions, edge-triggered.
  func addSlot(for descriptor: Int32) throws(Errno) -> Int {
    let slot = own.waits.addSlot()
    let events =
      EPOLLIN.rawValue | EPOLLOUT.rawValue | EPOLLRDHUP.rawValue | EPOLLPRI.rawValue | EPOLLET.rawValue
    do {
      _ = try Errno.check(linux_epoll_add(poller.rawValue, descriptor, events, own.waits.tag(of: slot)))
    } catch {
      own.waits.removeSlot(slot)
      throw error
    }
    return slot
  }

  func removeSlot(_ slot: Int) { own.waits.removeSlot(slot) }

  func watch(_ slot: Int, _ watcher: any PeerWatcher) {
    let seen = own.waits.watch(slot, watcher)
    if seen.contains(.ended) { watcher.peerEnded(isGone: seen.contains(.gone)) }
  }

  func endWatch(_ slot: Int) { own.waits.endWatch(slot) }

  /// Stops watching a descriptor that stays open.
  func forget(_ descriptor: Int32) { _ = linux_epoll_remove(poller.rawValue, descriptor) }
}
