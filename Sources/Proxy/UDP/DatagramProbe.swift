import Addresses
import Routing
import Transport
import Wire

/// Sends a question to a destination, and waits for what comes back: whether datagrams get there and back is told by
/// nothing else.
///
/// The question is one for a name server, but any answer will do.
struct DatagramProbe {
  /// What the destination sent back.
  struct Answer {
    let source: Endpoint
    /// Of its payload, in octets.
    let size: Int
    /// From the question that it answers.
    let time: Duration
  }

  private let destination: Endpoint
  private let outlet: Outlet
  /// `nil`: the outlet is connected to the destination.
  private let nested: NestedAssociation?
  private let loop: EventLoop
  private var sent: [(id: UInt16, time: Deadline)] = []
  /// What the kernel, or ICMP, said last.
  private var trouble: Failure?
  private var strays = 0

  /// Datagrams get lost. Three in a row hardly do.
  private static let sendLimit = 3
  private static let patience = Duration.milliseconds(1_500)

  init(through nested: NestedAssociation, to destination: Endpoint, on loop: EventLoop) {
    self.destination = destination
    self.nested = nested
    outlet = nested.outlet
    self.loop = loop
  }

  init(to destination: SocketAddress, on loop: EventLoop) throws(Errno) {
    self.destination = Endpoint(destination.address, port: destination.port)
    nested = nil
    let socket = try UDPSocket(destination.address.family, on: loop)
    // So that it hears what ICMP says of the destination.
    try socket.connect(to: destination)
    outlet = Outlet(socket)
    self.loop = loop
  }

  /// Asks up to three times. An association that ends meanwhile is a failure of the hop that ended it.
  mutating func run() async throws(Failure) -> Answer {
    let interests = nested?.interests ?? [outlet.socket.interest(in: .readable)]
    while sent.count < Self.sendLimit {
      send()
      let deadline = Deadline.after(Self.patience)
      wait: while true {
        switch await loop.wait(for: interests, until: deadline) {
        case .ready(0):
          if let answer = receive() { return answer }
          if trouble != nil { break wait }
        case .ready(let position): while try nested?.listen(to: position - 1) == true { await Task.yield() }
        case .timedOut: break wait
        case .cancelled: throw Failure(.client, .relay, .system(.cancelled))
        }
      }
    }
    throw trouble ?? Failure(.destination, .relay, strays > 0 ? .strays : .unanswered)
  }

  private mutating func send() {
    let id = UInt16.random(in: .min ... .max)
    let batch = loop.datagrams
    let slot = batch.load(Self.question(id))
    let header = SOCKS5.DatagramHeader(destination).bytes
    // Not even 32 hops with the longest names have headers that do not fit before 17 octets.
    guard nested?.wrap(slot, in: batch, behind: header) ?? true else {
      preconditionFailure("a question is too large for any chain")
    }
    sent.append((id, .now))
    batch.stage(slot, to: nil)
    for failure in batch.send(on: outlet.socket).failures { note(failure.error) }
  }

  /// What has arrived, up to the answer. There are no more errors to hear than datagrams that were sent.
  private mutating func receive() -> Answer? {
    let batch = loop.datagrams
    for _ in 0...Self.sendLimit {
      do {
        let count = try batch.receive(from: outlet.socket)
        guard count > 0 else { return nil }
        for slot in 0..<count {
          if let answer = answer(slot, in: batch) { return answer }
          strays += 1
        }
      } catch {
        note(error)
      }
    }
    return nil
  }

  private func answer(_ slot: Int, in batch: DatagramBatch) -> Answer? {
    let source = nested.map { $0.unwrap(slot, in: batch) } ?? Endpoint(batch.source(of: slot))
    guard let source, isDestination(source) else { return nil }
    let id = batch.withBytes(of: slot) { bytes in
      bytes.count < 2 ? nil : UInt16(bytes[0]) << 8 | UInt16(bytes[1])
    }
    // Of what is no answer of a name server, nobody knows which question it answers.
    guard let asked = (sent.last { $0.id == id } ?? sent.last)?.time else { return nil }
    return Answer(source: source, size: batch.byteCount(of: slot), time: Deadline.now.since(asked))
  }

  /// The rule of `Contacts`: where the last hop resolves the name, an address is judged by its port.
  private func isDestination(_ source: Endpoint) -> Bool {
    switch (destination.host, source.host) {
    case (.name, .address): source.port == destination.port
    case (let asked, let host): host == asked
    }
  }

  private mutating func note(_ error: Errno) {
    let place = nested?.firstPlace ?? .destination
    trouble = Failure(place, .relay, .system(error))
  }

  /// RFC 1035 §4.1: asks for the name servers of the root, which every name server knows.
  private static func question(_ id: UInt16) -> [UInt8] {
    [
      UInt8(id >> 8), UInt8(id & 0xFF),
      0x01, 0x00,  // a query; recursion is desired
      0, 1, 0, 0, 0, 0, 0, 0,  // one question, nothing else
      0,  // the root
      0, 2, 0, 1,  // NS, IN
    ]
  }
}
