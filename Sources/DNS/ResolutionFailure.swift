import Transport

/// Why a name has no address for us, or an address no name.
package enum ResolutionFailure: Error, Hashable, Sendable {
  /// The name, or that under which an address has its name, does not exist (RCODE 3, NXDOMAIN).
  case notFound
  /// The name exists, without an address of the family asked for; or the address has a name that is none.
  case noData
  /// Every name server failed (RCODE 2, SERVFAIL) or refused.
  case serverFailure
  /// No name server could be reached.
  case unreachable
  /// The reply cannot be read as a DNS message.
  case malformed
  case timedOut
  /// The asking task or the resolver was cancelled.
  case cancelled
  /// As many questions are open as a loop may have, or one client there.
  case overloaded(limit: Int)
  /// This program could open no socket to ask with, or not send.
  case shortage(Errno)

  /// This program could not ask: that says nothing of the name, nor of a name server.
  package var isOurs: Bool {
    switch self {
    case .overloaded, .shortage: true
    default: false
    }
  }
}

extension ResolutionFailure: CustomStringConvertible {
  /// A few lower-case words, as the log writes them: `no such name`.
  package var description: String {
    switch self {
    case .notFound: "no such name"
    case .noData: "no address"
    case .serverFailure: "server failure"
    case .unreachable: "name server unreachable"
    case .malformed: "malformed answer"
    case .timedOut: "timed out"
    case .cancelled: "cancelled"
    case .overloaded(let limit): "too many open lookups (limit \(limit))"
    case .shortage(let error): "cannot ask a name server: \(error)"
    }
  }
}
