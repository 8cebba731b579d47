import Addresses
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
    guard address.address.isDialable, !association.worker.server.ownRelays.contains(address) else {
      return .nowhere(.refused)
    }
    return Flow.Decision(way: .direct(address), contact: contacts.add(.address(address.address)))
  }

  /// The first of a name's addresses that may be sent to, and that there is a way to.
  func decide(_ request: Request, among addresses: [IPAddress]) -> Flow.Decision {
    var result = Flow.Decision.nowhere(.unresolved)
    for address in addresses {
      guard association.terms.policy.table.refusal(of: address, for: request) == nil else {
        result = .nowhere(.rejected)
        continue
      }
      result = decide(SocketAddress(address, port: request.destination.port))
      if case .direct = result.way, address == addresses.last || address.hasRoute { break }
    }
    return result
  }

  // MARK: Moving

  /// `nil` when there is no descriptor for it.
  func outlet(towards address: IPAddress) -> Outlet? {
    switch address {
    case .v4:
      if outlet4 == nil { outlet4 = open(.v4) }
      return outlet4
    case .v6:
      if outlet6 == nil { outlet6 = open(.v6) }
      return outlet6
    }
  }

  private func open(_ family: Family) -> Outlet? {
    guard let socket = try? UDPSocket(family, on: association.loop) else { return nil }
    let outlet = Outlet(socket)
    outlets.append(outlet)
    association.watch(outlet)
    return outlet
  }

  /// Takes answers from the socket that was opened as the `index`th; true when there may be more.
  func receive(at index: Int) -> Bool {
    let batch = association.loop.datagrams
    let letsAnyone = association.terms.service.filtering == .endpointIndependent
    for _ in 0..<Association.rounds {
      guard let count = try? batch.receive(from: outlets[index].socket), count > 0 else { return false }
      for slot in 0..<count {
        let source = batch.source(of: slot)
        if letsAnyone || contacts.contains(source) {
          association.deliver(slot, from: source)
        } else {
          association.drops.count(.unsolicited)
        }
      }
      association.flush()
      if count < DatagramBatch.capacity { return false }
    }
    return true
  }
}

extension IPAddress {
  /// Whether there is a way to it from here, as far as this host knows.
  var hasRoute: Bool { (try? UDPSocket.localAddress(towards: self)) != nil }
}
