import Synchronization
import Transport

/// What the load client did, and how long each piece took.
struct Tally: Sendable {
  /// Of each piece that succeeded.
  var nanoseconds: [UInt64] = []
  var failures: [any Error] = []

  static func + (one: Tally, other: Tally) -> Tally {
    Tally(nanoseconds: one.nanoseconds + other.nanoseconds, failures: one.failures + other.failures)
  }
}

/// The load client: so many workers at once, spread over the loops, each with one tunnel at a time.
struct Load {
  let loops: [EventLoop]
  let road: Road

  /// So long may one tunnel take to open or to end, before it counts as failed.
  private static let patience = Duration.seconds(10)
  /// A worker that fails this often has nothing to measure.
  private static let tolerance = 100

  func run(_ count: Int, _ worker: @escaping @Sendable (EventLoop) async -> Tally) async -> Tally {
    await withTaskGroup { group in
      for index in 0..<count {
        let loop = loops[index % loops.count]
        group.addTask(executorPreference: loop) { await worker(loop) }
      }
      return await group.reduce(Tally(), +)
    }
  }

  // MARK: New tunnels

  /// Opens tunnels to a target that closes at once, and waits for each one's end, until `deadline`.
  func openTunnels(atOnce count: Int, until deadline: Deadline) async -> Tally {
    await run(count) { loop in
      var tally = Tally()
      while Deadline.now < deadline, tally.failures.count < Self.tolerance {
        let start = Deadline.now
        do {
          try await openAndEnd(on: loop)
          tally.nanoseconds.append(Deadline.now.nanoseconds - start.nanoseconds)
        } catch {
          tally.failures.append(error)
        }
      }
      return tally
    }
  }

  private func openAndEnd(on loop: EventLoop) async throws {
    let limit = Deadline.after(Self.patience)
    let stream = try await road.open(on: loop, until: limit)
    var input: [UInt8] = []
    while try await stream.read(into: &input, until: limit) {}
  }

  // MARK: Busy tunnels

  /// What busy tunnels have moved so far: bytes, or round trips. Read while they run.
  final class Counter: Sendable {
    private let total = Atomic<Int>(0)

    var value: Int { total.load(ordering: .relaxed) }

    func add(_ count: Int) { total.add(count, ordering: .relaxed) }
  }

  func receive(streams: Int, until deadline: Deadline, counter: Counter) async -> Tally {
    await busy(streams, until: deadline) { stream in
      var bytes: [UInt8] = []
      while try await stream.read(into: &bytes, atMost: EventLoop.scratchSize, until: deadline) {
        counter.add(bytes.count)
        bytes.removeAll(keepingCapacity: true)
      }
      throw Road.Failure.closed
    }
  }

  func send(streams: Int, until deadline: Deadline, counter: Counter) async -> Tally {
    let block = [UInt8](repeating: 0x53, count: 256 * 1024)
    return await busy(streams, until: deadline) { stream in
      while true {
        try await stream.write(block, until: deadline)
        counter.add(block.count)
      }
    }
  }

  /// 64 bytes to a target that echoes, and back, one after another on each tunnel.
  func makeRoundTrips(tunnels: Int, until deadline: Deadline, counter: Counter) async -> Tally {
    let message = [UInt8](repeating: 0x53, count: 64)
    return await busy(tunnels, until: deadline) { stream, tally in
      var bytes: [UInt8] = []
      while true {
        let start = Deadline.now
        try await stream.write(message, until: deadline)
        bytes.removeAll(keepingCapacity: true)
        while bytes.count < message.count {
          guard try await stream.read(into: &bytes, until: deadline) else { throw Road.Failure.closed }
        }
        tally.nanoseconds.append(Deadline.now.nanoseconds - start.nanoseconds)
        counter.add(1)
      }
    }
  }

  /// Runs `work` on so many tunnels until the deadline, which is how it is meant to end.
  private func busy(
    _ count: Int, until deadline: Deadline,
    _ work: @escaping @Sendable (borrowing TCPStream, inout Tally) async throws -> Void
  ) async -> Tally {
    await run(count) { loop in
      var tally = Tally()
      do {
        let stream = try await road.open(on: loop, until: .after(Self.patience))
        try await work(stream, &tally)
      } catch {
        if Deadline.now < deadline { tally.failures.append(error) }
      }
      return tally
    }
  }

  private func busy(
    _ count: Int, until deadline: Deadline,
    _ work: @escaping @Sendable (borrowing TCPStream) async throws -> Void
  ) async -> Tally {
    await busy(count, until: deadline) { stream, _ in try await work(stream) }
  }

  // MARK: Idle tunnels

  /// Opens `count` tunnels, `atOnce` at a time, counts each that stands, and holds them all until it is cancelled.
  func hold(_ count: Int, atOnce: Int, counter: Counter) async -> Tally {
    await run(atOnce) { loop in
      var tally = Tally()
      var held: [Held] = []
      do {
        for _ in 0..<(count / atOnce) {
          held.append(Held(try await road.open(on: loop, until: .after(Self.patience))))
          counter.add(1)
        }
      } catch {
        tally.failures.append(error)
      }
      try? await loop.sleep(until: .never)
      _ = held
      return tally
    }
  }

  /// An array cannot hold the stream itself, which has one owner.
  private final class Held {
    let stream: TCPStream

    init(_ stream: consuming TCPStream) {
      self.stream = stream
    }
  }
}
