import Addresses

/// What a client asks for, as far as routes can see it.
package struct Request: Hashable, Sendable {
  /// RFC 1928 §4, CMD.
  package enum Command: String, Hashable, Sendable, CaseIterable {
    case connect
    case bind
    case udp

    package var network: Network { self == .udp ? .udp : .tcp }
  }

  package enum Network: String, Hashable, Sendable, CaseIterable {
    case tcp
    case udp
  }

  package var command: Command
  package var destination: Endpoint
  /// What the client asked for, when a route has rewritten it to `destination`.
  package internal(set) var asked: Endpoint?
  /// The client's address; `nil` on a Unix-domain listener.
  package var client: IPAddress?
  /// The authenticated name, or with `auth: optional` the given one.
  package var user: String?
  package var listener: ListenerID
  /// The client as limits and findings count it; `nil`: the program itself.
  package var owner: Client?

  package init(
    _ command: Command = .connect, to destination: Endpoint, client: IPAddress? = nil, user: String? = nil,
    listener: ListenerID = ListenerID(address: "127.0.0.1:1080"), of owner: Client? = nil
  ) {
    self.command = command
    self.destination = destination
    self.client = client
    self.user = user
    self.listener = listener
    self.owner = owner ?? client.map { Client(at: $0) }
  }
}

/// How a `listener` condition can call a listener: by its address as written, or by its name.
package struct ListenerID: Hashable, Sendable {
  package var address: String
  package var name: String?

  package init(address: String, name: String? = nil) {
    self.address = address
    self.name = name
  }
}
