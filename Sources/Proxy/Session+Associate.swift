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
    guard let service = listener.udp else { throw refusal(.unsupported(.associate), .commandNotSupported) }
    let terms = Association.Terms(
      client: peer?.address, user: request.user, listener: listener.id, service: service, policy: policy)
    let chain = try onlyChain(for: terms)
    let seat = worker.server.occupancy.seatAssociation(limit: policy.limits.associations)
    guard let seat else { throw refusal(.overLimit, .generalFailure) }
    let association: Association
    do throws(Errno) {
      association = try Association(
        seat, at: client.localAddress?.address, hint: request.message.destination, terms: terms,
        worker: worker)
    } catch {
      throw refusal(.failed(Failure(.client, .associate, .system(error))), .generalFailure)
    }
    if let chain { try await open(chain, for: association) }
    try await reply(client, bound: association.bound)
    return .association(association)
  }

  /// The chain by which every datagram leaves that leaves at all, if there is one; throws when none can leave.
  private func onlyChain(for terms: Association.Terms) throws(Refusal) -> Chain? {
    let anywhere = Endpoint(.unspecified4, port: 0)
    let prospects = policy.table.prospects(for: terms.request(to: anywhere))
    if prospects.isRefused { throw refusal(.rejected, .notAllowed) }
    let failures = prospects.all.map { prospect -> Failure? in
      guard case .chain(let chain) = prospect.outcome else { return nil }
      let failure = worker.server.outages.failure(of: chain) ?? chain.lackOfUDP
      return failure?.isLackOfUDP == true ? failure : nil
    }
    if let failure = failures.compactMap(\.self).first,
      zip(prospects.all, failures).allSatisfy({ $0.outcome.refuses || $1 != nil })
    {
      throw refusal(.failed(failure), SOCKS5.ReplyCode(failure))
    }
    guard case .chain(let chain)? = prospects.onlyChain?.outcome else { return nil }
    route = prospects.onlyChain?.route?.label ?? "default"
    outcome = .chain(chain)
    return chain
  }

  private func open(_ chain: Chain, for association: Association) async throws(Refusal) {
    let start = Deadline.now
    defer { dialTime = Deadline.now.since(start) }
    do {
      try await association.dispatch.open(chain)
    } catch {
      throw refusal(.failed(error), SOCKS5.ReplyCode(error))
    }
  }
}
