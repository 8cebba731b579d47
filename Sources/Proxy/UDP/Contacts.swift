import Addresses

/// The destinations that a client has sent to by one path: only these may answer (address-dependent filtering,
/// RFC 4787 §5).
///
/// The last hop of a chain resolves names. Some hops (v2ray, Xray, sing-box) head the answers with the name that was
/// asked. Others head them with the address, which Sockeye does not know: such an answer is accepted if its port is
/// that of a name that was asked.
final class Contacts {
  /// Holds a contact for as long as it lives.
  final class Entry {
    private let contacts: Contacts
    private let destination: Endpoint

    fileprivate init(_ destination: Endpoint, in contacts: Contacts) {
      self.destination = destination
      self.contacts = contacts
      contacts.count(destination, by: 1)
    }

    deinit {
      contacts.count(destination, by: -1)
    }
  }

  /// How many entries there are for each address and name.
  private var hosts: [Host: Int] = [:]
  /// How many entries of names there are for each port.
  private var portsOfNames: [UInt16: Int] = [:]
  /// The source that was accepted last: most answers come in a row.
  private var latest: Endpoint?

  func add(_ destination: Endpoint) -> Entry { Entry(destination, in: self) }

  private func count(_ destination: Endpoint, by difference: Int) {
    hosts.count(destination.host, by: difference)
    if case .name = destination.host { portsOfNames.count(destination.port, by: difference) }
    if difference < 0 { latest = nil }
  }

  /// Whether an answer from `source` is accepted. The port of a host that was sent to may be any.
  func contains(_ source: Endpoint) -> Bool {
    if source == latest { return true }
    let isAddress = source.host.address != nil
    guard hosts[source.host] != nil || isAddress && portsOfNames[source.port] != nil else { return false }
    latest = source
    return true
  }
}

extension Dictionary where Value == Int {
  /// Changes a count. A key whose count comes to 0 is removed.
  fileprivate mutating func count(_ key: Key, by difference: Int) {
    let count = self[key, default: 0] + difference
    self[key] = count == 0 ? nil : count
  }
}
