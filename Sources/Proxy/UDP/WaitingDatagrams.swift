import Addresses
import DNS

/// Datagrams that wait for a name or a path: a few, since those who send them are used to loss, but not to delay.
final class WaitingDatagrams {
  struct Datagram {
    let payload: [UInt8]
    let destination: Endpoint
  }

  private static let limit = 16

  private var datagrams: [Datagram] = []

  var isFull: Bool { datagrams.count >= Self.limit }

  func add(_ payload: [UInt8], to destination: Endpoint) {
    datagrams.append(Datagram(payload: payload, destination: destination))
  }

  func takeAll() -> [Datagram] {
    defer { datagrams = [] }
    return datagrams
  }
}

/// A name that is being looked up, and what waits for it.
///
/// `@unchecked` holds because it belongs to an association, whose tasks run on one thread.
final class AwaitedName: @unchecked Sendable {
  let lookup: Lookup
  let waiting = WaitingDatagrams()

  init(_ lookup: Lookup) {
    self.lookup = lookup
  }
}
