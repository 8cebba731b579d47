import Addresses
import DNS
import Routing
import Transport
import Wire

extension Dialer {
  /// Answers RESOLVE and RESOLVE_PTR within `budget`: from here, or with what the last hop of the chain says.
  ///
  /// - Precondition: the outcome is neither `reject` nor `drop`; a plan comes with a journey.
  func resolve(
    _ command: SOCKS5.Command, _ request: Request, via outcome: Outcome, budget: Duration
  ) async throws(Failure) -> Endpoint {
    try await travel(request, asking: command, via: outcome, within: budget) {
      way, deadline throws(Failure) in
      switch way {
      case .chain(let chain):
        try await ask(lastOf: chain, command, request.destination, until: deadline).reply.bound
      case .direct where command == .resolvePTR:
        Endpoint(.name(try await name(of: request.destination, until: deadline)), port: 0)
      case .direct:
        Endpoint(try await admittedAddresses(of: request, until: deadline)[0], port: 0)
      }
    }
  }

  private func name(of destination: Endpoint, until deadline: Deadline) async throws(Failure) -> DomainName {
    guard let address = destination.host.address else {
      throw Failure(.destination, .resolve, .system(.addressFamilyNotSupported))
    }
    do throws(Unresolved) {
      return try await resolver.name(
        of: address, for: client, until: min(deadline, .after(policy.timeouts.dns)))
    } catch {
      throw Failure(.destination, resolving: destination.host, error)
    }
  }
}
