import Addresses
import Printing

/// Writes a route table that does what a proxychains.conf does, and says in remarks what no table can.
struct TableWriter {
  private let conf: ProxychainsConf
  private let file: String

  init(_ conf: ProxychainsConf, from file: String) {
    self.conf = conf
    self.file = file
  }

  var text: String {
    let sections = [head, upstreams, chains, routes, end].filter { !$0.isEmpty }
    return sections.map { $0.joined(separator: "\n") }.joined(separator: "\n\n") + "\n"
  }

  /// Each on a line of its own: nothing that came from the file can begin another.
  private func remarks(_ section: ProxychainsConf.Section) -> [String] {
    (conf.remarks[section] ?? []).map { "# \($0.printable)" }
  }

  // MARK: listen

  private var head: [String] {
    var lines = ["# From \(file.printable), as proxychains-ng 4.16 reads it."]
    if conf.proxies.contains(where: { !$0.password.isEmpty }) {
      lines.append("# It holds passwords: chmod 600 this file.")
    }
    lines += remarks(.head)
    let port = listenerPort
    if port != 1080 { lines.append("# Not port 1080, where a proxy of the list seems to be.") }
    if conf.proxies.allSatisfy({ $0.kind == .socks5 }) {
      lines.append("# proxychains leads TCP alone; here UDP goes the same way, where the proxies carry it.")
      lines.append("listen: 127.0.0.1:\(port)")
    } else {
      lines.append("# As with proxychains, no UDP: only SOCKS5 has it.")
      lines.append("listen: {address: 127.0.0.1:\(port), udp: false}")
    }
    return lines
  }

  /// The first from 1080 on that no proxy of this machine has.
  private var listenerPort: UInt16 {
    let taken = Set(
      conf.proxies.map(\.endpoint).filter { $0.host.isThisMachine }.map(\.port))
    // There are fewer proxies than ports.
    return (1080...UInt16.max).first { !taken.contains($0) } ?? 1080
  }

  // MARK: upstreams

  private var upstreams: [String] {
    var lines = remarks(.upstreams)
    if conf.proxies.contains(where: { $0.kind == .socks4 }) {
      lines.append("# socks4 is socks4a here: proxychains sends names to these proxies, too.")
    }
    lines.append(
      "# proxychains waits \(Self.time(conf.connectTime)) for a connection and \(Self.time(conf.readTime)) for each answer;"
        + " here 'timeout' is for either.")
    lines.append("upstreams:")
    let timeout = max(conf.connectTime, conf.readTime)
    for (index, proxy) in conf.proxies.enumerated() {
      lines.append(
        "  \(Self.name(index)): {url: \"\(proxy.url)\", timeout: \(Self.time(timeout))}  # line \(proxy.line)"
      )
    }
    return lines
  }

  private static func name(_ index: Int) -> String { "proxy\(index + 1)" }

  private static func time(_ milliseconds: Int) -> String {
    milliseconds.isMultiple(of: 1000) ? "\(milliseconds / 1000)s" : "\(milliseconds)ms"
  }

  // MARK: chains

  private var chains: [String] {
    var lines = remarks(.chains) + ["chains:", "  chain:", "    hops:"]
    for index in conf.proxies.indices { lines.append("      - \(Self.name(index))") }
    lines.append("    mode: \(conf.mode.rawValue)")
    if conf.mode.hasLength { lines.append("    length: \(conf.length)") }
    return lines
  }

  // MARK: routes

  private var routes: [String] {
    var lines = remarks(.routes) + lookup
    let routes = redirections + localnets
    if !routes.isEmpty { lines.append("routes:") }
    return lines + routes + ["default: chain"]
  }

  private var lookup: [String] {
    switch conf.lookup {
    case .remote:
      [
        "# Names travel to the last proxy, as with proxy_dns. Those in /etc/hosts too: proxychains looks there first, so that",
        "# localnet and dnat hold for them. Here they hold for addresses; for a name add '- {host: NAME, via: direct}'.",
      ]
    case .local, .script:
      [
        "# Without proxy_dns, \(conf.lookup == .local ? "this machine resolves names" : "proxyresolv resolves names"),"
          + " and the proxies, localnet and dnat see addresses. Here names",
        "# travel to the last proxy, and localnet and dnat hold for destinations that are asked for as addresses.",
      ]
    }
  }

