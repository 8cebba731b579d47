import Addresses
import DNS
import Routing
import Transport
import Wire

/// Associations at every hop of a chain, one inside the other: a datagram with a header for each hop is relayed from
/// hop to hop, each of which takes off its own.
///
/// The control connection of each hop runs through the hops before it, so that each sees the datagrams and the control
/// connection come from one address, that of the hop before it. So datagrams are never sent past a hop.
final class NestedAssociation {
  /// Connected to the first hop's relay.
  let outlet: Outlet
  /// Where the first hop's relay is.
  let relay: IPAddress
  /// The headers that lead to the last hop, outermost first: they name the relays of the second hop to the last.
  private let prefix: [UInt8]
  private let controls: [ControlConnection]
  private let chain: Chain
  /// Whom the datagrams inside come from, hop by hop: the relays of the second hop to the last. The address of one that
  /// is known by name is learnt from its first datagram.
  private var relays: [Endpoint]

  private init(_ links: [Link], relay: IPAddress, outlet: Outlet, chain: Chain) {
    controls = links.map(\.control)
    relays = links.dropFirst().map(\.relay)
    prefix = relays.flatMap { SOCKS5.DatagramHeader($0).bytes }
    self.relay = relay
    self.outlet = outlet
    self.chain = chain
  }

  /// Of the hop that takes the datagrams from here.
  var firstPlace: Failure.Place { place(0) }

  /// What the headers of all hops but the last add to a datagram, in octets. The last one's depends on the destination.
  var prefixSize: Int { prefix.count }

  /// What to wait for: the relay, and then each control connection in the order of the hops.
  var interests: [Interest] { [outlet.socket.interest(in: .readable)] + controls.map(\.interest) }

  /// Hears the control connection of a hop; throws if that has ended, and with it everything.
  ///
  /// - Returns: true when the hop talks without end.
  func listen(to index: Int) throws(Failure) -> Bool {
    switch controls[index].listen() {
    case .silence: return false
    case .noise: return true
    case .end(let cause):
      throw Failure(place(index), .relay, cause)
    }
  }

  private func place(_ index: Int) -> Failure.Place {
    .hop(index, of: chain.hops.count, name: chain.hops[index].name)
  }

  // MARK: Datagrams

  /// Puts on the headers of all hops; false when that makes the datagram too large for any.
  ///
  /// - Parameter header: names the destination to the last hop.
  func wrap(_ slot: Int, in batch: DatagramBatch, behind header: [UInt8]) -> Bool {
    batch.prepend(header, to: slot, towards: relay) && batch.prepend(prefix, to: slot, towards: relay)
  }

  /// Takes off the headers of all hops.
  ///
  /// - Returns: the source that the last hop's header names, an address or a name; `nil` when the headers are not those of
  ///   this chain.
  func unwrap(_ slot: Int, in batch: DatagramBatch) -> Endpoint? {
    for index in relays.indices {
      guard let source = takeHeader(of: slot, in: batch), source.port == relays[index].port else {
        return nil
      }
      switch (relays[index].host, source.host) {
      case (.name, .address):
        relays[index] = source
      case (let expected, let host):
        guard host == expected else { return nil }
      }
    }
    return takeHeader(of: slot, in: batch)
  }

  private func takeHeader(of slot: Int, in batch: DatagramBatch) -> Endpoint? {
    let parsed = batch.withBytes(of: slot) { try? SOCKS5.DatagramHeader.parse($0) }
    guard let (header, size) = parsed else { return nil }
    batch.dropFirst(size, of: slot)
    return header.peer
  }

  // MARK: Opening

  /// One hop's association.
  private struct Link: Sendable {
    let hop: Hop
    let control: ControlConnection
    /// Where its relay takes datagrams.
    let relay: Endpoint
  }

