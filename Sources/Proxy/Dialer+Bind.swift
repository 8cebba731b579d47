import Addresses
import Routing
import Settings
import Transport
import Wire

extension Dialer {
  /// Has a peer awaited, as `outcome` says.
  ///
  /// - Parameters:
  ///   - service: the listener's rules for ports of ours.
  ///   - reached: the address that the client reached us at, with any port; `nil` on a Unix-domain socket.
  /// - Precondition: the outcome is neither `reject` nor `drop`; a plan comes with a journey.
  func bind(
    _ request: Request, via outcome: Outcome, service: Listener.BindService, reached: SocketAddress?,
    budget: Duration
  ) async throws(Failure) -> Rendezvous {
    try await travel(request, asking: .bind, via: outcome, within: budget) { way, deadline throws(Failure) in
      switch way {
      case .chain(let chain): try await bind(request.destination, through: chain, until: deadline)
      case .direct: try await bindHere(request, service, reached: reached, until: deadline)
      }
    }
  }

  // MARK: Here

  /// A port on the address that a connection to the peer would leave from: never on every address.
  private func bindHere(
    _ request: Request, _ service: Listener.BindService, reached: SocketAddress?, until deadline: Deadline
  ) async throws(Failure) -> Rendezvous {
    let isAnybody = request.destination.host.address?.isUnspecified == true
    let expected = isAnybody ? [] : try await admittedAddresses(of: request, until: deadline)
    let seat: Shares.Seat?
    do throws(ReachedLimit) {
      seat = if let client { try shares?.seatPort(of: service.portRange, for: client) } else { nil }
    } catch {
      throw Failure(.destination, .accept, .overLimit(error))
    }
    do throws(Errno) {
      let address = isAnybody ? reached : try Self.localAddress(towards: expected)
      // Who comes over a Unix-domain socket has reached us at no address.
      guard let address else { throw .addressFamilyNotSupported }
      let listener = try TCPListener(
        bindingTo: address.at(port: 0), ports: service.ports, on: loop)
      guard var bound = listener.localAddress else { throw .addressNotAvailable }
      if let advertised = service.advertise { bound.address = advertised }
      return Rendezvous(place: .here(listener, expected: expected, seat), bound: bound)
    } catch {
      throw Failure(.destination, .accept, Failure.Cause(error, opening: service.portRange))
    }
  }

  /// The address that a connection to the first of these would leave from, to which there is a way.
  private static func localAddress(towards peers: [IPAddress]) throws(Errno) -> SocketAddress {
    var failure = Errno.addressNotAvailable
    for peer in peers {
      do {
        return try UDPSocket.localAddress(towards: peer)
      } catch {
        failure = error
      }
    }
    throw failure
  }

  // MARK: Through a chain

  private func bind(
    _ destination: Endpoint, through chain: Chain, until deadline: Deadline
  ) async throws(Failure) -> Rendezvous {
    let last = try await ask(lastOf: chain, .bind, destination, until: deadline)
    let bound = SocketAddress(address(of: last.hop, as: last.reply.bound), port: last.reply.bound.port)
    return Rendezvous(place: .hop(last.hop), bound: bound)
  }

  /// A hop that does not say its address (as SOCKS4 allows), or says one that is of no use outside, means the one that it was
  /// reached at.
  private func address(of hop: borrowing ReachedHop, as said: Endpoint) -> IPAddress {
    let peer = hop.hop.index == 0 ? hop.stream.peerAddress?.address : nil
    guard let own = hop.hop.upstream.endpoint.host.address ?? peer else {
      return said.host.address ?? .unspecified4
    }
    return relayAddress(told: said, by: .address(own))?.host.address ?? own
  }
}
