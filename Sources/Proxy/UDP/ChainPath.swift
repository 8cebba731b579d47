import Addresses
import Routing
import Settings
import Transport

/// One association's way through one chain, from its first datagram until it is idle or a hop ends it.
///
/// `@unchecked` holds because it belongs to an association, whose tasks run on one thread.
final class ChainPath: @unchecked Sendable {
  /// As the table has it.
  let chain: Chain
  /// The same as it is dialled: with the credentials of the identity whose path it is.
  let isolated: Chain
  let contacts = Contacts()
  /// What waits for it to be opened.
  let waiting = WaitingDatagrams()
  /// `nil` before it is opened and after it has ended, which closes its sockets: flows keep the path for longer.
  private(set) var nested: NestedAssociation?
  /// For its sockets, as long as it has any.
  private var seat: Shares.Seat?
  private(set) var wasOpened = false
  private(set) var hasEnded = false
  /// The destination has been heard through it.
  private(set) var hasAnswered = false
  var lastUse = Deadline.now
  private unowned let association: Association
  /// What chose the chain, if it was chosen: it is told what comes of it, and counts the path among what goes through
  /// the chain's hops. `nil` after the path has ended: flows keep the path for longer.
  private var journey: Journey?
  /// For all that it takes to open it, and to open another in its place when it fails.
  let budget: Duration
  /// A plan has chosen the chain: `Health` hears what comes of it.
  let isChosen: Bool
  private let ledger: Ledger
  private let outages: Outages
  /// It counts among what goes through its hops.
  private var isCounted = false
  private var refusals = 0
  /// The wait of `run`.
  private var wait: WaitID?

  /// How many ICMP refusals in a row, without an answer, mean that the first hop's relay is gone.
  private static let refusalLimit = 3

  /// - Parameter route: the one that chose the chain; `nil`: the default.
  init(
    _ chain: Chain, as isolated: Chain, by route: Route?, of association: Association,
    journey: Journey? = nil
  ) {
    self.chain = chain
    self.isolated = isolated
    self.journey = journey
    isChosen = journey != nil
    self.association = association
    ledger = association.worker.ledger
    outages = association.worker.server.outages
    budget = route?.timeout ?? association.terms.policy.timeouts.dial
  }

  deinit { leave() }

  private func leave() {
    journey = nil
    guard isCounted else { return }
    ledger.leave(chain)
    outages.leave(chain)
    isCounted = false
  }

  /// Opens it, within the time for a whole dial. Where a plan has other ways, it takes its share of that.
  ///
  /// - Parameter end: when the time for all ways of the plan is over; `nil`: it begins now.
  func open(until end: Deadline? = nil) async throws(Failure) {
    var dialer = association.worker.dialer(association.terms.policy, for: association.terms.client)
    dialer.journey = journey
    dialer.warm = association.worker.warm
    do throws(Failure) {
      seat = try takeSeat()
      let end = end ?? .after(budget)
      let deadline = journey?.share(until: end) ?? end
      nested = try await NestedAssociation.open(isolated, by: dialer, budget: deadline.since(.now))
    } catch {
      seat = nil
      var failure = error
      failure.hasCarriedUDP = outages.hasCarried(at: failure.place, of: chain)
      journey?.noteFullness(in: &failure)
      journey?.fail(failure)
      ledger.note(failure, of: chain)
      throw failure
    }
    // No hop needs to reach anything for that.
    journey?.arrive(showing: .answer)
    outages.enter(chain, as: isolated)
    ledger.note(nil, of: chain)
    ledger.enter(chain)
    isCounted = true
    wasOpened = true
    lastUse = .now
  }

  /// Room for a control connection to each hop, and the socket for datagrams.
  private func takeSeat() throws(Failure) -> Shares.Seat {
    let (terms, worker) = (association.terms, association.worker)
    do throws(ReachedLimit) {
      return try worker.server.shares.seatSockets(
        chain.hops.count + 1, of: terms.client, limits: terms.policy.limits)
    } catch {
      worker.tell(error, of: terms.peer, at: terms.listener)
      throw Failure(.hop(0, of: chain.hops.count, name: chain.hops[0].name), .associate, .overLimit(error))
    }
  }

  /// Opens it, if that was not done, and brings answers until nobody has used it for the idle limit. Throws why it ended
  /// otherwise.
  func run(onOpen: () -> Void) async throws(Failure) {
    defer {
      hasEnded = true
      nested = nil
      seat = nil
      leave()
    }
    if nested == nil { try await open() }
    guard let nested else { return }
    onOpen()
    let idle = Deadline.Interval(association.terms.policy.timeouts.udpIdle)
    let interests = nested.interests
    while !hasEnded {
      let wakeup = await association.loop.wait(for: interests, until: lastUse + idle) { wait = $0 }
      wait = nil
      switch wakeup {
      case .ready(0):
        while try receive(nested) {
          await Task.yield()
          if hasEnded || Task.isCancelled { return }
        }
      case .ready(let position):
        while try nested.listen(to: position - 1) {
          await Task.yield()
          if hasEnded || Task.isCancelled { return }
        }
      case .timedOut where lastUse + idle <= association.loop.now:
        return
      case .timedOut:
        break
      case .cancelled:
        return
      }
    }
  }

  /// Ends it, to make room for another. An open one only.
  func end() {
    hasEnded = true
    if let wait { association.loop.wake(wait) }
  }

  /// True when there may be more.
  private func receive(_ nested: NestedAssociation) throws(Failure) -> Bool {
    do {
      return try nested.outlet.socket.receive {
        deliver($0, nested)
      } flush: {
        association.flush()
      }
    } catch  where error.isShortage {
      // It says nothing of the hop. The next arrival is another try.
      return false
    } catch {
      try note(error)
      return true
    }
  }

  private func deliver(_ slot: Int, _ nested: NestedAssociation) {
    guard let source = nested.unwrap(slot, in: association.loop.datagrams) else {
      return association.drops.count(.foreign)
    }
    guard association.deliver(slot, from: source, if: contacts) else { return }
    refusals = 0
    hasAnswered = true
    lastUse = association.loop.now
  }

  private func note(_ error: Errno) throws(Failure) {
    refusals += 1
    guard refusals >= Self.refusalLimit else { return }
    throw Failure(.hop(0, of: chain.hops.count, name: chain.hops[0].name), .relay, .system(error))
  }
}
