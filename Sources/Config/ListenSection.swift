import Addresses
import Routing
import Settings

/// `listen:`.
extension TableReader {
  private static let keys = Keys(
    ["address", "users", "clients", "open", "auth", "name", "protocols", "udp", "bind"],
    later: ["table", "tls", "proxy_protocol"])

  private static let addressForm = Form(
    "an address to listen on, an IP address and a port or unix:/path", "127.0.0.1:1080")

  /// The table's listeners; without `listen:`, the default one.
  func readListeners(_ node: Node?) -> [Listener] {
    let text = "127.0.0.1:1080"
    guard let node else {
      let address = Listener.Address.tcp(SocketAddress(.loopback4, port: 1080))
      return [Listener(address: address, id: ListenerID(address: text))]
    }
    var seen = ListenersSeen()
    return list(node, Self.addressForm).compactMap { node in
      let position = node.position
      let listener = node.kind == .mapping ? readListenerMap(node) : readListenerAddress(node)
      guard let listener else { return nil }
      if let fault = seen.fault(of: listener) { error(position, fault) }
      return listener
    }
  }

  /// Listeners that the command line names in place of the table's.
  func readListeners(arguments: [String]) -> [Listener] {
    var seen = ListenersSeen()
    return arguments.compactMap { text in
      func report(_ message: String) {
        log.append(Diagnostic(severity: .error, file: "--listen", position: nil, message: message))
      }
      guard let address = Self.address(text) else {
        report("\(quoted(text)) is not \(Self.addressForm.name) \(Self.addressForm.advice)")
        return nil
      }
      let listener = Listener(address: address, id: ListenerID(address: text))
      if address.isReachableByOthers {
        report(
          "everyone who reaches \(text) could use it (write it into the table, with 'users' or 'clients')")
      }
      if let fault = seen.fault(of: listener) { report(fault) }
      return listener
    }
  }

  private func readListenerAddress(_ node: Node) -> Listener? {
    guard let (address, text) = readAddress(node) else { return nil }
    if address.isReachableByOthers { refuseOpen(node, text) }
    return Listener(address: address, id: ListenerID(address: text))
  }

  private func readListenerMap(_ node: Node) -> Listener? {
    guard let fields = fields(node, "a listener", "{address: 127.0.0.1:1080}", Self.keys) else { return nil }
    var address: (address: Listener.Address, text: String)? = (
      .tcp(SocketAddress(.loopback4, port: 1080)), "127.0.0.1:1080"
    )
    if let node = fields["address"] { address = readAddress(node) }
    let name = fields["name"].flatMap { text($0, Form("a name", "office")) }
    let users = fields["users"].map(readUsers) ?? []
    let clients = fields["clients"].map { readPrefixes($0) } ?? []
    // What stands there in error was meant to say something: one message about it is enough.
    let isOpen = fields["open"].map { bool($0) ?? true } ?? false
    let authentication = readAuthentication(fields)
    let protocols = fields["protocols"].flatMap { readProtocols($0, authentication) }
    let udp = fields["udp"].map(readUDPService) ?? Listener.UDPService()
    let bind = fields["bind"].map(readBindService) ?? Listener.BindService()
    if let field = fields.field("udp"), udp != nil, protocols?.contains(.socks5) == false {
      let others =
        protocols == [.socks4] ? "SOCKS4 has" : protocols == [.http] ? "HTTP has" : "SOCKS4 and HTTP have"
      error(field.key, "\(others) no UDP (remove 'udp', or add 'socks5' to 'protocols')")
    }
    if let field = fields.field("bind"), bind != nil, protocols == [.http] {
      error(field.key, "HTTP has no BIND (remove 'bind', or add 'socks5' to 'protocols')")
    }

    guard let address else { return nil }
    let isProtected = fields["clients"] != nil || fields["users"] != nil
    if address.address.isReachableByOthers, !isProtected, !isOpen {
      refuseOpen(fields["address"] ?? node, address.text)
    }
    return Listener(
      address: address.address, id: ListenerID(address: address.text, name: name), users: users,
      clients: clients ?? [], authentication: authentication,
      protocols: protocols ?? Set(Listener.InboundProtocol.allCases), udp: udp, bind: bind)
  }

