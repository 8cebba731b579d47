import Addresses
import Transport

/// One destination of an association, and what becomes of the datagrams to it.
final class Flow {
  enum Way {
    case nowhere(Drop)
    case awaited(AwaitedName)
    case direct(SocketAddress)
    /// - header: names the destination to the last hop.
    case chain(ChainPath, header: [UInt8])
  }

  /// A way, until when it holds, and who may answer because of it.
  struct Decision {
    var way: Way
    var expiry = Deadline.never
    /// How long it holds from each datagram on; `nil`: until `expiry` in any case.
    var lifetime: Deadline.Interval?
    var contact: Contacts.Entry?

    static func nowhere(_ drop: Drop, until expiry: Deadline = .never) -> Decision {
      Decision(way: .nowhere(drop), expiry: expiry)
    }
  }

  var decision: Decision

  init(_ decision: Decision) {
    self.decision = decision
  }

  /// Whether a datagram may take the way now; else it is to be found anew.
  func holds(at now: Deadline) -> Bool {
    if case .chain(let path, _) = decision.way, path.hasEnded { return false }
    guard now < decision.expiry else { return false }
    if let lifetime = decision.lifetime { decision.expiry = now + lifetime }
    return true
  }
}
