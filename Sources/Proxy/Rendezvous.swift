import Addresses
import Transport
import Wire

/// Where the peer of a BIND is awaited: on a port of ours, or by the last hop of a chain on one of its own.
struct Rendezvous: ~Copyable {
  enum Place: ~Copyable {
    /// Nobody in particular is expected when there are no addresses.
    case here(TCPListener, expected: [IPAddress], Shares.Seat?)
    case hop(ReachedHop)
  }

  /// Why no peer came.
  enum Miss: Error {
    case failed(Failure)
    /// The client did not wait for it.
    case clientLeft
    case stopped
  }

  let place: Place
  /// What the peer shall connect to.
  let bound: SocketAddress

  /// Waits for the peer, as long as the client does. Whatever comes of it, nobody is awaited any more afterwards.
  ///
  /// The connection's `bound` is the peer. What the client sends meanwhile stays where it is.
  ///
  /// - Parameter refusal: why somebody who came here unnamed is not let in; of who came to a hop, the hop is the judge.
  consuming func meet(
    _ client: borrowing TCPStream, until deadline: Deadline,
    refusing refusal: (SocketAddress) -> Failure.Cause?
  ) async throws(Miss) -> Connection {
    switch consume place {
    case .here(let listener, let expected, let seat):
      // As long as the listener has the port.
      defer { withExtendedLifetime(seat) {} }
      let arrival = try await Self.accept(from: listener, client, until: deadline)
      return try Self.admit(arrival, expected, on: client.loop, refusing: refusal)
    case .hop(let hop):
      return try await Self.hear(hop, client, until: deadline)
    }
  }

  // MARK: Here

  private static func accept(
    from listener: TCPListener, _ client: borrowing TCPStream, until deadline: Deadline
  ) async throws(Miss) -> TCPListener.Connection {
    while true {
      do {
        if let arrival = try listener.accept() { return arrival }
      } catch {
        throw .failed(Failure(.destination, .accept, .system(error)))
      }
      try await wait(for: listener.interest, client, until: deadline, place: .destination, .accept)
    }
  }

  private static func admit(
    _ arrival: TCPListener.Connection, _ expected: [IPAddress], on loop: EventLoop,
    refusing refusal: (SocketAddress) -> Failure.Cause?
  ) throws(Miss) -> Connection {
    let stream: TCPStream
    do {
      stream = try TCPStream(arrival, on: loop)
    } catch {
      throw .failed(Failure(.destination, .accept, .system(error)))
    }
    // A TCP connection always has one.
    guard let peer = arrival.peer else { throw .failed(Failure(.destination, .accept, .closed)) }
    // The address alone is compared: nobody knows the peer's port beforehand.
    let isExpected = expected.contains(peer.address)
    if let cause = expected.isEmpty ? refusal(peer) : isExpected ? nil : .wrongPeer(peer) {
      throw .failed(Failure(.destination, .accept, cause))
    }
    return Connection(stream: stream, bound: peer, early: [])
  }

  // MARK: At a hop

  /// The hop's second reply, behind which are the peer's first bytes.
  private static func hear(
    _ hop: consuming ReachedHop, _ client: borrowing TCPStream, until deadline: Deadline
  ) async throws(Miss) -> Connection {
    let place = hop.hop.place
    let isSilent = hop.input.isEmpty
    if isSilent {
      try await wait(for: hop.stream.interest(in: .readable), client, until: deadline, place: place, .request)
    }
    let reply: Hop.Reply
    do throws(Failure) {
      // One that has begun to reply has to end it.
      let deadline = min(deadline, .after(hop.hop.upstream.timeout))
      if isSilent { try await hop.read(until: deadline) }
      reply = try await hop.hop.reply(over: hop.stream, input: &hop.input, until: deadline)
      if let refusal = reply.refusal { throw Failure(place, .request, refusal) }
    } catch {
      throw .failed(error)
    }
    let peer = reply.bound.socketAddress ?? SocketAddress(.unspecified4, port: 0)
    return Connection(stream: hop.stream, bound: peer, early: hop.input)
  }

  // MARK: Waiting

  /// Returns when `interest` is ready. That the client has left is seen behind whatever it sent before.
  private static func wait(
    for interest: Interest, _ client: borrowing TCPStream, until deadline: Deadline, place: Failure.Place,
    _ phase: Failure.Phase
  ) async throws(Miss) {
    switch await client.loop.wait(for: [interest, client.interest(in: .ended)], until: deadline) {
    case .ready(0): return
    case .ready: throw .clientLeft
    case .timedOut: throw .failed(Failure(place, phase, .system(.timedOut)))
    case .cancelled: throw .stopped
    }
  }
}
