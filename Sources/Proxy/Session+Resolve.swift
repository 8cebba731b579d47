import Routing
import Transport
import Wire

extension Session {
  /// RESOLVE of "Tor's extensions to the SOCKS protocol", §2: tells what a CONNECT would find, and ends.
  func resolve(
    _ request: ClientHandshake.Request, _ client: borrowing TCPStream
  ) async throws(Refusal) -> Opened {
    let routed = routed(request, as: .connect)
    let verdict = try await route(routed, client)
    let answer = try await dial(verdict) { dialer, budget throws(Failure) in
      try await dialer.resolve(routed, via: verdict.outcome, budget: budget)
    }
    return .answer(SOCKS5.Reply(.succeeded, bound: answer).bytes)
  }
}
