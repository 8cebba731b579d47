import Addresses
import Routing
import Settings
import Transport

/// The worker's listeners: it accepts there, and deals out what no other worker can accept.
extension Worker {
  /// A socket of a listener that the worker is to serve.
  struct Door: Sendable {
    let socket: ListeningSocket
    /// The listener's.
    let number: Int
    /// Other workers have no socket of the listener: its connections are dealt out to all.
    let isDealt: Bool
  }

  struct OpenListener {
    let socket: TCPListener
    let number: Int
    let isDealt: Bool
    /// The latest that has the listener: the connections that wait at one that is taken away are served as before.
    var policy: Policy
    /// More connections may be waiting than were taken.
    var mayAccept = true
  }

  // MARK: Opening and closing

  /// Takes over sockets that listen, from which nothing is accepted before `settle`. When it fails it has taken none.
  func adopt(_ doors: [Door], for policy: Policy) throws(Errno) {
    for (index, door) in doors.enumerated() {
      do throws(Errno) {
        adopted.append(
          OpenListener(
            socket: try TCPListener(door.socket, on: loop), number: door.number, isDealt: door.isDealt,
            policy: policy))
      } catch {
        adopted = []
        for door in doors[(index + 1)...] { door.socket.close() }
        throw error
      }
    }
  }

  /// Closes what was adopted and will not be served.
  func abandon() {
    adopted = []
  }

  /// Begins to serve what was adopted, and closes the listeners of these numbers.
  func settle(closing numbers: Set<Int>) {
    // Ends the wait first: no descriptor may close while a wait is armed for it.
    if let idle { loop.wake(idle) }
    close { numbers.contains($0.number) }
    // A reload may be under way when the server begins to drain: the worker has closed its listeners, and closes no more.
    if !server.isDraining { listeners += adopted }
    adopted = []
    listenersChanged = true
    let limits = server.policy.limits
    resolver.limit(to: limits[.questions], ofOne: limits[.clientQuestions]) { [unowned self] refusal in
      tell(
        ReachedLimit(refusal.isOfShare ? .clientQuestions : .questions, value: refusal.limit),
        of: refusal.client)
    }
    loop.limitPipes(to: limits.pipes)
    server.health.limitEarlyChecks(to: limits.checks)
    // No listener keeps the table before in memory.
    for place in listeners.indices { listeners[place].policy = server.policy }
  }

  /// Accepts the connections in the listeners' queues, then closes these listeners: the kernel has connected those clients,
  /// and would reset them. Connections in the queue of a passed socket stay there for the next program.
  func close(_ isConcerned: (OpenListener) -> Bool) {
    let closing = listeners.indices.filter {
      isConcerned(listeners[$0]) && !listeners[$0].socket.isPassed
    }
    for place in closing { listeners[place].socket.stopListening() }
    // A TCP handshake over loopback that was under way during the first round is complete in the second.
    for place in closing + closing {
      while acceptBatch(at: place), listeners[place].socket.restsUntil == nil {}
    }
    listeners.removeAll(where: isConcerned)
    listenersChanged = true
  }

  // MARK: Accepting

  /// How many connections to accept before the sessions already begun have a turn.
  private static let batch = 64

  /// True when there may be more waiting than were taken, now or when the listener has rested.
  func acceptBatch(at place: Int) -> Bool {
    let socket = listeners[place].socket
    do throws(Errno) {
      for _ in 0..<Self.batch {
        // Under EMFILE, warm tunnels are closed before a client is rejected.
        guard let connection = try socket.accept(makeRoom: { warm.giveUp() }) else {
          return socket.restsUntil != nil
        }
        admit(connection, at: place)
      }
      return true
    } catch {
      tell(error, at: listeners[place].number, listeners[place].policy)
      return true
    }
  }

