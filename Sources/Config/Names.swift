import Addresses
import Routing
import Settings

/// What the names of a table stand for. Upstreams, groups and chains share one set of names.
struct Names {
  /// `nil` under a name whose value had errors: to use it is no further error.
  var upstreams: [String: Upstream?] = [:]
  /// Where an upstream's address is written.
  var positions: [String: Position] = [:]
  /// What upstreams are isolated by, and where that is written.
  var isolations: [(Isolation, Position)] = []
  var groups: [String: Node] = [:]
  var chains: [String: Node] = [:]
  /// Groups and chains that were worked out.
  var resolved: [String: ResolvedStop] = [:]
  /// What they are as outcomes that connections take.
  var outcomes: [String: Outcome] = [:]
  var declarations: [String: Position] = [:]
  /// Upstreams already reported as listeners of our own.
  var loops: Set<String> = []

  /// All of them, for suggestions. Sorted once: they are complete before the first one is asked for.
  private(set) lazy var all = upstreams.keys.sorted() + groups.keys.sorted() + chains.keys.sorted()
}

extension TableReader {
  /// What would be mistaken for something else where a log or a list shows a name.
  private static let punctuation = Set(",'\"{}[]".utf8)

  /// Takes a name for an upstream, a group or a chain; false, with an error, if it cannot have it.
  func declare(_ name: String, _ key: Node) -> Bool {
    if ["direct", "reject", "drop"].contains(name) {
      error(key, "'\(name)' is an outcome of every table (choose another name)")
      return false
    }
    let isPlain = name.utf8.allSatisfy { (0x21...0x7e).contains($0) && !Self.punctuation.contains($0) }
    guard isPlain, (1...64).contains(name.utf8.count) else {
      error(
        key, "a name is 1 to 64 ASCII characters without spaces, commas, quotes and brackets (choose another)"
      )
      return false
    }
    if let first = names.declarations[name] {
      error(key, "the name '\(name)' is already taken in line \(first.line) (choose another)")
      return false
    }
    names.declarations[name] = key.position
    return true
  }
}

/// The addresses at which this program itself will answer: a hop there is a loop.
struct OwnListeners {
  private var addresses: Set<SocketAddress> = []
  private var everywhere: Set<UInt16> = []

  init(_ listeners: [Listener] = []) {
    for case .tcp(let socket) in listeners.map(\.address) where socket.port != 0 {
      addresses.insert(socket)
      if socket.address.isUnspecified { everywhere.insert(socket.port) }
    }
  }

  /// Whether a hop is one of them.
  ///
  /// - Parameter fromHere: whether the hop is reached from this machine. Seen from a proxy elsewhere, a loopback
  ///   address is that proxy's own.
  func contain(_ endpoint: Endpoint, fromHere: Bool) -> Bool {
    let candidates: [IPAddress] =
      switch endpoint.host {
      case .address(let address): [address]
      case .name(let name): name.text == "localhost" ? [.loopback4, .loopback6] : []
      }
    return candidates.contains { address in
      if address.isLoopback, !fromHere { return false }
      return addresses.contains(SocketAddress(address, port: endpoint.port))
        || address.isLoopback && everywhere.contains(endpoint.port)
    }
  }
}
