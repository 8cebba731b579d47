import Routing
import Wire

/// Messages to the hops of a chain that leave together, and the answers that are due for them, in order.
struct Flight {
  enum Answer {
    /// Which of the methods offered the hop chooses.
    case method(among: [SOCKS5.Method])
    /// Whether it takes the user name and the password.
    case admission
    /// Whether it has reached the next hop.
    case passage(to: Hop)
    /// What it says to a request of another kind, and how long that may take; `nil` when that is for the dial to say, since
    /// it hangs on the destination.
    case reply(Failure.Phase, within: Duration?)
  }

  struct Due {
    let hop: Hop
    let answer: Answer

    /// What a failure to send the message is told as.
    var phase: Failure.Phase {
      switch answer {
      case .method: .greet
      case .admission: .authenticate
      case .passage: .request
      case .reply(let phase, _): phase
      }
    }

    /// How long the answer may take; `nil` when that is for the dial to say.
    var timeout: Duration? {
      switch answer {
      case .method, .admission: hop.upstream.timeout
      case .passage(let next): next.upstream.timeout
      case .reply(_, let limit): limit
      }
    }
  }

  private(set) var bytes: [UInt8] = []
  private(set) var due: [Due] = []

  /// Whether the last hop's request, which is for the client's destination, is among the messages.
  var hasRequest: Bool {
    guard case .reply? = due.last?.answer else { return false }
    return true
  }

  mutating func add(_ message: [UInt8], to hop: Hop, due answer: Answer) {
    if bytes.isEmpty { bytes = message } else { bytes += message }
    due.append(Due(hop: hop, answer: answer))
  }
}
