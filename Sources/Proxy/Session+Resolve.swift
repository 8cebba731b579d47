import Routing
import Transport
import Wire

extension Session {
  /// RESOLVE and RESOLVE_PTR of "Tor's extensions to the SOCKS protocol", §2: tells an address, or a name, and ends.
  /// To the routes it is a CONNECT, whose way it prepares: of a destination that they rewrite, the client is told where
  /// it would get to. The name of an address is a question about that very address.
  func resolve(
    _ request: ClientHandshake.Request, _ client: borrowing TCPStream
  ) async throws(Refusal) -> Opened {
    let routed = routed(request, as: .connect)
    let verdict = try await route(routed, client)
    let command = request.message.command
    if command == .resolvePTR { rewritten = nil }
    let asked = routed.rewritten(to: rewritten)
    let answer = try await dial(asked, verdict, for: client) { dialer, budget throws(Failure) in
      try await dialer.resolve(command, asked, via: verdict.outcome, budget: budget)
    }
    return .answer(SOCKS5.Reply(.succeeded, bound: answer).bytes)
  }
}
