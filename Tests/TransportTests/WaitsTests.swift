import CLinux
import Testing

@testable import Transport

@Suite struct WaitsTests {
  private var waits = Waits()

  /// How a wait for these ends when nothing happens but `event`, and then it is cancelled.
  private mutating func end(
    of interests: [Interest], until deadline: Deadline = .never,
    after event: (inout Waits, WaitID) -> Void = { _, _ in }
  ) async -> Wakeup {
    let id = waits.begin(until: deadline)
    for (position, interest) in interests.enumerated() { waits.arm(interest, at: position, for: id) }
    return await withUnsafeContinuation { continuation in
      waits.suspend(id, continuation)
      event(&waits, id)
      waits.wake(id, .cancelled)
    }
  }

  private func readable(_ slot: Int) -> Interest { Interest(slot: slot, readiness: .readable) }

  @Test mutating func `an event ends the wait for it, as the interest it met`() async {
    let (one, other) = (waits.addSlot(), waits.addSlot())
    let tag = waits.tag(of: other)
    let wakeup = await end(of: [readable(one), readable(other)]) { waits, _ in
      waits.handle(.readable, tag: tag)
    }
    #expect(wakeup == .ready(1))
  }

  @Test mutating func `an event of another kind does not end the wait, and is not lost`() async {
    let slot = waits.addSlot()
    let tag = waits.tag(of: slot)
    #expect(await end(of: [readable(slot)]) { waits, _ in waits.handle(.writable, tag: tag) } == .cancelled)
    #expect(await end(of: [Interest(slot: slot, readiness: .writable)]) == .ready(0))
  }

  @Test mutating func `an edge seen while nobody waits ends the next wait, once`() async {
    let slot = waits.addSlot()
    waits.handle(.readable, tag: waits.tag(of: slot))
    #expect(await end(of: [readable(slot)]) == .ready(0))
    #expect(await end(of: [readable(slot)]) == .cancelled)
  }

  private final class Watcher: PeerWatcher {
    func peerEnded(isGone: Bool) {}
  }

  @Test mutating func `an end is told to who watches for it, whatever else is waited for`() async {
    let slot = waits.addSlot()
    let tag = waits.tag(of: slot)
    let watcher = Watcher()
    #expect(waits.watch(slot, watcher) == Readiness())
    #expect(waits.handle(.readable, tag: tag) == nil)
    #expect(waits.handle([.readable, .ended], tag: tag) === watcher)
    #expect(waits.handle(Readiness(events: EPOLLHUP.rawValue), tag: tag) === watcher)
    waits.endWatch(slot)
    #expect(waits.handle([.readable, .ended], tag: tag) == nil)
    #expect(waits.watch(slot, watcher).isSuperset(of: [.ended, .gone]))
    waits.endWatch(slot)
  }

  @Test mutating func `a direction that ended stays readable`() async {
    let slot = waits.addSlot()
    waits.handle([.readable, .ended], tag: waits.tag(of: slot))
    for _ in 0..<3 { #expect(await end(of: [readable(slot)]) == .ready(0)) }
  }

  @Test mutating func `with urgent data there is one more read, for what stands behind it`() async {
    let slot = waits.addSlot()
    let tag = waits.tag(of: slot)
    #expect(
      await end(of: [readable(slot)]) { waits, _ in waits.handle([.readable, .urgent], tag: tag) }
        == .ready(0))
    #expect(await end(of: [readable(slot)]) == .ready(0))
    #expect(await end(of: [readable(slot)]) == .cancelled)
  }

  @Test mutating func `of two edges seen before, the one not reported is kept`() async {
    let (one, other) = (waits.addSlot(), waits.addSlot())
    for slot in [one, other] { waits.handle(.readable, tag: waits.tag(of: slot)) }
    #expect(await end(of: [readable(one), readable(other)]) == .ready(0))
    #expect(await end(of: [readable(one), readable(other)]) == .ready(1))
    #expect(await end(of: [readable(one), readable(other)]) == .cancelled)
  }

  @Test mutating func `an event behind the one that freed its descriptor is ignored`() async {
    let freed = waits.addSlot()
    let staleTag = waits.tag(of: freed)
    waits.removeSlot(freed)
    let reused = waits.addSlot()
    #expect(reused == freed)
    #expect(
      await end(of: [readable(reused)]) { waits, _ in waits.handle(.readable, tag: staleTag) } == .cancelled)
    #expect(await end(of: [readable(reused)]) == .cancelled)
  }

  @Test mutating func `an ended wait leaves nothing armed, so its descriptor may close`() async {
    let (one, other) = (waits.addSlot(), waits.addSlot())
    let tag = waits.tag(of: one)
    _ = await end(of: [readable(one), readable(other)]) { waits, _ in waits.handle(.readable, tag: tag) }
    waits.removeSlot(one)
    waits.removeSlot(other)
  }

  @Test mutating func `a deadline that passed ends its wait and no other`() async {
    let early = Deadline(nanoseconds: 10)
    #expect(await end(of: [], until: early) { waits, _ in waits.expire(at: early) } == .timedOut)
    let late = Deadline(nanoseconds: 11)
    #expect(await end(of: [], until: late) { waits, _ in waits.expire(at: early) } == .cancelled)
    #expect(waits.earliestDeadline == nil)
  }

  @Test mutating func `the name of an ended wait wakes nobody`() async {
    var ended: WaitID?
    _ = await end(of: []) { _, id in ended = id }
    let stale = ended!
    let wakeup = await end(of: []) { waits, id in
      #expect(id.index == stale.index)
      waits.wake(stale, .ready(0))
    }
    #expect(wakeup == .cancelled)
  }

  @Test mutating func `the first reason to end a wait counts`() async {
    let slot = waits.addSlot()
    let tag = waits.tag(of: slot)
    let wakeup = await end(of: [readable(slot)]) { waits, id in
      waits.wake(id, .timedOut)
      waits.handle(.readable, tag: tag)
    }
    #expect(wakeup == .timedOut)
    #expect(await end(of: [readable(slot)]) == .ready(0))
  }

  @Test mutating func `a wait woken before its task is suspended ends at once`() async {
    let id = waits.begin(until: .never)
    waits.wake(id, .ready(0))
    let wakeup = await withUnsafeContinuation { waits.suspend(id, $0) }
    #expect(wakeup == .ready(0))
  }
}
