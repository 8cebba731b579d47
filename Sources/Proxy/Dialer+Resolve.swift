import Addresses
import Routing
import Transport
import Wire

extension Dialer {
  /// Answers RESOLVE within `budget`: from here, or with what the last hop of the chain says.
  ///
  /// - Precondition: the outcome is `direct` or a chain.
  func resolve(
    _ request: Request, via outcome: Outcome, budget: Duration
  ) async throws(Failure) -> Endpoint {
    try await within(budget) { deadline throws(Failure) in
      switch outcome {
      case .chain(let chain):
        return try await ask(chain, .resolve, request.destination, until: deadline)
      case .direct:
        let address = try await admittedAddresses(of: request, until: deadline)[0]
        return Endpoint(address, port: 0)
      case .reject, .drop: preconditionFailure("a refused request is not resolved")
      }
    }
  }

  private func ask(
    _ chain: Chain, _ command: SOCKS5.Command, _ destination: Endpoint, until deadline: Deadline
  ) async throws(Failure) -> Endpoint {
    try check(chain, command, destination)
    var last = try await reach(chain.hops.count - 1, of: chain, until: deadline)
    return try await ask(&last, command, destination, until: deadline).bound
  }
}
