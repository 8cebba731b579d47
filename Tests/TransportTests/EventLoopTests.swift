import Glibc
import Synchronization
import Testing

@testable import Transport

/// What waiting tasks tell the others.
private final class Waiting: Sendable {
  let count = Atomic(0)
  let name = Mutex<WaitID?>(nil)
}

/// Many pipes, and how many of them were found ready.
private final class Pipes: Sendable {
  let writers = Mutex<[Int32]>([])
  let ready = Atomic(0)
}

@Suite(.timeLimit(.minutes(10))) struct EventLoopTests {
  @Test func `a task goes on on the loop's thread after every kind of wait`() async throws {
    try await onLoop { loop in
      #expect(loop.isCurrent)
      let pipe = try TestPipe(on: loop)
      pipe.put()
      #expect(await loop.wait(for: pipe.readable, until: .never) == .ready(0))
      #expect(loop.isCurrent)
      #expect(await loop.wait(for: [], until: .after(.milliseconds(1))) == .timedOut)
      #expect(loop.isCurrent)
      await withTaskGroup(of: Void.self) { group in
        group.addTask {
          #expect(await loop.wait(for: [], until: .never) == .cancelled)
          #expect(loop.isCurrent)
        }
        group.cancelAll()
      }
      #expect(loop.isCurrent)
    }
  }

  @Test func `what is always ready lets others run, and has deadlines`() async throws {
    try await onLoop { loop in
      let busy = try TestPipe(on: loop)
      let other = try TestPipe(on: loop)
      var interest = busy.readable
      interest.isReady = true
      let waiting = Waiting()
      async let wakeup: Void = {
        #expect(await loop.wait(for: other.readable, until: .never) == .ready(0))
        waiting.count.add(1, ordering: .relaxed)
      }()
      for _ in 0..<10 { #expect(await loop.wait(for: interest, until: .never) == .ready(0)) }
      #expect(waiting.count.load(ordering: .relaxed) == 0)
      other.put()
      while waiting.count.load(ordering: .relaxed) == 0 {
        #expect(await loop.wait(for: interest, until: .never) == .ready(0))
      }
      await wakeup
      #expect(await loop.wait(for: interest, until: .now) == .timedOut)
      loop.interrupt()
      #expect(await loop.waitUntilInterrupted(for: interest, or: other.readable, until: .never) == .cancelled)
    }
  }

  /// What is ready came in time, and the loop looked at it too late.
  @Test func `everything that is ready goes before deadlines, however much it is`() async throws {
    let count = 300
    let pipes = Pipes()
    try await onLoop { loop in
      let deadline = Deadline.after(.seconds(1))
      try await withThrowingTaskGroup(of: Void.self) { group in
        for _ in 0..<count {
          group.addTask(executorPreference: loop) {
            let pipe = try TestPipe(on: loop)
            pipes.writers.withLock { $0.append(pipe.writeEnd.rawValue) }
            if await loop.wait(for: pipe.readable, until: deadline) == .ready(0) {
              pipes.ready.add(1, ordering: .relaxed)
            }
          }
        }
        while pipes.writers.withLock({ $0.count }) < count {
          try await loop.sleep(until: .after(.milliseconds(1)))
        }
        for writer in pipes.writers.withLock({ $0 }) { _ = Glibc.write(writer, [1], 1) }
        // The loop's own thread waits.
        while Deadline.now < deadline { usleep(1000) }
        try await group.waitForAll()
      }
    }
    #expect(pipes.ready.load(ordering: .relaxed) == count)
  }

  @Test func `a loop knows since when it has not run for a while`() async throws {
    try await onLoop { loop in
      for _ in 0..<2 {
        let start = Deadline.now
        #expect(!loop.hasStalled(since: start))
        // A task that holds the loop up.
        while Deadline.now < start + .milliseconds(300) { usleep(1000) }
        try await loop.sleep(until: .after(.milliseconds(1)))
        #expect(loop.hasStalled(since: start) && !loop.hasStalled(since: .now))
      }
    }
  }

  @Test func `a task comes back to the loop from other threads`() async throws {
    try await onLoop { loop in
      for _ in 0..<100 {
        let elsewhere = await Task.detached { loop.isCurrent }.value
        #expect(!elsewhere)
        #expect(loop.isCurrent)
      }
    }
  }

  @Test func `a wait ends when its descriptor becomes ready`() async throws {
    try await onLoop { loop in
      let pipe = try TestPipe(on: loop)
      let (one, writeEnd) = (pipe.readable, pipe.writeEnd.rawValue)
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { #expect(await loop.wait(for: one, until: .never) == .ready(0)) }
        group.addTask { #expect(Glibc.write(writeEnd, [1], 1) == 1) }
        try await group.waitForAll()
      }
    }
  }

  @Test func `a descriptor that was ready before it is waited for is ready`() async throws {
    try await onLoop { loop in
      let pipe = try TestPipe(on: loop)
      pipe.put()
      try await loop.sleep(until: .after(.milliseconds(1)))
      #expect(await loop.wait(for: pipe.readable, until: .now) == .ready(0))
    }
  }

  @Test func `of several descriptors the ready one is named`() async throws {
    try await onLoop { loop in
      let one = try TestPipe(on: loop)
      let other = try TestPipe(on: loop)
      other.put()
      #expect(
        await loop.waitUntilInterrupted(for: one.readable, or: other.readable, until: .never) == .ready(1))
      one.put()
      #expect(await loop.wait(for: [other.readable, one.readable], until: .never) == .ready(1))
    }
  }

  @Test func `a wait can be ended by its name`() async throws {
    try await onLoop { loop in
      let waiting = Waiting()
      await withTaskGroup(of: Void.self) { group in
        group.addTask {
          let wakeup = await loop.wait(for: [], until: .never) { id in waiting.name.withLock { $0 = id } }
          #expect(wakeup == .ready(0))
        }
        group.addTask {
          while true {
            if let id = waiting.name.withLock({ $0 }) { return loop.wake(id) }
            await Task.yield()
          }
        }
      }
    }
  }

  @Test func `a task that was cancelled before does not wait`() async throws {
    try await onLoop { loop in
      await withTaskGroup(of: Void.self) { group in
        group.cancelAll()
        group.addTask { #expect(await loop.wait(for: [], until: .never) == .cancelled) }
      }
    }
  }

  @Test func `cancelling from another thread reaches every waiting task`() async throws {
    let loops = try (0..<2).map { _ in try EventLoop() }
    defer { for loop in loops { loop.stop() } }
    let waiting = Waiting()
    await withTaskGroup(of: Void.self) { group in
      for index in 0..<1000 {
        let loop = loops[index % loops.count]
        group.addTask(executorPreference: loop) {
          waiting.count.add(1, ordering: .relaxed)
          #expect(await loop.wait(for: [], until: .after(.seconds(3600))) == .cancelled)
        }
      }
      while waiting.count.load(ordering: .relaxed) < 1000 { await Task.yield() }
      group.cancelAll()
    }
  }

  @Test func `deadlines pass in their order, not in that of their setting`() async throws {
    let order = try await onLoop { loop in
      let start = Deadline.now
      return try await withThrowingTaskGroup { group in
        for milliseconds in [5, 1, 4, 2, 3] {
          group.addTask {
            try await loop.sleep(until: start + .milliseconds(milliseconds))
            return milliseconds
          }
        }
        return try await group.reduce(into: []) { $0.append($1) }
      }
    }
    #expect(order == [1, 2, 3, 4, 5])
  }

  @Test func `a deadline does not pass early`() async throws {
    try await onLoop { loop in
      for microseconds in [1, 999, 1000, 1001] {
        let deadline = Deadline.after(.microseconds(microseconds))
        try await loop.sleep(until: deadline)
        #expect(Deadline.now >= deadline)
      }
    }
  }

  @Test func `what was queued when the loop is stopped still runs`() async throws {
    let loop = try EventLoop()
    let ran = try await on(loop) {
      loop.stop()
      var turns = 0
      for _ in 0..<10 {
        await Task.yield()
        turns += 1
      }
      return turns
    }
    #expect(ran == 10)
  }

  @Test func `a stopped loop is released, with its thread and descriptors`() async throws {
    for _ in 0..<50 {
      weak var released: EventLoop?
      do {
        let loop = try EventLoop()
        released = loop
        _ = try await on(loop) { loop.isCurrent }
        loop.stop()
      }
      while released != nil { await Task.yield() }
    }
  }

  @Test func `a descriptor closes when its owner ends`() async throws {
    try await onLoop { loop in
      var ends: [Int32] = [0, 0]
      try #require(pipe(&ends) == 0)
      let readEnd = try PolledDescriptor(FileDescriptor(owning: ends[0]), on: loop)
      let writeEnd = FileDescriptor(owning: ends[1])
      #expect(await loop.wait(for: readEnd.interest(in: .readable), until: .now) == .timedOut)
      _ = consume writeEnd
      #expect(await loop.wait(for: readEnd.interest(in: .readable), until: .never) == .ready(0))
      var byte: UInt8 = 0
      #expect(Glibc.read(readEnd.rawValue, &byte, 1) == 0)
    }
  }
}
