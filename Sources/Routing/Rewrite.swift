import Addresses

/// What a route puts in the place of what was asked for: `rewrite`.
package struct Rewrite: Hashable, Sendable {
  /// `nil`: the one that was asked for.
  package let host: Host?
  /// `nil`: the one that was asked for.
  package let port: UInt16?

  package init(host: Host?, port: UInt16?) {
    self.host = host
    self.port = port
  }

  /// The destination that is dialled.
  package func applied(to destination: Endpoint) -> Endpoint {
    Endpoint(host ?? destination.host, port: port ?? destination.port)
  }
}

extension Request {
  /// The same for the destination that a route dials in the place of its own; `nil`: for its own.
  package func rewritten(to destination: Endpoint?) -> Request {
    var request = self
    guard let destination, destination != request.destination else { return request }
    request.asked = request.destination
    request.destination = destination
    return request
  }
}

extension Condition {
  /// Whether there may be a request of this command for which it holds.
  package func mayHold(for command: Request.Command) -> Bool {
    truth { leaf in
      switch leaf {
      case .command(let commands): PartialTruth(commands.contains(command))
      case .network(let networks): PartialTruth(networks.contains(command.network))
      default: .maybe
      }
    } != .fails
  }
}
