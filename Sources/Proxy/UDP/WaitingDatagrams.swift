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
  private let names: AwaitedNames
  private let client: IPAddress

  init(_ lookup: Lookup, by client: IPAddress, in names: AwaitedNames) {
    self.lookup = lookup
    self.names = names
    self.client = client
    names.add(client)
  }

  deinit {
    names.remove(client)
  }
}

/// How many names are being looked up for each client's datagrams: the resolver is there for all of them, and a datagram
/// that asks for one more costs its sender next to nothing.
final class AwaitedNames {
  private var counts: [IPAddress: Int] = [:]

  func count(of client: IPAddress) -> Int { counts[client, default: 0] }

  fileprivate func add(_ client: IPAddress) {
    counts[client, default: 0] += 1
  }

  fileprivate func remove(_ client: IPAddress) {
    guard let count = counts[client] else { return }
    counts[client] = count > 1 ? count - 1 : nil
  }
}
