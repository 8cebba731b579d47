import Transport

/// Datagrams that are echoed: the payload begins with a round and a moment, 8 octets each, for the client alone.
extension Load {
  /// So many are under way in each association.
  private static let window = 8
  /// What has not come back by then is lost.
  private static let patience = Duration.milliseconds(300)
  private static let stampSize = 16

  /// Sends each datagram again as soon as it is back, until the deadline. After a loss, a new window begins.
  func echo(associations: Int, octets: Int, until deadline: Deadline, counter: Counter) async -> Tally {
    await associated(associations, until: deadline) { association, loop, tally in
      var round: UInt64 = 0
      while Deadline.now < deadline {
        round += 1
        for _ in 0..<Self.window { try send(octets, over: association, round) }
        while await canReceive(from: association, on: loop, until: min(deadline, .after(Self.patience))) {
          let batch = loop.datagrams
          let count = try batch.receive(from: association.socket)
          var current = 0
          for index in 0..<count {
            let stamp = stamp(of: index, in: batch, behind: association.header)
            guard stamp.round == round else { continue }
            current += 1
            tally.nanoseconds.append(Deadline.now.nanoseconds - stamp.moment)
            restamp(index, in: batch, behind: association.header, round)
            batch.stage(index, to: nil)
          }
          _ = batch.send(on: association.socket)
          counter.add(current)
        }
        if Deadline.now < deadline { tally.failures.append(Road.Failure.lost) }
      }
    }
  }

  /// Sends so many a second in all, whatever comes back.
  func offer(
    _ rate: Int, associations: Int, octets: Int, until deadline: Deadline, sent: Counter, returned: Counter
  ) async -> Tally {
    let interval = Deadline.Interval(.nanoseconds(1_000_000_000 * associations / rate))
    return await associated(associations, until: deadline) { association, loop, tally in
      var next = Deadline.now
      let end = deadline + Self.patience
      while Deadline.now < end {
        while next <= .now, next < deadline {
          try send(octets, over: association, 0)
          sent.add(1)
          next = next + interval
        }
        let pause = next < deadline ? next : end
        guard await canReceive(from: association, on: loop, until: pause) else { continue }
        var count = 0
        repeat {
          count = try loop.datagrams.receive(from: association.socket)
          returned.add(count)
        } while count == DatagramBatch.capacity
      }
    }
  }

  /// Opens so many associations, sees a datagram come back through each, and holds them until it is cancelled.
  func holdAssociations(_ count: Int, atOnce: Int, counter: Counter) async -> Tally {
    await run(atOnce) { loop in
      var tally = Tally()
      var held: [Association] = []
      do {
        for _ in 0..<(count / atOnce) {
          let association = try await road.associate(on: loop, until: .after(.seconds(10)))
          try send(64, over: association, 0)
          guard await canReceive(from: association, on: loop, until: .after(.seconds(2))) else {
            throw Road.Failure.lost
          }
          held.append(association)
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

  private func associated(
    _ count: Int, until deadline: Deadline,
    _ work: @escaping @Sendable (Association, EventLoop, inout Tally) async throws -> Void
  ) async -> Tally {
    await run(count) { loop in
      var tally = Tally()
      do {
        try await work(road.associate(on: loop, until: deadline), loop, &tally)
      } catch {
        if Deadline.now < deadline { tally.failures.append(error) }
      }
      return tally
    }
  }

  private func canReceive(
    from association: Association, on loop: EventLoop, until deadline: Deadline
  ) async -> Bool {
    await loop.wait(for: association.socket.interest(in: .readable), until: deadline) == .ready(0)
  }

  // MARK: Stamps

  private func send(_ octets: Int, over association: Association, _ round: UInt64) throws {
    var message = association.header
    for number in [round, Deadline.now.nanoseconds] {
      message += (0..<8).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }
    }
    message += [UInt8](repeating: 0x53, count: octets - Self.stampSize)
    try association.socket.send(message, to: nil)
  }

  private func stamp(
    of index: Int, in batch: DatagramBatch, behind header: [UInt8]
  ) -> (round: UInt64, moment: UInt64) {
    batch.withBytes(of: index) { bytes in
      guard bytes.count >= header.count + Self.stampSize else { return (0, 0) }
      func number(at start: Int) -> UInt64 {
        (0..<8).reduce(0) { $0 | UInt64(bytes[start + $1]) << (8 * UInt64($1)) }
      }
      return (number(at: header.count), number(at: header.count + 8))
    }
  }

  private func restamp(_ index: Int, in batch: DatagramBatch, behind header: [UInt8], _ round: UInt64) {
    let count = header.count + Self.stampSize
    let now = Deadline.now.nanoseconds
    batch.dropFirst(count, of: index)
    _ = batch.prepend(count: count, to: index, towards: .loopback4) { output in
      for octet in header { output.append(octet) }
      for shift in 0..<8 { output.append(UInt8(truncatingIfNeeded: round >> (8 * shift))) }
      for shift in 0..<8 { output.append(UInt8(truncatingIfNeeded: now >> (8 * shift))) }
    }
  }
}
