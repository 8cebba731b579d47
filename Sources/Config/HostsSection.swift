import Addresses
import Settings

/// `hosts:` and `dns:`.
extension TableReader {
  private static let addressForm = Form("an IP address", "127.0.0.1")

  func readHosts(_ node: Node) -> HostOverrides {
    var hosts = HostOverrides()
    var seen: [String: Int] = [:]
    let form = Form("a map from names to addresses", "{dev.example: 127.0.0.1}")
    for (text, key, value) in namedEntries(node, form) {
      let addresses = each(value, Self.addressForm, readAddress)
      let isPattern = text.hasPrefix("*.")
      guard let name = try? DomainName(isPattern ? text.dropFirst(2) : text[...]) else {
        error(
          key, "\(quoted(text)) is neither a host name nor one behind '*.' (write dev.example or '*.test')")
        continue
      }
      if let line = seen.updateValue(key.position.line, forKey: (isPattern ? "*." : "") + name.text) {
        error(key, "\(quoted(text)) stands here a second time, first in line \(line) (remove one)")
      }
      guard let addresses else { continue }
      if isPattern { hosts.setBelow(name, to: addresses) } else { hosts.set(name, to: addresses) }
    }
    return hosts
  }

  private func readAddress(_ node: Node) -> IPAddress? {
    guard let text = text(node, Self.addressForm) else { return nil }
    guard let address = IPAddress(text) else {
      mismatch(node, Self.addressForm)
      return nil
    }
    return address.unmapped
  }

  func readNameServers(_ node: Node) -> NameServers {
    var result = NameServers()
    let keys = Keys(["servers", "cache"])
    guard let fields = fields(node, "the 'dns' map", "{servers: 9.9.9.9}", keys) else { return result }
    if let node = fields["servers"] {
      let form = Form("a name server's address", "9.9.9.9 or [2620:fe::fe]:53")
      result.servers = each(node, form) { readServer($0, form) } ?? []
    }
    if let value = fields["cache"].flatMap({ integer($0, in: 0...10_000_000) }) {
      result.cacheCapacity = value
    }
    return result
  }

  private func readServer(_ node: Node, _ form: Form) -> SocketAddress? {
    guard let text = text(node, form) else { return nil }
    if text.contains("://") {
      error(node, "encrypted DNS is not supported yet (write a name server's address, such as 9.9.9.9)")
      return nil
    }
    if let address = IPAddress(text)?.unmapped { return SocketAddress(address, port: 53) }
    if let endpoint = Endpoint(text), let address = endpoint.host.address, endpoint.port > 0 {
      return SocketAddress(address, port: endpoint.port)
    }
    mismatch(node, form)
    return nil
  }
}
