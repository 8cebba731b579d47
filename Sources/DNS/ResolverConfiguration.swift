import Addresses
import Glibc

/// Which name servers are asked, and how names that are not absolute become so: what resolv.conf(5) says.
struct ResolverConfiguration: Hashable, Sendable {
  /// In the order in which they are asked.
  var servers: [SocketAddress]
  /// The domains that a name may be meant in.
  var search: [DomainName] = []
  /// A name with fewer dots is first looked for in the domains of `search`.
  var ndots = 1
  /// Each question begins with another server.
  var rotates = false
  /// Questions offer to take datagrams of more than 512 octets (EDNS(0)). Old routers answer such a question wrongly, or
  /// not at all, so it is done as in the C library: when `options edns0` asks for it.
  var extends = false

  /// Of more servers or domains, the rest is ignored.
  private static let limit = 16
  /// RFC 1035 §4.2.
  private static let port: UInt16 = 53

  init(servers: [SocketAddress]) {
    self.servers = servers
  }

  /// Reads the text of resolv.conf(5). Lines and options that are not known are ignored.
  ///
  /// - Parameters:
  ///   - text: empty for a file that does not exist.
  ///   - hostName: this machine's own. Behind its first dot stands the domain to search when the file names none.
  init(parsing text: [UInt8], hostName: String) {
    servers = []
    var domains = hostName.split(separator: ".", maxSplits: 1).dropFirst().map { $0 }
    for line in text.split(whereSeparator: { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") }) {
      let words = line.split { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
        .map { Substring(decoding: $0, as: UTF8.self) }
      guard let keyword = words.first else { continue }
      switch keyword {
      case "nameserver":
        guard servers.count < Self.limit, words.count > 1, let server = Self.server(words[1]) else {
          continue
        }
        servers.append(server)
      // The last line of the two kinds is the one that counts.
      case "search": domains = Array(words.dropFirst())
      case "domain": domains = Array(words.dropFirst().prefix(1))
      case "options":
        for option in words.dropFirst() { read(option) }
      default: continue
      }
    }
    search = domains.prefix(Self.limit).compactMap { try? DomainName($0) }
    // "If no nameserver entries are present, the default is to use the name server on the local machine."
    if servers.isEmpty { servers = [SocketAddress(.loopback4, port: Self.port)] }
  }

  /// An address; one that is link-local comes with its interface, by name or number (RFC 4007 §11).
  private static func server(_ text: Substring) -> SocketAddress? {
    let parts = text.split(separator: "%", maxSplits: 1)
    guard let first = parts.first, let address = IPAddress(first)?.unmapped else { return nil }
    guard parts.count == 2 else { return SocketAddress(address, port: port) }
    let scope = unsafe UInt32(parts[1]) ?? if_nametoindex(String(parts[1]))
    return scope == 0 ? nil : SocketAddress(address, port: port, scope: scope)
  }

  private mutating func read(_ option: Substring) {
    if option == "rotate" { rotates = true }
    if option == "edns0" { extends = true }
    // 15 is the most that resolv.conf(5) lets it be.
    if option.hasPrefix("ndots:"), let count = UInt(option.dropFirst(6)) { ndots = Int(min(count, 15)) }
  }

  /// The absolute names that `name` may mean, in the order in which they are to be tried.
  ///
  /// - Parameter searchesAlways: whether a name with a dot in it may be meant in a domain of `search`.
  func names(for name: DomainName, searchesAlways: Bool) -> [DomainName] {
    let dots = name.text.utf8.count { $0 == UInt8(ascii: ".") }
    guard !search.isEmpty, searchesAlways || dots == 0 else { return [name] }
    let others = search.compactMap { try? DomainName("\(name.text).\($0.text)") }
    return dots >= ndots ? [name] + others : others + [name]
  }

  /// The servers in the order in which one question is to ask them.
  var serversInTurn: [SocketAddress] {
    guard rotates, servers.count > 1 else { return servers }
    let start = Int.random(in: servers.indices)
    return Array(servers[start...] + servers[..<start])
  }
}