  private func admit(_ connection: TCPListener.Connection, at place: Int) {
    let number = listeners[place].number
    let current = server.policy
    if current !== listeners[place].policy, current[listener: number] != nil {
      listeners[place].policy = current
    }
    let policy = listeners[place].policy
    guard let entry = policy[listener: number], entry.listener.clients.admit(connection.peer?.address) else {
      return connection.close()
    }
    let occupied = server.occupancy.enter(connection.client, limits: policy.limits)
    if let displaced = occupied.displaced {
      displaced.connection?.giveUpHandshake(for: displaced.reached.limit)
      log(displaced)
    }
    if let refusal = occupied.refusal { log(refusal, of: connection.peer, at: entry.listener.id) }
    guard case .admitted(let seat) = occupied.admission else { return connection.close() }
    let worker = listeners[place].isDealt ? nextWorker() : self
    guard worker !== self else { return take(connection, at: number, policy, seat) }
    Task(executorPreference: worker.loop) {
      worker.take(connection, at: number, policy, seat)
      if let idle = worker.idle { worker.loop.wake(idle) }
    }
  }

  /// The worker that is to serve the next connection. Other workers may have ended while the server drains.
  private func nextWorker() -> Worker {
    let workers = server.state.withLock { $0.workers }
    guard !server.isDraining, !workers.isEmpty else { return self }
    turn += 1
    return workers[turn % workers.count]
  }

  private func take(
    _ connection: TCPListener.Connection, at number: Int, _ policy: Policy, _ seat: Occupancy.Place
  ) {
    do throws(Errno) {
      let session = try Session(connection, listener: number, policy: policy, place: seat, worker: self)
      if let limit = server.occupancy.attach(session, to: seat) { session.giveUpHandshake(for: limit) }
      sessions += 1
      accepted.append(session)
    } catch {
      server.occupancy.leave(seat)
      tell(error, at: number, policy)
    }
  }

  private func tell(_ error: Errno, at number: Int, _ policy: Policy) {
    guard let id = policy[listener: number]?.listener.id else { return }
    let notice = { @Sendable [unowned server] count in
      Notice.turnedAway(listener: server.address(of: id), error, count: count)
    }
    if isNews(.turnedAway(error), notice: notice) { server.sink.record(notice(1)) }
  }

  /// Counts what a limit has refused, and tells the log if it is time for that.
  func tell(_ reached: ReachedLimit, of client: SocketAddress?, at listener: ListenerID) {
    server.occupancy.count(reached)
    log(reached, of: client, at: listener)
  }

  /// Counts a name that a limit has kept from being looked up, and tells the log if it is time for that.
  ///
  /// - Parameter client: for whom; `nil`: the program itself.
  private func tell(_ reached: ReachedLimit, of client: Client?) {
    server.occupancy.count(reached)
    let notice = { @Sendable count in Notice.nameRefused(reached, client: client, count: count) }
    if isNews(.limit(reached.limit), notice: notice) { server.sink.record(notice(1)) }
  }

  private func log(_ reached: ReachedLimit, of client: SocketAddress?, at listener: ListenerID) {
    let client = client?.address.description ?? "unix"
    let notice = { @Sendable [unowned server] count in
      Notice.limitReached(reached, client: client, listener: server.address(of: listener), count: count)
    }
    if isNews(.limit(reached.limit), notice: notice) { server.sink.record(notice(1)) }
  }

  private func log(_ displaced: Occupancy.Displaced) {
    let (reached, client, held) = (displaced.reached, displaced.client, displaced.held)
    let notice = { @Sendable count in
      Notice.handshakeClosed(reached, client: client, held: held, count: count)
    }
    if isNews(.limit(reached.limit), notice: notice) { server.sink.record(notice(1)) }
  }
}

extension [Prefix] {
  /// Whether a client at that address may connect at all, where these are a listener's `clients`.
  fileprivate func admit(_ client: IPAddress?) -> Bool {
    guard !isEmpty, let client else { return true }
    return contains { $0.contains(client) }
  }
}
