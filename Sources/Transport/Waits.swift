import CLinux

/// What a descriptor can be waited for, in epoll's own bits. Those asked for here lie in the lower half.
package struct Readiness: OptionSet, Hashable, Sendable {
  package let rawValue: UInt16

  package init(rawValue: UInt16) {
    self.rawValue = rawValue
  }

  package static let readable = Readiness(rawValue: UInt16(EPOLLIN.rawValue))
  package static let writable = Readiness(rawValue: UInt16(EPOLLOUT.rawValue))
  /// The peer ended its direction, or the descriptor failed: reading will not block any more. To wait for this alone
  /// is to learn that a client left without reading what it sent. Once true, it stays so.
  package static let ended = Readiness(rawValue: UInt16(EPOLLRDHUP.rawValue))
  /// Both directions ended, or the stream failed (EPOLLHUP): nothing can be sent to the peer any more.
  static let gone = Readiness(rawValue: UInt16(EPOLLHUP.rawValue))
  /// An urgent octet (tcp(7)) stands among the bytes to read.
  static let urgent = Readiness(rawValue: UInt16(EPOLLPRI.rawValue))

  /// What `events` mean for those who read and write: an end can be read, and a failure both read and written.
  ///
  /// A stream that failed has ended, and says that too (EPOLLHUP). A datagram socket has not: once its error was read,
  /// which ICMP reported, it serves on.
  init(events: UInt32) {
    var bits = events & (EPOLLIN.rawValue | EPOLLOUT.rawValue | EPOLLRDHUP.rawValue | EPOLLPRI.rawValue)
    if events & EPOLLRDHUP.rawValue != 0 { bits |= EPOLLIN.rawValue }
    if events & (EPOLLHUP.rawValue | EPOLLERR.rawValue) != 0 { bits |= EPOLLIN.rawValue | EPOLLOUT.rawValue }
    if events & EPOLLHUP.rawValue != 0 { bits |= EPOLLRDHUP.rawValue | EPOLLHUP.rawValue }
    rawValue = UInt16(bits)
  }
}

/// One descriptor and what it is waited for.
package struct Interest: Sendable {
  let slot: Int
  let readiness: Readiness
  /// Whatever the descriptor says, it is ready in the loop's next turn.
  var isReady = false
}

/// How a wait ended.
package enum Wakeup: Hashable, Sendable {
  /// The interest at this index is ready, or for a wait without interests: it was woken.
  case ready(Int)
  case timedOut
  case cancelled

  /// Throws `timedOut` or `cancelled`, if that is how it ended.
  func check() throws(Errno) {
    switch self {
    case .ready: return
    case .timedOut: throw .timedOut
    case .cancelled: throw .cancelled
    }
  }
}

/// Is told that the peer of a stream has ended its direction or is gone, while the stream's task waits for something else.
package protocol PeerWatcher: AnyObject {
  /// Called on the loop's thread, each time that it learns of an end.
  ///
  /// - Parameter isGone: the peer reads no more either: it has reset the connection, or closed a Unix-domain socket.
  func peerEnded(isGone: Bool)
}

/// Names one wait, so that something other than a descriptor can end it.
package struct WaitID: Hashable, Sendable {
  let index: Int
  let generation: UInt32
}

/// Who waits for what on one loop: the descriptors' slots, the waits armed on them, and their deadlines.
///
/// An edge that nobody waits for is remembered in its slot, so it cannot be lost between a task's try and its wait.
struct Waits {
  private struct Slot {
    var generation: UInt32 = 0
    var wait: Int32 = -1
    /// The next slot armed by the same wait, or -1; for a free slot, the next free one.
    var next: Int32 = -1
    /// Edges seen while nobody waited for them.
    var seen = Readiness()
    var interest = Readiness()
    /// The interest's index within its wait.
    var position: Int16 = 0
    /// Its end is told to one of `watchers`.
    var isWatched = false
  }

  /// `@safe`: `finish` alone resumes the continuation, and takes it out in doing so.
  @safe private struct Wait {
    var continuation: UnsafeContinuation<Wakeup, Never>?
    /// Set when the wait ended before its task was suspended.
    var early: Wakeup?
    var generation: UInt32 = 0
    var firstSlot: Int32 = -1
    var nextFree: Int32 = -1
  }

  private var slots: [Slot] = []
  private var waits: [Wait] = []
  /// By slot.
  private var watchers: [Int: any PeerWatcher] = [:]
  private var freeSlot: Int32 = -1
  private var freeWait: Int32 = -1
  private var deadlines = DeadlineHeap()
  /// Waits that end in the loop's next turn, and the interests by which they do.
  private var due: [(wait: WaitID, position: Int)] = []
  private var isInterrupted = false

  var earliestDeadline: Deadline? { deadlines.earliest }
}

// MARK: - Slots

extension Waits {
  mutating func addSlot() -> Int {
    guard freeSlot >= 0 else {
      slots.append(Slot())
      return slots.count - 1
    }
    let slot = Int(freeSlot)
    freeSlot = slots[slot].next
    slots[slot].next = -1
    return slot
  }

  /// An event for the slot may still stand in the batch being handled: its generation will not match any more.
  mutating func removeSlot(_ slot: Int) {
    precondition(slots[slot].wait < 0, "a descriptor was closed while a task waited for it")
    slots[slot] = Slot(generation: slots[slot].generation &+ 1, next: freeSlot)
    freeSlot = Int32(slot)
  }

  func tag(of slot: Int) -> UInt64 {
    UInt64(slots[slot].generation) << 32 | UInt64(slot)
  }

