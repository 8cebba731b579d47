import Addresses
import Routing
import Transport
import Wire

extension Session {
  /// BIND, RFC 1928 §6: a peer connects to us, or to the last hop, as it would to the client. Two replies: where it is
  /// awaited, and who came.
  func bind(
    _ request: ClientHandshake.Request, _ client: borrowing TCPStream
  ) async throws(Refusal) -> Opened {
    guard let service = listener.bind else { throw refusal(.unsupported("bind"), .commandNotSupported) }
    let expected = request.message.destination.host.address
    // Many, or everybody, are no peer.
    if let expected, !expected.isDialable, !expected.isUnspecified {
      throw refusal(.refused(.notAllowed), .notAllowed)
    }
    let routed = routed(request, as: .bind)
    let verdict = try await route(routed, client)
    let reached = client.localAddress
    let rendezvous = try await dial(routed, verdict, for: client) { dialer, budget throws(Failure) in
      try await dialer.bind(
        routed, via: verdict.outcome, service: service, reached: reached, budget: budget)
    }
    try await reply(client, bound: rendezvous.bound)
    advance(to: .bind)
    let peer = try await meet(rendezvous, client) { self.refusal(of: $0, for: routed) }
    try await reply(client, bound: peer.bound)
    return .tunnel(
      Tunnel(connection: peer, fromClient: request.early, idle: verdict.route?.idle ?? policy.timeouts.idle))
  }

  private func meet(
    _ rendezvous: consuming Rendezvous, _ client: borrowing TCPStream,
    refusing refusal: (SocketAddress) -> Failure.Cause?
  ) async throws(Refusal) -> Connection {
    do throws(Rendezvous.Miss) {
      return try await rendezvous.meet(client, until: .after(policy.timeouts.bind), refusing: refusal)
    } catch {
      switch error {
      case .failed(let failure): throw self.refusal(.failed(failure), SOCKS5.ReplyCode(failure))
      case .clientLeft: throw Refusal(ending: .left, answer: [])
      case .stopped: throw self.refusal(.stopped, .generalFailure)
      }
    }
  }

  /// Whoever names no peer has not got around the routes: they judge the one who comes.
  private func refusal(of peer: SocketAddress, for request: Request) -> Failure.Cause? {
    var request = request
    request.destination = Endpoint(peer.address, port: peer.port)
    let verdict = policy.table.verdict(for: request)
    switch verdict.outcome {
    case .direct, .chain, .plan: return nil
    case .reject, .drop: return .rejected(route: verdict.route?.label ?? "default")
    }
  }
}
