import Addresses
import Config

/// What stands behind `[ProxyList]`: `socks5 192.0.2.7 1080 user password`, or the same as a URL.
extension ProxychainsReader {
  private static let example = "write it like socks5 192.0.2.7 1080 user password"

  /// No message repeats a password.
  mutating func readProxy(_ line: ConfLine) {
    guard conf.proxies.count < Self.mostProxies else {
      passOver(line, .upstreams, "what stands behind \(Self.mostProxies) proxies", "(remove some)")
      return
    }
    // What is no number in the third place makes proxychains try to read a URL.
    let isInWords = line.words.count > 2 && line.words[2].bytes.first.map(Self.beginsNumber) == true
    guard let proxy = isInWords ? proxy(inWords: line) : proxy(asURL: line) else { return }
    conf.proxies.append(proxy)
  }

  private static func beginsNumber(_ byte: UInt8) -> Bool {
    (0x30...0x39).contains(byte) || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "+")
  }

  // MARK: In words

  private mutating func proxy(inWords line: ConfLine) -> ProxychainsConf.Proxy? {
    let kind = kind(line.words[0])
    let host = host(line.words[1].bytes, at: line.words[1].position)
    let isUnused = line.words[2].bytes.allSatisfy { $0 == UInt8(ascii: "0") }
    let port = isUnused ? 0 : port(line.words[2].bytes, at: line.words[2].position)
    guard let kind, let host, let port else { return nil }
    if isUnused {
      passOver(line, .upstreams, "a proxy with port 0", "(write its port)")
      return nil
    }
    for (index, meaning) in [
      (3, "for the user name, and what follows for the password"), (4, "for the password"),
    ] {
      guard line.words.count > index, line.words[index].bytes.first == UInt8(ascii: "#") else { continue }
      // A password may begin like that; behind a user name with a '#' this is said already.
      guard index == 3 || line.words[3].bytes.first != UInt8(ascii: "#") else { continue }
      warning(
        line.words[index].position,
        "no remark begins here: proxychains takes this \(meaning) (write remarks on lines of their own)")
    }
    warnOfRest(line, from: 5)
    let user = line.words.count > 3 ? Array(line.words[3].bytes) : []
    let password = line.words.count > 4 ? Array(line.words[4].bytes) : []
    return proxy(kind, Endpoint(host, port: port), user, password, line)
  }

  /// Warns of words behind those that say something, but for remarks.
  mutating func warnOfRest(_ line: ConfLine, from count: Int) {
    guard line.words.count > count, line.words[count].bytes.first != UInt8(ascii: "#") else { return }
    warning(line.words[count].position, "proxychains passes over what stands here (remove it)")
  }

  private mutating func kind(_ word: ConfLine.Word) -> ProxychainsConf.Proxy.Kind? {
    if let kind = ProxychainsConf.Proxy.Kind(rawValue: word.text) { return kind }
    if word.text == "raw" {
      error(
        word.position,
        "'raw' hands a connection to one place without a word, which no hop of a table does"
          + " (remove it; a route with 'rewrite' leads connections to one place)")
    } else {
      // The word may hold a password, if it was to be a URL.
      error(word.position, "this is no type of proxy (\(Self.advice(onType: word.text)))")
    }
    return nil
  }

  /// What is meant by a type that other programs know.
  private static func advice(onType word: String) -> String {
    let kinds = ["socks5", "socks4", "http"]
    return switch word.lowercased() {
    case "https": "proxychains speaks no TLS: write http, if the proxy takes it without"
    case "socks5h": "write socks5, to which names travel with proxy_dns"
    case "socks4a": "write socks4, to which names travel with proxy_dns"
    default:
      suggestion(for: word, among: kinds).map { "did you mean '\($0)'?" } ?? "write socks5, socks4 or http"
    }
  }

  private mutating func host(_ bytes: ArraySlice<UInt8>, at position: Position) -> Host? {
    // An address in brackets is none to proxychains.
    guard bytes.first != UInt8(ascii: "["), let host = try? Host(nameField: bytes) else {
      error(position, "this is neither an address nor a name (\(Self.example))")
      return nil
    }
    guard host.address?.isDialable != false else {
      error(position, "this is not the address of a proxy (write the one it listens on)")
      return nil
    }
    return host
  }

  private mutating func port(_ bytes: ArraySlice<UInt8>, at position: Position) -> UInt16? {
    if let port = bytes.decimal(in: 1...UInt16.max) { return port }
    error(position, "this is not a port (write one from 1 to 65535)")
    return nil
  }

  // MARK: As a URL

  /// `type://user:password@host:port`, where nothing is percent-encoded: the user name ends at the first colon, the
  /// password at the last '@'.
  private mutating func proxy(asURL line: ConfLine) -> ProxychainsConf.Proxy? {
    let position = line.position
    let text = line.bytes
    let kinds: [ProxychainsConf.Proxy.Kind] = [.socks5, .socks4, .http]
    guard let kind = kinds.first(where: { line.begins(with: "\($0.rawValue)://") }) else {
      let type = line.words[0].text.prefix { $0 != ":" }
      let isURL = line.words[0].text.dropFirst(type.count).hasPrefix("://")
      let hasPort = line.words.count == 2 && line.words[1].bytes.contains(UInt8(ascii: ":"))
      error(
        position,
        isURL
          ? "this is no type of proxy (\(Self.advice(onType: String(type))))"
          : hasPort && kinds.contains { $0.rawValue == type }
            ? "this is no proxy (write a blank before the port, as in \(type) 192.0.2.7 1080)"
            : "this is no proxy (\(Self.example))")
      return nil
    }
    var address = text.dropFirst(kind.rawValue.utf8.count + 3)
    var user: ArraySlice<UInt8> = []
    var password: ArraySlice<UInt8> = []
    if let at = address.lastIndex(of: UInt8(ascii: "@")) {
      guard kind != .socks4 else {
        error(position, "proxychains takes no user name in the URL of a socks4 proxy (write it in words)")
        return nil
      }
      guard let colon = address[..<at].firstIndex(of: UInt8(ascii: ":")), colon > address.startIndex else {
        error(position, "a user name and a colon stand before the '@' (\(Self.example))")
        return nil
      }
      user = address[..<colon]
      password = address[(colon + 1)..<at]
      address = address[(at + 1)...]
    }
    guard let colon = address.firstIndex(of: UInt8(ascii: ":")) else {
      error(position, "the URL has no port (write it behind the host)")
      return nil
    }
    let digits = address[(colon + 1)...].prefix { (0x30...0x39).contains($0) }
    let rest = address[digits.endIndex...]
    if let first = rest.first(where: { !ConfLine.isBlank($0) }), first != UInt8(ascii: "#") {
      guard ConfLine.isBlank(rest[rest.startIndex]) || rest.elementsEqual("/".utf8) else {
        error(position, "the URL does not end with a port (write an IPv6 address in words: socks5 ::1 1080)")
        return nil
      }
      if !rest.elementsEqual("/".utf8) {
        warning(position, "proxychains passes over what stands behind the URL (remove it)")
      }
    }
    guard let host = host(address[..<colon], at: position), let port = port(digits, at: position) else {
      return nil
    }
    return proxy(kind, Endpoint(host, port: port), Array(user), Array(password), line)
  }

  // MARK: User and password

  /// The proxy, with what it is told of us in a form that a table can hold.
  private mutating func proxy(
    _ kind: ProxychainsConf.Proxy.Kind, _ endpoint: Endpoint, _ user: [UInt8], _ password: [UInt8],
    _ line: ConfLine
  ) -> ProxychainsConf.Proxy? {
    var proxy = ProxychainsConf.Proxy(
      kind: kind, endpoint: endpoint, user: user, password: password, line: line.number)
    if kind == .socks4, !password.isEmpty {
      proxy.password = []
      conf.remark(.upstreams, "Line \(line.number): without its password, which SOCKS4 has no place for.")
    }
    // With Basic authentication, "a:b" with the password "c" is "a" with the password "b:c".
    if kind == .http, let colon = user.firstIndex(of: UInt8(ascii: ":")) {
      proxy.user = Array(user[..<colon])
      proxy.password = user[(colon + 1)...] + [UInt8(ascii: ":")] + password
      guard !proxy.user.isEmpty else {
        error(line.position, "a user name for an HTTP proxy does not begin with a colon (write another)")
        return nil
      }
    }
    guard proxy.user.count <= 255, proxy.password.count <= 255 else {
      error(line.position, "a user name and a password have at most 255 octets each (write shorter ones)")
      return nil
    }
    return proxy
  }
}