  /// - Returns: who watches for the end that was seen, and is to be told once this returns.
  @discardableResult
  mutating func handle(_ readiness: Readiness, tag: UInt64) -> (any PeerWatcher)? {
    let slot = Int(truncatingIfNeeded: tag & 0xffff_ffff)
    guard slots[slot].generation == UInt32(tag >> 32) else { return nil }
    let wait = slots[slot].wait
    let wanted = readiness.intersection(slots[slot].interest)
    slots[slot].seen = slots[slot].seen.union(readiness)
    if wait >= 0, !wanted.isEmpty {
      consume(wanted, of: slot)
      finish(Int(wait), .ready(Int(slots[slot].position)))
    }
    guard slots[slot].isWatched, readiness.contains(.ended) else { return nil }
    return watchers[slot]
  }

  /// Has the end of a slot's peer told to `watcher`, until `endWatch`.
  ///
  /// - Returns: what was seen before.
  mutating func watch(_ slot: Int, _ watcher: any PeerWatcher) -> Readiness {
    slots[slot].isWatched = true
    watchers[slot] = watcher
    return slots[slot].seen
  }

  mutating func endWatch(_ slot: Int) {
    slots[slot].isWatched = false
    watchers[slot] = nil
  }

  /// A direction that ended stays readable for ever: its edge will not come again. Nor will one for the bytes behind
  /// an urgent octet, before which a read stops short: they are worth one more.
  private mutating func consume(_ readiness: Readiness, of slot: Int) {
    let seen = slots[slot].seen
    var rest = seen.subtracting(readiness)
    if seen.contains(.ended) { rest.formUnion([.readable, .ended]) }
    if seen.contains(.urgent), readiness.contains(.readable) {
      rest.remove(.urgent)
      rest.insert(.readable)
    }
    slots[slot].seen = rest
  }
}

// MARK: - Waits

extension Waits {
  mutating func begin(until deadline: Deadline) -> WaitID {
    let index: Int
    if freeWait >= 0 {
      index = Int(freeWait)
      freeWait = waits[index].nextFree
    } else {
      waits.append(Wait())
      index = waits.count - 1
    }
    if deadline != .never { deadlines.insert(deadline, for: index) }
    return WaitID(index: index, generation: waits[index].generation)
  }

  /// Makes `interest` end the wait; at once, if its edge was seen before.
  mutating func arm(_ interest: Interest, at position: Int, for id: WaitID) {
    let slot = interest.slot
    precondition(slots[slot].wait < 0, "two tasks wait for one descriptor")
    // A wait that has ended reports one interest: the edges of the others stay for the next wait.
    guard waits[id.index].early == nil else { return }
    if interest.isReady { due.append((id, position)) }
    let ready = slots[slot].seen.intersection(interest.readiness)
    if !ready.isEmpty {
      consume(ready, of: slot)
      waits[id.index].early = .ready(position)
      return
    }
    slots[slot].wait = Int32(id.index)
    slots[slot].interest = interest.readiness
    slots[slot].position = Int16(position)
    slots[slot].next = waits[id.index].firstSlot
    waits[id.index].firstSlot = Int32(slot)
  }

  /// How the wait ended before its task was suspended, if it did: then the task need not be.
  mutating func endEarly(_ id: WaitID) -> Wakeup? {
    guard let wakeup = isInterrupted ? .cancelled : waits[id.index].early else { return nil }
    finish(id.index, wakeup)
    return wakeup
  }

  /// Keeps the continuation until the wait ends, or answers how it ended already.
  mutating func suspend(_ id: WaitID, _ continuation: UnsafeContinuation<Wakeup, Never>) {
    unsafe waits[id.index].continuation = continuation
    if isInterrupted { return finish(id.index, .cancelled) }
    if let early = waits[id.index].early { finish(id.index, early) }
  }

  /// Ends the wait of that name, if it still lasts.
  mutating func wake(_ id: WaitID, _ wakeup: Wakeup) {
    guard waits[id.index].generation == id.generation else { return }
    if unsafe waits[id.index].continuation == nil {
      if waits[id.index].early == nil { waits[id.index].early = wakeup }
    } else {
      finish(id.index, wakeup)
    }
  }

  /// Cancels every wait, those that last and those to come.
  mutating func interrupt() {
    isInterrupted = true
    for index in waits.indices { wake(WaitID(index: index, generation: waits[index].generation), .cancelled) }
  }

  var hasDue: Bool { !due.isEmpty }

  /// Ends the waits that are due. To be called after those that are late have ended: what is always ready has deadlines, too.
  mutating func finishDue() {
    guard hasDue else { return }
    for (wait, position) in due { wake(wait, .ready(position)) }
    due.removeAll(keepingCapacity: true)
  }

  mutating func expire(at now: Deadline) {
    while let wait = deadlines.popExpired(at: now) {
      wake(WaitID(index: wait, generation: waits[wait].generation), .timedOut)
    }
  }

  private mutating func finish(_ index: Int, _ wakeup: Wakeup) {
    var slot = waits[index].firstSlot
    while slot >= 0 {
      let next = slots[Int(slot)].next
      slots[Int(slot)].wait = -1
      slots[Int(slot)].interest = Readiness()
      slots[Int(slot)].next = -1
      slot = next
    }
    deadlines.remove(index)
    let continuation = unsafe waits[index].continuation
    waits[index] = unsafe Wait(generation: waits[index].generation &+ 1, nextFree: freeWait)
    freeWait = Int32(index)
    unsafe continuation?.resume(returning: wakeup)
  }
}
