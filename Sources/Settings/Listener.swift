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

  /// What its clients may speak, told apart by their first octet.
  package enum InboundProtocol: String, Hashable, Sendable, CaseIterable {
    case socks5
    /// With SOCKS4a.
    case socks4
    /// CONNECT of HTTP/1.1.
    case http
  }

  /// How UDP ASSOCIATE is served.
  package struct UDPService: Hashable, Sendable {
    /// Who may answer a client through its association.
    package enum Filtering: String, Hashable, Sendable, CaseIterable {
      /// The addresses it has sent to, from any port.
      case address
      /// Everyone who learns of the port (full cone), as STUN and WebRTC like it.
      case endpointIndependent = "endpoint-independent"
    }

    /// What clients are told to send to, in place of the address they reached the listener at.
    package var advertise: IPAddress?
    /// The ports to choose from; `nil`: any.
    package var ports: ClosedRange<UInt16>?
    package var filtering: Filtering

    package init(
      advertise: IPAddress? = nil, ports: ClosedRange<UInt16>? = nil, filtering: Filtering = .address
    ) {
      self.advertise = advertise
      self.ports = ports
      self.filtering = filtering
    }
  }

  /// How BIND is served.
  package struct BindService: Hashable, Sendable {
    /// What the client is told that its peer shall connect to, in place of the address that is listened on.
    package var advertise: IPAddress?
    /// The ports to choose from; `nil`: any.
    package var ports: ClosedRange<UInt16>?

    package init(advertise: IPAddress? = nil, ports: ClosedRange<UInt16>? = nil) {
      self.advertise = advertise
      self.ports = ports
    }
  }

  package var address: Address
  /// As written in the file, for `listener` conditions and logs.
  package var id: ListenerID
  package var users: [User]
  /// Who may connect; empty: everyone.
  package var clients: [Prefix]
  package var authentication: Authentication
  package var protocols: Set<InboundProtocol>
  /// `nil`: UDP ASSOCIATE is refused.
  package var udp: UDPService?
  /// `nil`: BIND is refused.
  package var bind: BindService?

  package init(
    address: Address, id: ListenerID, users: [User] = [], clients: [Prefix] = [],
    authentication: Authentication = .none, protocols: Set<InboundProtocol> = Set(InboundProtocol.allCases),
    udp: UDPService? = UDPService(), bind: BindService? = BindService()
  ) {
    self.address = address
    self.id = id
    self.users = users
    self.clients = clients
    self.authentication = authentication
    self.protocols = protocols
    self.udp = udp
    self.bind = bind
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
