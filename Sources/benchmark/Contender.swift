/// A way from the load client to a target: a program to be measured, or none.
struct Contender {
  /// How the client reaches a target, and so which figures the contender takes part in.
  enum Role: Hashable {
    /// Without a proxy.
    case direct
    /// A program that knows one target; one process for each.
    case relay
    case socks
    /// A SOCKS5 server that goes through an upstream.
    case chain
    /// A SOCKS5 server that sends datagrams through two upstreams.
    case datagramChain
  }

  let name: String
  let role: Role
  /// In the arguments, {port} is the port to listen on, {target} that of a relay's target, {upstream} that of a
  /// chain's upstream, {second} that of the one behind it, and {file} the path of `configuration`.
  let arguments: [String]
  /// A text in which {port}, {upstream} and {second} stand for the same.
  var configuration: String?
  var carriesDatagrams = true

  func takesPart(in figure: Figure) -> Bool {
    switch figure {
    case .tunnels, .single, .down1, .down8, .up1, .up8, .roundTrips:
      [.direct, .relay, .socks].contains(role)
    case .chain, .chainSingle: role == .chain
    case .rest: role == .socks
    case .echo1, .echo1Large, .echo32, .echo32Large, .paced:
      role == .direct || role == .socks && carriesDatagrams
    case .echoHops: role == .datagramChain
    case .associations: role == .socks && carriesDatagrams
    case .verdicts: false
    }
  }
}

extension Contender {
  static let bareSOCKS = "bare SOCKS"
  static let dante = "dante"
  static let direct = "direct"
  static let bareCopy = "bare relay (copy)"
  static let sockeye = "sockeye"

  /// What needs nothing but this package. `programs` is the directory of its built programs.
  static func own(in programs: String) -> [Contender] {
    let bare = "\(programs)/bare"
    let serve = ["\(programs)/sockeye", "serve", "{file}", "--log-level", "warning"]
    return [
      Contender(name: direct, role: .direct, arguments: []),
      Contender(
        name: "bare relay (splice)", role: .relay, arguments: [bare, "relay-splice", "{port}", "{target}"]),
      Contender(name: bareCopy, role: .relay, arguments: [bare, "relay-copy", "{port}", "{target}"]),
      upstream(in: programs),
      Contender(name: bareSOCKS, role: .chain, arguments: [bare, "socks-chain", "{port}", "{upstream}"]),
      Contender(
        name: bareSOCKS, role: .datagramChain,
        arguments: [bare, "udp-chain", "{port}", "{upstream}", "{second}"]),
      Contender(name: sockeye, role: .socks, arguments: serve, configuration: table(default: "direct")),
      Contender(name: sockeye, role: .chain, arguments: serve, configuration: table(default: "upstream")),
      Contender(name: sockeye, role: .datagramChain, arguments: serve, configuration: table(default: "both")),
    ]
  }

  /// The least SOCKS5 server: a contender, and what those with an upstream go through.
  static func upstream(in programs: String) -> Contender {
    Contender(name: bareSOCKS, role: .socks, arguments: ["\(programs)/bare", "socks-splice", "{port}"])
  }

  /// A table with a few routes that are asked and do not match, as users have them.
  private static func table(default outcome: String) -> String {
    """
    listen: 127.0.0.1:{port}
    limits: {connections: 20000, per_client: 20000, handshakes: 20000, associations: 20000}
    upstreams:
      upstream: socks5://127.0.0.1:{upstream}
      second: socks5://127.0.0.1:{second}
    chains:
      both: [upstream, second]
    routes:
      - domain: [corp.example, internal]
        via: upstream
      - ip: [10.0.0.0/8, 192.168.0.0/16, fc00::/7]
        via: reject
      - port: 25
        via: reject
    default: \(outcome)
    """
  }

  /// From Debian, each where it is installed.
  static var installed: [Contender] {
    let microsocks = Contender(
      name: "microsocks", role: .socks, arguments: ["microsocks", "-i", "127.0.0.1", "-p", "{port}"],
      carriesDatagrams: false)
    let danted = ["danted", "-f", "{file}", "-N", "2"]
    return [
      microsocks,
      Contender(name: dante, role: .socks, arguments: danted, configuration: danteConfiguration),
      Contender(
        name: dante, role: .chain, arguments: danted,
        configuration: danteConfiguration + """

          route {
            from: 0.0.0.0/0 to: 0.0.0.0/0 via: 127.0.0.1 port = {upstream}
            proxyprotocol: socks_v5
            command: connect
          }
          """),
    ].filter { ChildProcess.isInstalled($0.arguments[0]) }
  }

  private static let danteConfiguration = """
    logoutput: stderr
    internal: 127.0.0.1 port = {port}
    external: 127.0.0.1
    clientmethod: none
    socksmethod: none
    user.privileged: root
    user.unprivileged: nobody
    client pass { from: 0.0.0.0/0 to: 0.0.0.0/0 }
    socks pass { from: 0.0.0.0/0 to: 0.0.0.0/0 command: connect udpassociate udpreply }
    """

  static func peer(_ name: String, command: String) -> Contender {
    Contender(
      name: name,
      role: command.contains("{second}") ? .datagramChain : command.contains("{upstream}") ? .chain : .socks,
      arguments: ["/bin/sh", "-c", "exec \(command)"])
  }
}
