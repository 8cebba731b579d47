import Addresses
import Routing

/// One entry of `listen:`.
package struct Listener: Hashable, Sendable {
  package enum Address: Hashable, Sendable {
    case tcp(SocketAddress)
    case unix(path: String)
  }

  package enum Authentication: String, Hashable, Sendable, CaseIterable {
    /// A user and a password of `users`.
    case required
    /// Any name is taken as a label for rules; nothing is checked.
    case optional
    case none
  }

  package var address: Address
  /// As written in the file, for `listener` conditions and logs.
  package var id: ListenerID
  package var users: [User]
  /// Who may connect; empty: everyone.
  package var clients: [Prefix]
  package var authentication: Authentication

  package init(
    address: Address, id: ListenerID, users: [User] = [], clients: [Prefix] = [],
    authentication: Authentication = .none
  ) {
    self.address = address
    self.id = id
    self.users = users
    self.clients = clients
    self.authentication = authentication
  }
}

extension Listener.Address: CustomStringConvertible {
  /// As `listen:` writes it.
  package var description: String {
    switch self {
    case .tcp(let address): address.description
    case .unix(let path): "unix:\(path)"
    }
  }
}

/// A name and what proves it. However it is printed, the secret does not show.
package struct User: Hashable, Sendable {
  package enum Secret: Hashable, Sendable {
    case password([UInt8])
    /// A crypt(3) hash, such as `$6$…`.
    case hash(String)
  }

  package let name: [UInt8]
  package let secret: Secret

  package init(name: [UInt8], secret: Secret) {
    self.name = name
    self.secret = secret
  }
}

extension User: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  package var description: String { "user \(String(decoding: name, as: UTF8.self))" }
  package var debugDescription: String { description }
  package var customMirror: Mirror { Mirror(self, children: ["name": description]) }
}
