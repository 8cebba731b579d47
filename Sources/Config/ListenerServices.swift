import Addresses
import Settings

/// What a listener serves: `protocols`, `udp` and `bind`.
extension TableReader {
  private static let protocolForm = Form("a protocol", "socks5")
  private static let udpKeys = Keys(["advertise", "ports", "filtering"])
  private static let bindKeys = Keys(["advertise", "ports"])
  private static let addressForm = Form("an IP address that clients can reach", "192.0.2.7")

  func readProtocols(
    _ node: Node, _ authentication: Listener.Authentication
  ) -> Set<Listener.InboundProtocol>? {
    let protocols = each(node, Self.protocolForm) { word($0, Listener.InboundProtocol.self) }
    if authentication == .required, protocols?.allSatisfy({ $0 == .socks4 }) == true {
      error(node, "SOCKS4 has no passwords, so that nobody could pass (add 'socks5', or remove 'users')")
    }
    return protocols.map { Set($0) }
  }

  /// `nil` when it is switched off.
  func readUDPService(_ node: Node) -> Listener.UDPService? {
    var service = Listener.UDPService()
    guard isOn(node, "{ports: 40000-40100}") else { return nil }
    guard node.kind == .mapping else { return service }
    guard let fields = fields(node, "the 'udp' map", "{ports: 40000-40100}", Self.udpKeys) else {
      return service
    }
    service.advertise = fields["advertise"].flatMap(readAdvertised)
    service.ports = fields["ports"].flatMap(readPorts)
    if let filtering = fields["filtering"].flatMap({ word($0, Listener.UDPService.Filtering.self) }) {
      service.filtering = filtering
    }
    return service
  }

  /// `nil` when it is switched off.
  func readBindService(_ node: Node) -> Listener.BindService? {
    var service = Listener.BindService()
    guard isOn(node, "{ports: 40000-40100}") else { return nil }
    guard node.kind == .mapping else { return service }
    guard let fields = fields(node, "the 'bind' map", "{ports: 40000-40100}", Self.bindKeys) else {
      return service
    }
    service.advertise = fields["advertise"].flatMap(readAdvertised)
    service.ports = fields["ports"].flatMap(readPorts)
    return service
  }

  /// False for `false`; an error, and true, for what is neither that, nor `true`, nor a map.
  private func isOn(_ node: Node, _ example: String) -> Bool {
    guard node.kind != .mapping else { return true }
    let form = Form("'true', 'false' or a map", example)
    switch scalar(node, form)?.text {
    case nil, "true": return true
    case "false": return false
    default:
      mismatch(node, form)
      return true
    }
  }

  private func readAdvertised(_ node: Node) -> IPAddress? {
    guard let text = text(node, Self.addressForm) else { return nil }
    guard let address = IPAddress(text)?.unmapped, address.isDialable else {
      mismatch(node, Self.addressForm)
      return nil
    }
    return address
  }
}
