import Addresses

/// What a proxychains.conf says.
struct ProxychainsConf {
  enum Mode: String {
    case strict
    case dynamic
    case random
    case roundRobin = "round-robin"

    /// Whether it passes as many proxies as `chain_len` says, and not all.
    var hasLength: Bool { self == .random || self == .roundRobin }
  }

  /// Who turns names into addresses.
  enum Lookup {
    /// The program itself, with its C library.
    case local
    /// `proxyresolv`, through the chain.
    case script
    /// The last proxy.
    case remote
  }

  struct Proxy {
    enum Kind: String {
      case socks5
      /// It sends names to proxies of this kind as SOCKS4a has them.
      case socks4
      case http
    }

    var kind: Kind
    var endpoint: Endpoint
    /// Empty: none.
    var user: [UInt8] = []
    var password: [UInt8] = []
    var line: Int
  }

  /// Destinations that no proxy is used for.
  struct Localnet {
    var prefix: Prefix
    /// `nil`: every one.
    var port: UInt16?
    var line: Int
  }

  /// `dnat`: what is connected to instead of what was asked for.
  struct Redirection {
    var address: IPAddress
    /// `nil`: every one.
    var port: UInt16?
    var newAddress: IPAddress
    /// `nil`: the one that was asked for.
    var newPort: UInt16?
    var line: Int
  }

  /// Where in a table something is said that has no equivalent there.
  enum Section {
    case head
    case upstreams
    case chains
    case routes
    case end
  }

  /// Its defaults are those of proxychains.
  var mode = Mode.dynamic
  var length = 1
  var connectTime = 10_000
  var readTime = 4_000
  var lookup = Lookup.local
  var isQuiet = false
  var proxies: [Proxy] = []
  var localnets: [Localnet] = []
  var redirections: [Redirection] = []
  private(set) var remarks: [Section: [String]] = [:]

  mutating func remark(_ section: Section, _ text: String) {
    remarks[section, default: []].append(text)
  }

  /// How many proxies a connection passes.
  var passedCount: Int { mode.hasLength ? length : proxies.count }
}