  /// Those with a port come first, whatever the order of the lines.
  private var redirections: [String] {
    (conf.redirections.filter { $0.port != nil } + conf.redirections.filter { $0.port == nil })
      .flatMap(rewriting)
  }

  /// A redirection into a localnet redirects nothing: proxychains then connects to what was asked for.
  private func rewriting(by redirection: ProxychainsConf.Redirection) -> [String] {
    let asked = Condition(redirection.address, redirection.port)
    let source = "  # line \(redirection.line)"
    let newPort = redirection.newPort ?? redirection.port
    let near = conf.localnets.filter { $0.prefix.contains(redirection.newAddress) }
    if let localnet = near.first(where: { $0.port == nil || $0.port == newPort }) {
      return [
        "  - {\(asked), command: connect, via: direct}\(source), undone by the localnet of line \(localnet.line)"
      ]
    }
    // What port it comes to is known when it is asked for.
    var lines: [String] = []
    var met: Set<UInt16> = []
    for localnet in near where newPort == nil {
      guard let port = localnet.port, met.insert(port).inserted else { continue }
      let part = Condition(redirection.address, port)
      lines.append(
        "  - {\(part), command: connect, via: direct}\(source), undone by the localnet of line \(localnet.line)"
      )
    }
    let new = redirection.newPort.map { "\"\(redirection.newAddress):\($0)\"" } ?? "\(redirection.newAddress)"
    return lines + ["  - {\(asked), command: connect, via: chain, rewrite: \(new)}\(source)"]
  }

  private var localnets: [String] {
    conf.localnets.map { localnet in
      "  - {\(Condition(localnet.prefix, localnet.port)), via: direct}  # line \(localnet.line)"
    }
  }

  // MARK: timeouts, log

  private var end: [String] {
    // What proxychains gives to one chain, where that is more than the 30 s that a table gives.
    let longest = 365 * 24 * 3_600_000
    let dial = min(longest, conf.connectTime + conf.passedCount * conf.readTime)
    var lines = remarks(.end)
    if dial > 30_000 { lines.append("timeouts: {dial: \(Self.time(dial))}") }
    if conf.isQuiet {
      lines.append("# For quiet_mode; 'error' would be quieter still, and hide which proxy fails.")
      lines.append("log: {level: warning}")
    }
    return lines
  }
}

extension TableWriter {
  /// `ip: 10.0.0.0/8, port: 80`
  private struct Condition: CustomStringConvertible {
    let description: String

    init(_ address: IPAddress, _ port: UInt16?) {
      description = "ip: \(address)" + (port.map { ", port: \($0)" } ?? "")
    }

    init(_ prefix: Prefix, _ port: UInt16?) {
      description = "ip: \"\(prefix)\"" + (port.map { ", port: \($0)" } ?? "")
    }
  }
}

extension ProxychainsConf.Proxy {
  /// ASCII without quotes, dollars and backslashes.
  fileprivate var url: String {
    var authority = endpoint.description
    if !user.isEmpty {
      let password = password.isEmpty ? "" : ":\(Self.encoded(password))"
      authority = "\(Self.encoded(user))\(password)@\(authority)"
    }
    return "\(kind == .socks4 ? "socks4a" : kind.rawValue)://\(authority)"
  }

  /// Percent-encoded, all but RFC 3986's unreserved characters.
  private static func encoded(_ bytes: [UInt8]) -> String {
    var text = ""
    for byte in bytes {
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
        UInt8(ascii: "~"):
        text.unicodeScalars.append(Unicode.Scalar(byte))
      default:
        text += (byte < 16 ? "%0" : "%") + String(byte, radix: 16, uppercase: true)
      }
    }
    return text
  }
}

extension Host {
  fileprivate var isThisMachine: Bool { address?.isLoopback ?? (name?.text == "localhost") }
}