  /// An open proxy is found within hours and used for what its owner answers for.
  private func refuseOpen(_ node: Node, _ text: String) {
    error(
      node,
      "everyone who reaches \(quoted(text)) could use it"
        + " (add 'users' or 'clients', listen on 127.0.0.1, or write 'open: true' if that is meant)")
  }

  private func readAuthentication(_ fields: Fields) -> Listener.Authentication {
    let hasUsers = fields["users"] != nil
    guard let node = fields["auth"], let value = word(node, Listener.Authentication.self) else {
      return hasUsers ? .required : .none
    }
    if value == .required, !hasUsers {
      error(node, "'auth: required' needs somebody who may pass (add 'users')")
    } else if value != .required, hasUsers {
      error(node, "with 'auth: \(value)' nobody's password is checked (remove 'auth', or remove 'users')")
    }
    return value
  }

  private func readAddress(_ node: Node) -> (Listener.Address, String)? {
    guard let text = text(node, Self.addressForm) else { return nil }
    if let address = Self.address(text) { return (address, text) }
    if text.hasPrefix("unix:") {
      error(node, "a socket's path starts with '/' and has at most 107 octets (write unix:/run/sockeye.sock)")
    } else if let port = text.hasPrefix(":") ? decimal(text.dropFirst()) : decimal(text), port <= 65535 {
      error(
        node,
        "\(quoted(node)) names no address"
          + " (write 127.0.0.1:\(port) for this machine only, 0.0.0.0:\(port) for all of its addresses)")
    } else if let endpoint = Endpoint(text), endpoint.host.name?.text == "localhost" {
      error(node, "a listener needs an address, not a name (write 127.0.0.1:\(endpoint.port))")
    } else {
      mismatch(node, Self.addressForm)
    }
    return nil
  }

  static func address(_ text: String) -> Listener.Address? {
    if text.hasPrefix("unix:") {
      let path = text.dropFirst("unix:".count)
      // sockaddr_un holds 108 octets with the closing NUL.
      guard path.hasPrefix("/"), path.utf8.count <= 107, !path.utf8.contains(0) else { return nil }
      return .unix(path: String(path))
    }
    guard let endpoint = Endpoint(text), let address = endpoint.host.address?.unmapped,
      !address.isMulticast, !address.isBroadcast
    else { return nil }
    return .tcp(SocketAddress(address, port: endpoint.port))
  }
}

extension Listener.Address {
  /// Whether other machines could connect, as far as the address tells.
  fileprivate var isReachableByOthers: Bool {
    switch self {
    case .tcp(let socket): !socket.address.isLoopback
    case .unix: false
    }
  }
}

extension Listener {
  /// A listener on a free port of 127.0.0.1, which routes take for another.
  static func privateOne(as id: ListenerID) -> Listener {
    Listener(address: .tcp(SocketAddress(.loopback4, port: 0)), id: id)
  }
}

/// Finds two listeners that would be in each other's way.
private struct ListenersSeen {
  private var listeners: [Listener] = []
  private var names: Set<String> = []

  mutating func fault(of listener: Listener) -> String? {
    defer { listeners.append(listener) }
    if let other = listeners.first(where: { $0.address.collides(with: listener.address) }) {
      return other.id.address == listener.id.address
        ? "'\(listener.id.address)' is listened on twice (remove one)"
        : "'\(listener.id.address)' is '\(other.id.address)', which is listened on already (remove one)"
    }
    if let name = listener.id.name, !names.insert(name).inserted {
      return "two listeners have the name '\(name)' (choose another for this one)"
    }
    return nil
  }
}

extension Listener.Address {
  /// Whether both are the same. An address and the one that stands for all (`0.0.0.0`) are two: a client comes to the
  /// listener that names the address it has reached.
  func collides(with other: Listener.Address) -> Bool {
    switch (self, other) {
    case (.tcp(let one), .tcp(let other)):
      return one == other && one.port != 0
    case (.unix(let one), .unix(let other)):
      return one.splitPath == other.splitPath
    default:
      return false
    }
  }
}

extension String {
  /// The parts of a path but those that mean nothing.
  fileprivate var splitPath: [Substring] { split(separator: "/").filter { $0 != "." } }
}
