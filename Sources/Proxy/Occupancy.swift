import Addresses
import Settings
import Synchronization

/// How many connections there are, over all loops.
final class Occupancy: Sendable {
  private struct Counts {
    var connections = 0
    var handshakes = 0
    var associations = 0
    var perClient: [IPAddress: Int] = [:]
  }

  private let counts = Mutex(Counts())

  enum Admission {
    case admitted
    /// There is room to hear the request and refuse it, not to serve it.
    case overLimit
    /// Not even that.
    case turnedAway
  }

  /// Counts a connection and its handshake, unless it is turned away; whoever is not must `leave`.
  func enter(_ client: IPAddress?, limits: Limits) -> Admission {
    counts.withLock { counts in
      guard counts.handshakes < limits.handshakes else { return .turnedAway }
      counts.handshakes += 1
      counts.connections += 1
      var isOver = counts.connections > limits.connections
      if let client {
        counts.perClient[client, default: 0] += 1
        isOver = isOver || counts.perClient[client, default: 0] > limits.perClient
      }
      return isOver ? .overLimit : .admitted
    }
  }

  func endHandshake() {
    counts.withLock { $0.handshakes -= 1 }
  }

  func leave(_ client: IPAddress?) {
    counts.withLock { counts in
      counts.connections -= 1
      guard let client, let count = counts.perClient[client] else { return }
      counts.perClient[client] = count > 1 ? count - 1 : nil
    }
  }

  /// Room for one UDP association, until it ends.
  struct AssociationSeat: ~Copyable {
    private let occupancy: Occupancy

    fileprivate init(in occupancy: Occupancy) {
      self.occupancy = occupancy
    }

    deinit {
      occupancy.counts.withLock { $0.associations -= 1 }
    }
  }

  /// `nil` when there are `limit` associations.
  func seatAssociation(limit: Int) -> AssociationSeat? {
    let hasRoom = counts.withLock { counts in
      guard counts.associations < limit else { return false }
      counts.associations += 1
      return true
    }
    return hasRoom ? AssociationSeat(in: self) : nil
  }
}
