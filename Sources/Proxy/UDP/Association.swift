import Addresses
import Routing
import Settings
import Transport
import Wire

/// One client's UDP ASSOCIATE (RFC 1928 §7): the relay socket that it sends to, for as long as it holds its control
/// connection.
///
/// One task serves these two and the sockets towards direct destinations; each chain in use, and each name being looked
/// up, has a task of its own. Where a datagram goes is for `Dispatch` to say.
///
/// `@unchecked` holds because its tasks run on the worker's loop: its variables are touched by one thread.
final class Association: @unchecked Sendable {
  /// For whom it is, and by what rules.
  struct Terms {
    /// Where the control connection comes from; `nil` on a Unix-domain socket.
    let peer: SocketAddress?
    let client: Client
    let user: String?
    let listener: ListenerID
    let service: Listener.UDPService
    let policy: Policy

    /// What the routes are asked about a datagram to `destination`.
    func request(to destination: Endpoint) -> Request {
      Request(.udp, to: destination, client: peer?.address, user: user, listener: listener, of: client)
    }
  }

  let terms: Terms
  unowned let worker: Worker
  private let seat: Shares.Seat
  private let relay: UDPSocket
  // Behind the relay, whose port it is for: values end in this order.
  private let portSeat: Shares.Seat?
  /// Where the relay takes datagrams.
  private let relayAddress: SocketAddress
  /// Where the client sends from: the address is that of the control connection (G7), the port 0 until it is known.
  private var source: SocketAddress
  private var port: ClientPort
  private(set) lazy var dispatch = Dispatch(for: self)
  /// The control connection, the relay, and then the sockets towards direct destinations as they were opened.
  private var interests: [Interest] = []

  private var lastUse: Deadline
  private let idle: Deadline.Interval
  private var isBusy = false
  /// Tasks to be started, and the wait that is ended for them.
  private var unstarted: [@Sendable () async -> Void] = []
  private var wait: WaitID?
  /// `finished` when the client closed its control connection, or its direction of it.
  private(set) var ending: Event.Ending?
  var up = Traffic()
  private(set) var down = Traffic()
  var drops = Drops()
  /// The header that names the source of the latest answer: most come in a row.
  private var latest: (source: Endpoint, header: [UInt8])?

  /// Datagrams, and the octets of their payloads.
  struct Traffic {
    var datagrams = 0
    var bytes: UInt64 = 0

    mutating func count(_ payload: Int) {
      datagrams += 1
      bytes += UInt64(payload)
    }
  }

  /// - Parameters:
  ///   - local: the address at which the client reached us; a client of a Unix-domain socket is on this machine.
  ///   - hint: where the client says it will send from (RFC 1928 §4).
  init(
    _ seat: Shares.Seat, _ portSeat: Shares.Seat?, at local: SocketAddress?, hint: Endpoint,
    terms: Terms,
    worker: Worker
  ) throws(Errno) {
    let address = local?.at(port: 0) ?? SocketAddress(.loopback4, port: 0)
    let socket = try UDPSocket(bindingTo: address, ports: terms.service.ports, on: worker.loop)
    guard let bound = socket.localAddress else { throw .noBufferSpace }
    relay = socket
    relayAddress = bound
    let client = terms.peer ?? SocketAddress(.loopback4, port: 0)
    port = ClientPort(
      of: client.address, isLocal: client.address.isLoopback || client.address.isOfThisHost, hint: hint)
    source = client.at(port: port.number ?? 0)
    self.seat = seat
    self.portSeat = portSeat
    self.terms = terms
    self.worker = worker
    lastUse = .now
    idle = Deadline.Interval(terms.policy.timeouts.udpIdle)
    worker.server.ownRelays.add(relayAddress)
  }

  deinit {
    worker.server.ownRelays.remove(relayAddress)
  }

  var loop: EventLoop { worker.loop }

  /// Where the client is to send: BND of the reply (G3).
  var bound: SocketAddress {
    SocketAddress(terms.service.advertise ?? relayAddress.address, port: relayAddress.port)
  }

  /// Makes sure that nothing which this program sent to the relay's port is taken for the client's: a datagram that
  /// another loop had in its hands before the relay was known may have come. The client does not know the relay yet.
  ///
  /// - Throws: why what has come could not be read away: the relay must not be used then.
  func settle() async throws(Errno) {
    await worker.server.passTurns(besides: loop)
    for _ in 0..<Self.settlingRounds {
      guard try relay.receive({ _ in drops.count(.stranger) }, flush: {}) else { return }
    }
  }

  /// Each reads up to 128 datagrams. The socket's buffer holds 8 MiB (twice the SO_RCVBUF that is asked for, socket(7)),
  /// of which the kernel counts more than 512 octets for each datagram: at most 16,384. More have come since.
  private static let settlingRounds = 128

  // MARK: Life

  /// Relays for as long as the client holds its control connection, and until `ending` is known.
  func run(_ control: ControlConnection) async {
    interests = [control.interest, relay.interest(in: .readable)] + interests
    // Most never need another task, and are spared the memory of a group.
    while ending == nil, unstarted.isEmpty { await serve(control) }
    if ending == nil { await runBesideOthers(control) }
  }

