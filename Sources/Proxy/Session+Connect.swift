import Routing
import Transport
import Wire

extension Session {
  /// Reaches the destination, and then says so.
  func connect(
    _ request: ClientHandshake.Request, _ client: borrowing TCPStream
  ) async throws(Refusal) -> Opened {
    let routed = routed(request, as: .connect)
    if let code = request.message.connectRefusal { throw refusal(.refused(code), code) }
    let verdict = try await route(routed, client)
    let dialled = routed.rewritten(to: rewritten)
    let upstream = try await dial(dialled, verdict, for: client) { dialer, budget throws(Failure) in
      try await dialer.dial(dialled, via: verdict.outcome, budget: budget)
    }
    isWarm = upstream.isWarm
    try await reply(client, bound: upstream.bound)
    return .tunnel(
      Tunnel(
        connection: upstream, fromClient: request.early, idle: verdict.route?.idle ?? policy.timeouts.idle))
  }
}
