import Addresses
import Routing
import Settings
import Transport
import Wire

extension Session {
  /// UDP ASSOCIATE, RFC 1928 §7: opens a relay for the client's datagrams, and says where it is.
  ///
  /// Its destinations are not known yet. But where the table leaves no more than one chain to any of them, that chain is
  /// opened before the client is told success; and where nothing can carry its datagrams, it is told so.
  func associate(
    _ request: ClientHandshake.Request, _ client: borrowing TCPStream
  ) async throws(Refusal) -> Opened {
    guard let service = listener.udp else {
      throw refusal(.unsupported("udp associate"), .commandNotSupported)
    }
    let terms = Association.Terms(
      peer: peer, client: place.client, user: request.user, listener: listener.id, service: service,
      policy: policy)
    let way = try await onlyChain(for: terms, client)
    let (seat, portSeat): (Shares.Seat, Shares.Seat?)
    do throws(ReachedLimit) {
      let shares = worker.server.shares
      seat = try shares.seatAssociation(of: place.client, limits: policy.limits)
      portSeat = try shares.seatPort(of: service.portRange, for: place.client)
    } catch {
      throw refusal(by: error)
    }
    let association: Association
    do throws(Errno) {
      association = try Association(
        seat, portSeat, at: client.localAddress, hint: request.message.destination, terms: terms,
        worker: worker)
    } catch {
      let cause = Failure.Cause(error, opening: service.portRange)
      throw refusal(.failed(Failure(.client, .associate, cause)), .generalFailure)
    }
    do throws(Errno) {
      try await association.settle()
    } catch {
      throw refusal(.failed(Failure(.client, .associate, .system(error))), .generalFailure)
    }
    if let way { try await open(way, for: association, client) }
    try await reply(client, bound: association.bound)
    return .association(association)
  }

  /// The chain by which every datagram leaves that leaves at all, if there is one; throws when none can leave.
  private func onlyChain(
    for terms: Association.Terms, _ client: borrowing TCPStream
  ) async throws(Refusal) -> Prospect? {
    let anywhere = Endpoint(.unspecified4, port: 0)
    let prospects = policy.table.prospects(for: terms.request(to: anywhere))
    if prospects.all.allSatisfy({ $0.outcome == .drop }) { throw await drop(client) }
    if prospects.isRefused { throw refusal(.rejected, .notAllowed) }
    let ways = prospects.all.filter { !$0.outcome.refuses }
    let lacks = ways.compactMap { lackOfUDP($0.outcome, for: terms.request(to: anywhere)) }
    if let lack = lacks.first, lacks.count == ways.count {
      throw refusal(.failed(lack), SOCKS5.ReplyCode(lack))
    }
    guard let only = prospects.onlyChain else { return nil }
    note(only.outcome, by: only.route)
    return only
  }

  /// Why a chain carries no datagrams, as far as the table, or the hop itself, has said so.
  private func lackOfUDP(_ outcome: Outcome, for request: Request) -> Failure? {
    if case .chain(let chain) = outcome {
      let isolated = worker.server.identities.isolate(chain, for: request)
      let failure = worker.server.outages.failure(of: chain, as: isolated)
      if let failure, failure.isLackOfUDP { return failure }
    }
    return Failure(lackOfUDPOf: outcome)
  }

  private func open(
    _ way: Prospect, for association: Association, _ client: borrowing TCPStream
  ) async throws(Refusal) {
    let start = Deadline.now
    defer { dialTime = Deadline.now.since(start) }
    try await whileAwaited(by: client) { () async throws(Failure) in
      switch way.outcome {
      case .chain(let chain): try await association.dispatch.open(chain, by: way.route)
      case .plan(let plan): try await association.dispatch.open(plan, by: way.route)
      case .direct, .reject, .drop: break
      }
    }
  }
}
