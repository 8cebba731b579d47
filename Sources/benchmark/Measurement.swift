import Transport

/// One contender under one load, while its process is watched.
struct Measurement {
  let name: String
  /// `nil` for the direct way.
  let process: ChildProcess?
  let load: Load
  let duration: Duration

  /// How many tunnels stand idle in `hold`.
  static let idleTunnels = 5000

  /// How many associations stand idle in `holdAssociations`.
  static let idleAssociations = 1000
  /// What `offer` sends, datagrams a second in all.
  static let offeredRate = 20_000

  /// `nil` when nothing succeeded.
  func sample(of figure: Figure) async -> Sample? {
    switch figure {
    case .tunnels, .chain: await openTunnels(atOnce: 64)
    case .single, .chainSingle: await openTunnels(atOnce: 1)
    case .down1: await flow { await $0.receive(streams: 1, until: $1, counter: $2) }
    case .down8: await flow { await $0.receive(streams: 8, until: $1, counter: $2) }
    case .up1: await flow { await $0.send(streams: 1, until: $1, counter: $2) }
    case .up8: await flow { await $0.send(streams: 8, until: $1, counter: $2) }
    case .roundTrips: await flow { await $0.makeRoundTrips(tunnels: 64, until: $1, counter: $2) }
    case .rest: await hold(Self.idleTunnels) { await $0.hold(Self.idleTunnels, atOnce: 50, counter: $1) }
    case .echo1: await flow { await $0.echo(associations: 1, octets: 64, until: $1, counter: $2) }
    case .echo1Large: await flow { await $0.echo(associations: 1, octets: 1200, until: $1, counter: $2) }
    case .echo32, .echoHops:
      await flow { await $0.echo(associations: 32, octets: 64, until: $1, counter: $2) }
    case .echo32Large: await flow { await $0.echo(associations: 32, octets: 1200, until: $1, counter: $2) }
    case .paced: await offer()
    case .associations:
      await hold(Self.idleAssociations) {
        await $0.holdAssociations(Self.idleAssociations, atOnce: 50, counter: $1)
      }
    case .verdicts: nil
    }
  }

  private func openTunnels(atOnce count: Int) async -> Sample? {
    _ = await load.openTunnels(atOnce: count, until: .after(duration / 5))
    await waitUntilQuiet()
    let before = process?.processorSeconds
    let start = Deadline.now
    let tally = await load.openTunnels(atOnce: count, until: start + duration)
    let seconds = Deadline.now.since(start).seconds
    await waitUntilQuiet()
    report(tally)
    return sample(
      of: tally, count: tally.nanoseconds.count, seconds: seconds,
      processor: process.map { $0.processorSeconds - (before ?? 0) })
  }

  /// Lets the tunnels run, and takes what passes within a window that begins once they do.
  private func flow(_ run: @escaping @Sendable (Load, Deadline, Load.Counter) async -> Tally) async -> Sample?
  {
    let counter = Load.Counter()
    let load = load
    let warm = Deadline.after(duration / 5)
    let end = warm + duration + .milliseconds(50)
    let running = Task { await run(load, end, counter) }
    await Machine.sleep(until: warm)
    let start = Deadline.now
    let before = process?.processorSeconds
    let countBefore = counter.value
    await Machine.sleep(until: start + duration)
    let seconds = Deadline.now.since(start).seconds
    let processor = process.map { $0.processorSeconds - (before ?? 0) }
    let count = counter.value - countBefore
    let tally = await running.value
    await waitUntilQuiet()
    report(tally)
    return sample(of: tally, count: count, seconds: seconds, processor: processor)
  }

  private func offer() async -> Sample? {
    await waitUntilQuiet()
    let (sent, returned) = (Load.Counter(), Load.Counter())
    let before = process?.processorSeconds
    let tally = await load.offer(
      Self.offeredRate, associations: 32, octets: 1200, until: .after(duration), sent: sent,
      returned: returned)
    let processor = process.map { $0.processorSeconds - (before ?? 0) }
    report(tally)
    let sample = sample(of: tally, count: returned.value, seconds: duration.seconds, processor: processor)
    return sample?.merging([.lost: 1 - Double(returned.value) / Double(sent.value)]) { $1 }
  }

  /// Lets `open` make `count` of something, and shares among them what the process has grown by.
  private func hold(_ count: Int, _ open: @escaping @Sendable (Load, Load.Counter) async -> Tally) async
    -> Sample?
  {
    guard let process else { return nil }
    await waitUntilQuiet()
    let resident = process.residentBytes
    let counter = Load.Counter()
    let load = load
    let holding = Task { await open(load, counter) }
    let limit = Deadline.after(.seconds(20))
    while counter.value < count, Deadline.now < limit {
      await Machine.sleep(until: .after(.milliseconds(20)))
    }
    await waitUntilQuiet()
    let grown = process.residentBytes - resident
    let isComplete = counter.value == count
    holding.cancel()
    report(await holding.value)
    guard isComplete else {
      say("\(name): \(counter.value) of \(count) stood idle")
      return [.resident: resident]
    }
    return [.resident: resident, .perTunnel: grown / Double(count)]
  }

  private func sample(of tally: Tally, count: Int, seconds: Double, processor: Double?) -> Sample? {
    guard count > 0 else { return nil }
    var sample: Sample = [.rate: Double(count) / seconds]
    if let processor { sample[.processor] = processor / Double(count) }
    if !tally.nanoseconds.isEmpty {
      let sorted = tally.nanoseconds.sorted()
      sample[.median] = Double(sorted[(sorted.count - 1) / 2]) / 1e9
      sample[.percentile99] = Double(sorted[(sorted.count - 1) * 99 / 100]) / 1e9
    }
    return sample
  }

  /// Until it has used no processor time for 20 ms: what belongs to the load before is then paid. At most a second.
  private func waitUntilQuiet() async {
    guard let process else { return }
    var last = process.processorSeconds
    for _ in 0..<50 {
      await Machine.sleep(until: .after(.milliseconds(20)))
      let now = process.processorSeconds
      if now - last < 1e-5 { return }
      last = now
    }
  }

  private func report(_ tally: Tally) {
    guard let first = tally.failures.first else { return }
    say("\(name): \(tally.failures.count) failed, the first with \(first)")
  }
}
