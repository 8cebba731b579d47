import Addresses
import Routing
import Transport

extension WarmChains {
  func pauseEnd(of entry: WarmChain) -> Deadline {
    let pauseEnd = max(entry.stock.pauseEnd, shortageEnd)
    return entry.isChosen ? max(pauseEnd, health.pauseEnd(of: entry.chain)) : pauseEnd
  }

  func refill(_ entry: WarmChain, at now: Deadline) {
    var missing = entry.missing(at: now)
    guard missing > 0, !isClosed, pauseEnd(of: entry) <= now else { return }
    missing = min(missing, entry.shelf.room(for: entry))
    guard missing > 0 else { return }
    for _ in 0..<missing {
      entry.refills += 1
      begin { [self] in
        let isMade = await makeTunnel(for: entry)
        entry.refills -= 1
        stopWatching()
        tend(entry, at: .now)
        if isMade {
          await makeDialer().tryPipelining(of: entry.chain, noting: entry.isChosen ? health : nil)
        }
      }
    }
  }

  /// True when there is one more.
  private func makeTunnel(for entry: WarmChain) async -> Bool {
    var dialer = makeDialer()
    let budget = dialer.policy.timeouts.dial
    // This finds out whether a hop that was down is up again.
    let journey = Journey(upkeepOf: entry.chain, health: health)
    if entry.isChosen {
      _ = journey.next()
      dialer.journey = journey
    }
    let start = Deadline.now
    do throws(Failure) {
      let hop = try await dialer.reach(entry.chain.hops.count - 1, of: entry.chain, until: start + budget)
      // Whoever speaks unasked is not understood when it is asked.
      guard hop.input.isEmpty else { throw Failure(hop.hop.place, .request, .closed) }
      let now = Deadline.now
      entry.stock.reach(after: now.since(start), roundTrip: hop.stream.roundTrip, at: now)
      journey.arrive(showing: .admission)
      dialer.ledger?.note(nil, of: entry.chain)
      // It may have turned out to be no use.
      guard !isClosed, shortageEnd <= now, entry.stock.target(at: now) > 0 else { return false }
      entry.add(hop)
      return true
    } catch {
      if error.cause.isShortage { giveUp() }
      var failure = error
      journey.noteFullness(in: &failure)
      dialer.ledger?.note(failure, of: entry.chain)
      let resting = error.cause == .system(.timedOut) ? 0 : entry.tunnels.count
      // While others stand, it is one too many, and the hop is not down.
      journey.fail(failure, as: resting > 0 ? .refusal : nil)
      let now = Deadline.now
      if entry.isChosen, resting == 0, health.pauseEnd(of: entry.chain) > now {
        entry.stock.yield()
      } else {
        entry.stock.fail(at: now, resting: resting, jitter: .random(in: 0..<1))
      }
      return false
    }
  }

  // MARK: Asking what nobody waits for

  /// Has the pipelining of a chain's hops tried while no client waits for that.
  ///
  /// - Parameter isChosen: whether a plan leads through the chain, so that what is found out of its hops counts.
  func tryPipelining(of chain: Chain, isChosen: Bool) {
    guard !isClosed else { return }
    begin { [self] in await makeDialer().tryPipelining(of: chain, noting: isChosen ? health : nil) }
  }

  /// Asks a tunnel at rest for a name that does not exist (RFC 6761 §6.4): when it is closed or silent, those of its age
  /// are lost, and the next are replaced before.
  func ask(_ tunnel: WarmChain.Tunnel, of entry: WarmChain) {
    let age = Deadline.now.since(tunnel.since)
    begin { [self] in
      guard var hop = tunnel.take(), let nowhere = Endpoint("pipelining.invalid:9") else { return }
      let deadline = Deadline.after(hop.hop.upstream.timeout)
      do throws(Failure) {
        _ = try await makeDialer().ask(&hop, .connect, nowhere, until: deadline)
      } catch {
        guard error.isOfALostTunnel else { return }
        entry.stock.end(at: .now, age: age, jitter: .random(in: 0..<1))
        tend(entry, at: .now)
      }
    }
  }
}