  private func runBesideOthers(_ control: ControlConnection) async {
    await withDiscardingTaskGroup { group in
      while ending == nil {
        for task in unstarted { group.addTask(executorPreference: loop) { await task() } }
        unstarted = []
        await serve(control)
      }
      group.cancelAll()
    }
  }

  /// Runs `task` beside this one, until it ends or the association does.
  func start(_ task: @escaping @Sendable () async -> Void) {
    unstarted.append(task)
    wake()
  }

  /// Waits for one more socket, whose answers `dispatch.direct` takes.
  func watch(_ outlet: Outlet) {
    interests.append(outlet.socket.interest(in: .readable))
    wake()
  }

  private var isIdle: Bool { lastUse + idle <= loop.now }

  private func wake() {
    if let wait { loop.wake(wait) }
  }

  private func serve(_ control: ControlConnection) async {
    if isBusy { return await takeTurns(control) }
    let wakeup = await loop.waitUntilInterrupted(for: interests, until: lastUse + idle) { wait = $0 }
    wait = nil
    switch wakeup {
    case .ready(let position): move(position, control)
    case .timedOut where isIdle: ending = .idle
    case .timedOut: break
    case .cancelled: ending = .stopped
    }
  }

  /// Lets others on the loop have their turn, and then every socket: the busy one must not keep the others waiting.
  private func takeTurns(_ control: ControlConnection) async {
    await Task.yield()
    isBusy = false
    for position in interests.indices { move(position, control) }
    // What keeps it busy may be of no use.
    if isIdle { ending = .idle }
    if Task.isCancelled { ending = .stopped }
  }

  /// Moves what is there on one of the sockets.
  private func move(_ position: Int, _ control: ControlConnection) {
    let hasMore: Bool
    switch position {
    case 0: hasMore = listen(to: control)
    case 1: hasMore = receive()
    default: hasMore = dispatch.direct.receive(at: position - 2)
    }
    if hasMore { isBusy = true }
  }

  private func listen(to control: ControlConnection) -> Bool {
    switch control.listen() {
    case .silence: return false
    case .noise: return true
    case .end:
      ending = .finished
      return false
    }
  }

  // MARK: From the client

  /// True when there may be more.
  private func receive() -> Bool {
    // It is not connected, so that nothing can fail but for want of memory: then the next arrival is another try.
    (try? relay.receive {
      accept($0)
    } flush: {
      dispatch.flush()
    }) ?? false
  }

  private func accept(_ slot: Int) {
    let batch = loop.datagrams
    let sender = batch.source(of: slot)
    guard sender.at(port: source.port) == source, port.admits(sender.port, at: loop.now) else {
      return drops.count(.stranger)
    }
    let header: SOCKS5.DatagramHeader
    let headerSize: Int
    do {
      (header, headerSize) = try batch.withBytes(of: slot) { bytes throws(SOCKS5.DatagramHeader.Violation) in
        try SOCKS5.DatagramHeader.parse(bytes)
      }
    } catch {
      return drops.count(Drop(error))
    }
    lastUse = loop.now
    source.port = sender.port
    if let before = port.use(sender.port, at: loop.now), let peer = terms.peer {
      let notice = { @Sendable count in
        Notice.clientMoved(peer, from: before, to: sender.port, count: count)
      }
      if worker.isNews(.movedPort(terms.client), notice: notice) { worker.server.sink.record(notice(1)) }
    }
    batch.dropFirst(headerSize, of: slot)
    dispatch.forward(slot, to: header.peer)
  }

  // MARK: To the client

  /// Puts an answer among those that `flush` sends to the client, headed with its source (G15).
  ///
  /// - Parameters:
  ///   - source: a name only if the last hop of a chain named the source so.
  ///   - contacts: who may answer by the path that it came, unless everybody may (G16).
  /// - Returns: false when it is nobody's answer.
  @discardableResult
  func deliver(_ slot: Int, from source: Endpoint, if contacts: Contacts) -> Bool {
    guard terms.service.filtering == .endpointIndependent || contacts.contains(source) else {
      drops.count(.unsolicited)
      return false
    }
    guard port.number != nil else { return true }
    port.answer(at: loop.now)
    let batch = loop.datagrams
    let payload = batch.byteCount(of: slot)
    if latest?.source != source {
      latest = (source, SOCKS5.DatagramHeader(source).bytes)
    }
    guard let header = latest?.header, batch.prepend(header, to: slot, towards: self.source.address) else {
      drops.count(.tooLarge)
      return true
    }
    batch.stage(slot, to: self.source)
    lastUse = loop.now
    down.count(payload)
    return true
  }

  func flush() {
    send(on: relay)
  }

  /// Sends what is staged in the loop's batch, and counts what the kernel does not take.
  func send(on socket: borrowing UDPSocket) {
    for failure in loop.datagrams.send(on: socket).failures {
      drops.count(failure.error == .messageTooLarge ? .tooLarge : .unsent)
      if failure.error.isShortage {
        worker.server.shortages.note(.system(failure.error), towards: Endpoint(source))
      }
    }
  }
}
