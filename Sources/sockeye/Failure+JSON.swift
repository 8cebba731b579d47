import Printing
import Proxy
import Routing

extension Failure {
  /// For programs: `{"hop":2,"of":2,"name":"tor","endpoint":"127.0.0.1:9050","phase":"request","reply":5,"error":"…"}`; `reply` only when there was
  /// one, `host` and `server` when a name was looked up, and `at` in the place of the hop when it was none: `client`, `destination`, or
  /// `sockeye` when this machine ran short of something or a limit was reached.
  ///
  /// - Parameter chain: the one it is about, for the failed hop's `endpoint`.
  func json(in chain: Chain?) -> JSON {
    var members = isOurs ? [JSON.Member(key: "at", value: "sockeye")] : place.jsonMembers
    if let endpoint = endpoint(in: chain) {
      members.append(JSON.Member(key: "endpoint", value: .string(endpoint.description)))
    }
    members.append(JSON.Member(key: "phase", value: .string(phase.rawValue)))
    if let inquiry {
      members.append(JSON.Member(key: "host", value: .string(inquiry.host.description)))
      if let server = inquiry.server {
        members.append(JSON.Member(key: "server", value: .string(server.description)))
      }
    }
    if let reply { members.append(JSON.Member(key: "reply", value: .int(reply))) }
    members.append(JSON.Member(key: "error", value: .string(errorText)))
    return .object(members)
  }

  /// For people: `hop=2/2 tor phase=request reply=05 (connection refused) endpoint=127.0.0.1:9050`. What is ours is told of no hop:
  /// `sockeye phase=connect error=(no local port is left towards 127.0.0.1:9050)`.
  func text(in chain: Chain?) -> String {
    guard let endpoint = endpoint(in: chain) else { return description }
    guard case .system = cause, isOurs else {
      return isOurs ? description : "\(description) endpoint=\(endpoint)"
    }
    return "sockeye phase=\(phase.rawValue) error=(\(errorText) towards \(endpoint))"
  }

  /// The code, in whichever protocol the hop speaks.
  private var reply: Int? {
    switch cause {
    case .reply(let code): Int(code.rawValue)
    case .socks4Reply(let code): Int(code.rawValue)
    case .status(let status): Int(status.rawValue)
    default: nil
    }
  }
}

extension Failure.Place {
  var jsonMembers: [JSON.Member] {
    switch self {
    case .client: [JSON.Member(key: "at", value: "client")]
    case .destination: [JSON.Member(key: "at", value: "destination")]
    case .hop(let index, let count, let name):
      [
        JSON.Member(key: "hop", value: .int(index + 1)), JSON.Member(key: "of", value: .int(count)),
        JSON.Member(key: "name", value: .string(name)),
      ]
    }
  }
}

extension Way {
  var chain: Chain? { if case .chain(let chain) = self { chain } else { nil } }
}

extension Outcome {
  /// `nil` for a plan, of which only the way that was taken has hops.
  var chain: Chain? { if case .chain(let chain) = self { chain } else { nil } }
}
