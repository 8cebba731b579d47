import Addresses
import DNS
import Routing
import Settings
import Transport

/// How one association reaches destinations from here: a socket for each family, opened when it is first needed (G18).
///
/// What ICMP says of a destination is not heard (G17): these sockets are not connected.
final class DirectPath {
  private unowned let association: Association
  private let contacts = Contacts()
  private var outlets: [Outlet] = []
  private var outlet4: Outlet?
  private var outlet6: Outlet?

  init(for association: Association) {
    self.association = association
  }

  // MARK: Deciding

  func decide(_ address: SocketAddress) -> Flow.Decision {
    guard address.address.isDialable else { return .nowhere(.refused) }
    return Flow.Decision(way: .direct(address), contact: contacts.add(Endpoint(address)))
  }

  /// What the addresses of a name, at least one, lead to.
  func decide(_ request: Request, among addresses: [IPAddress]) -> Flow.Decision {
    let table = association.terms.policy.table
    if let address = table.addressForDatagrams(among: addresses, of: request) {
      return decide(SocketAddress(address, port: request.destination.port))
    }
    return .nowhere(addresses.contains(where: \.isDialable) ? .rejected : .refused)
  }

  // MARK: Moving

  /// Whether a datagram may go there now. A relay of ours may be opened at any time, so this is asked for each.
  func admits(_ destination: SocketAddress) -> Bool {
    !association.worker.server.ownRelays.contains(destination)
  }

  /// `nil` when there is no descriptor for it.
  func outlet(towards destination: SocketAddress) -> Outlet? {
    switch destination.address {
    case .v4:
      if outlet4 == nil { outlet4 = open(towards: destination) }
      return outlet4
    case .v6:
      if outlet6 == nil { outlet6 = open(towards: destination) }
      return outlet6
    }
  }

  private func open(towards destination: SocketAddress) -> Outlet? {
    do throws(Errno) {
      let outlet = Outlet(try UDPSocket(destination.address.family, on: association.loop))
      outlets.append(outlet)
      association.watch(outlet)
      return outlet
    } catch {
      association.worker.server.shortages.note(.system(error), towards: Endpoint(destination))
      return nil
    }
  }

  /// Takes answers from the socket that was opened as the `index`th; true when there may be more.
  func receive(at index: Int) -> Bool {
    let batch = association.loop.datagrams
    // As with the relay, nothing can fail but for want of memory.
    let hasMore = try? outlets[index].socket.receive { slot in
      association.deliver(slot, from: Endpoint(batch.source(of: slot)), if: contacts)
    } flush: {
      association.flush()
    }
    return hasMore ?? false
  }
}

extension RouteTable {
  /// Which of a name's addresses datagrams go to: the first that they may be sent to, and that there is a way to. Where
  /// there is a way to none, the kernel shall say so.
  func addressForDatagrams(among addresses: [IPAddress], of request: Request) -> IPAddress? {
    let admitted = addresses.filter { $0.isDialable && refusal(of: $0, for: request) == nil }
    return admitted.first(where: \.hasRoute) ?? admitted.last
  }
}

extension IPAddress {
  /// Whether there is a way to it from here, as far as this host knows.
  var hasRoute: Bool { (try? UDPSocket.localAddress(towards: self)) != nil }
}

extension Lookup {
  /// Whether it is known where datagrams to the name go.
  ///
  /// Nothing tells of a datagram which family works: IPv4 does nearly everywhere. So IPv6 is waited for only where no
  /// IPv4 address may be sent to, or there is no way to any.
  func suffices(for request: Request, by table: RouteTable) -> Bool {
    guard !isComplete, case .success(let addresses)? = v4 else { return isComplete }
    return table.addressForDatagrams(among: addresses, of: request)?.hasRoute == true
  }
}
