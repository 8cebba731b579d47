import Addresses
import DNS
import Routing
import Transport
import Wire

extension Dialer {
  /// The addresses of a name, looked up here: all of them, IPv4 first.
  func addresses(of name: DomainName, until deadline: Deadline) async throws(Unresolved) -> [IPAddress] {
    if let addresses = policy.hosts.addresses(for: name) { return addresses }
    let lookup = resolver.lookup(name, for: client)
    let deadline = min(deadline, .after(policy.timeouts.dns))
    do throws(ResolutionFailure) {
      while !lookup.isComplete { try await lookup.waitForAnswer(until: deadline) }
      if let failure = lookup.failure { throw failure }
    } catch {
      throw Unresolved(reason: error, server: lookup.server)
    }
    return Family.allCases.flatMap { (try? lookup[$0]?.get()) ?? [] }
  }

  /// The addresses of the request's destination that no route refuses, at least one; an address is its own.
  func admittedAddresses(of request: Request, until deadline: Deadline) async throws(Failure) -> [IPAddress] {
    let name: DomainName
    switch request.destination.host {
    // The routes have judged it.
    case .address(let address): return [address]
    case .name(let destination): name = destination
    }
    let all: [IPAddress]
    do throws(Unresolved) {
      all = try await addresses(of: name, until: deadline)
    } catch {
      throw Failure(.destination, resolving: request.destination.host, error)
    }
    let admitted = all.filter { policy.table.refusal(of: $0, for: request) == nil }
    if admitted.isEmpty, let address = all.first,
      let refuser = policy.table.refusal(of: address, for: request)
    {
      throw Failure(.destination, .resolve, .rejected(route: refuser.label))
    }
    return admitted
  }
}
