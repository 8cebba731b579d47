import Routing
import Transport
import Wire

extension Session {
  /// RESOLVE and RESOLVE_PTR of "Tor's extensions to the SOCKS protocol", §2: tells an address, or a name, and ends.
  /// To the routes it is a CONNECT, whose way it prepares.
  func resolve(
    _ request: ClientHandshake.Request, _ client: borrowing TCPStream
  ) async throws(Refusal) -> Opened {
    let routed = routed(request, as: .connect)
    let verdict = try await route(routed, client)
    let answer = try await dial(routed, verdict) { dialer, budget throws(Failure) in
      try await dialer.resolve(
        request.message.command, routed, via: verdict.outcome, budget: budget)
    }
    return .answer(SOCKS5.Reply(.succeeded, bound: answer).bytes)
  }
}
