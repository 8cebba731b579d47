import Addresses
import Settings
import Transport

extension Server {
  /// Why a table is not served: no listener of it has the address of a socket that the service manager passed. It would go
  /// on listening, and clients would wait there for nothing.
  package struct UnwantedSocket: Error, CustomStringConvertible {
    let socket: PassedSocket

    package var description: String {
      let name = socket.name.map { " ('\($0)')" } ?? ""
      return
        "no listener of the table is for the passed socket \(socket.listenerAddress)\(name): add this address to"
        + " 'listen', or take it out of the socket unit"
    }
  }

  /// Which of the passed sockets that are not in use each of some listeners of a table takes.
  ///
  /// - Parameters:
  ///   - new: the listeners to open.
  ///   - kept: those of the table that are open already.
  ///   - listeners: all of the table.
  /// - Throws: `UnwantedSocket` when one is left.
  func share(
    _ new: [Listener], beside kept: [Place], of listeners: [Listener]
  ) throws -> [(listener: Listener, passed: [PassedSocket])] {
    let inUse = Set(kept.filter(\.isPassed).map(\.address))
    var free = passed.filter { !inUse.contains($0.listenerAddress) }
    let shares = new.map { listener in
      // Several may have one address: with `ReusePort=` the kernel spreads connections over them.
      let address = free.first { $0.isMeant(for: listener, of: listeners) }?.listenerAddress
      let taken = free.filter { $0.listenerAddress == address }
      free.removeAll { $0.listenerAddress == address }
      return (listener, taken)
    }
    if let socket = free.first { throw UnwantedSocket(socket: socket) }
    return shares
  }
}

extension PassedSocket {
  var listenerAddress: Listener.Address {
    switch address {
    case .tcp(let address): .tcp(address)
    case .unix(let path): .unix(path: path)
    }
  }

  /// The address decides. A name that a listener has tells more: the socket is for no other, and where the table leaves the
  /// port to the system, it is for this one.
  fileprivate func isMeant(for listener: Listener, of listeners: [Listener]) -> Bool {
    let isNamed = name != nil && listener.id.name == name
    if !isNamed, listeners.contains(where: { $0.id.name == name && name != nil }) { return false }
    guard case (.tcp(let wanted), .tcp(let bound)) = (listener.address, address), isNamed, wanted.port == 0
    else { return listener.address == listenerAddress }
    return wanted.address == bound.address
  }
}
