import Addresses

/// Whom a client has sent to by one way: only they may answer (address-dependent filtering, RFC 4787 §5).
///
/// A name that leaves through a chain is resolved by its last hop, and nobody here learns the address: then the port
/// alone tells whether an answer may be one.
final class Contacts {
  enum Contact: Hashable {
    case address(IPAddress)
    case named(port: UInt16)
  }

  /// Holds a contact for as long as it lives.
  final class Entry {
    private let contacts: Contacts
    private let contact: Contact

    fileprivate init(_ contact: Contact, in contacts: Contacts) {
      self.contact = contact
      self.contacts = contacts
      contacts.counts[contact, default: 0] += 1
    }

    deinit {
      contacts.remove(contact)
    }
  }

  private var counts: [Contact: Int] = [:]
  /// The one asked about last: most answers come in a row.
  private var latest: SocketAddress?

  func add(_ contact: Contact) -> Entry { Entry(contact, in: self) }

  private func remove(_ contact: Contact) {
    guard let count = counts[contact] else { return }
    counts[contact] = count > 1 ? count - 1 : nil
    latest = nil
  }

  func contains(_ source: SocketAddress) -> Bool {
    if source == latest { return true }
    guard counts[.address(source.address)] != nil || counts[.named(port: source.port)] != nil else {
      return false
    }
    latest = source
    return true
  }
}