  /// Opens an association at each hop, all at the same time, since none needs another's.
  static func open(
    _ chain: Chain, by dialer: Dialer, budget: Duration
  ) async throws(Failure) -> NestedAssociation {
    try await dialer.within(budget) { deadline throws(Failure) in
      let links = try await link(chain, by: dialer, until: deadline)
      let first = links[0]
      // A name it told has been looked up.
      guard let relay = first.relay.socketAddress else {
        throw Failure(first.hop.place, .associate, .notDialable)
      }
      do throws(Errno) {
        // The first hop expects datagrams from where its control connection comes from.
        let local = first.control.localAddress?.address ?? .unspecified4
        let socket = try UDPSocket(bindingTo: SocketAddress(local, port: 0), on: dialer.loop)
        try socket.connect(to: relay)
        return NestedAssociation(links, relay: relay.address, outlet: Outlet(socket), chain: chain)
      } catch {
        throw Failure(first.hop.place, .associate, .system(error))
      }
    }
  }

  /// In the order of the hops; throws the first failure.
  private static func link(
    _ chain: Chain, by dialer: Dialer, until deadline: Deadline
  ) async throws(Failure) -> [Link] {
    let result = await withTaskGroup(of: Result<Link, Failure>.self) { group in
      for index in chain.hops.indices {
        group.addTask(executorPreference: dialer.loop) {
          do throws(Failure) {
            return .success(try await link(index, of: chain, by: dialer, until: deadline))
          } catch {
            return .failure(error)
          }
        }
      }
      var links: [Link] = []
      for await result in group {
        switch result {
        case .success(let link): links.append(link)
        case .failure:
          group.cancelAll()
          return result.map { [$0] }
        }
      }
      return .success(links)
    }
    return try result.get().sorted { $0.hop.index < $1.hop.index }
  }

  private static func link(
    _ index: Int, of chain: Chain, by dialer: Dialer, until deadline: Deadline
  ) async throws(Failure) -> Link {
    var reached = try await dialer.reach(index, of: chain, until: deadline)
    let hop = reached.hop
    let reply = try await dialer.ask(
      &reached, .associate, hint(for: hop, over: reached.stream), phase: .associate,
      until: min(deadline, .after(hop.upstream.timeout)))
    var bound = reply.bound
    let host: Host
    if index == 0, let peer = reached.stream.peerAddress {
      let address = try await address(toldAs: bound.host, by: hop, at: peer, by: dialer, until: deadline)
      bound = Endpoint(address, port: bound.port)
      host = .address(peer.address)
    } else {
      host = try await dialer.endpoint(of: hop, until: deadline).host
    }
    guard let relay = relayAddress(told: bound, by: host) else {
      throw Failure(hop.place, .associate, .notDialable)
    }
    dialer.observer?.onRelay(hop.place, reply.bound, relay)
    return Link(hop: hop, control: ControlConnection(reached.stream), relay: relay)
  }

  /// The address of the first hop's relay. A name of the hop's own network, or one that cannot be resolved here, means the
  /// hop.
  private static func address(
    toldAs host: Host, by hop: Hop, at peer: SocketAddress, by dialer: Dialer, until deadline: Deadline
  ) async throws(Failure) -> IPAddress {
    if host.name?.isLocal == true { return peer.address }
    do throws(Failure) {
      // Datagrams are to come from where the control connection does: in its family.
      return try await dialer.address(
        of: host, in: [peer.address.family], place: hop.place,
        until: min(deadline, .after(dialer.policy.timeouts.dns)))
    } catch {
      guard case .resolution(let failure) = error.cause, failure != .cancelled, !error.isOurs else {
        throw error
      }
      return peer.address
    }
  }

  /// Nobody knows from where the hop before will send: all zeros, as RFC 1928 §4 has it for that, in the family by which
  /// the hop is reached. Dante refuses the other one.
  private static func hint(for hop: Hop, over stream: borrowing TCPStream) -> Endpoint {
    let address = hop.index == 0 ? stream.peerAddress?.address : hop.upstream.endpoint.host.address
    let isIPv6 = if case .v6? = address { true } else { false }
    return Endpoint(isIPv6 ? .unspecified6 : .unspecified4, port: 0)
  }
}
