import Addresses
import Routing
import Settings
import TLS
import Wire

/// `upstreams:`.
extension TableReader {
  private static let keys = Keys(
    [
      "url", "username", "password", "password_file", "timeout", "resolve", "udp", "pipeline", "isolate",
      "headers",
    ] + tlsKeys)

  private static let elsewhere = "take the password from ${NAME} or 'password_file'"

  /// In their order.
  func readUpstreams(_ node: Node) -> [Upstream] {
    let form = Form("a map from names to proxies", "{tor: socks5://127.0.0.1:9050}")
    var upstreams: [Upstream] = []
    for (name, key, value) in namedEntries(node, form) {
      guard declare(name, key) else { continue }
      let upstream = readUpstream(name, value)
      names.upstreams[name] = .some(upstream)
      if let upstream { upstreams.append(upstream) }
    }
    return upstreams
  }

  private func readUpstream(_ name: String, _ node: Node) -> Upstream? {
    guard node.kind == .mapping else {
      guard let url = readURL(node) else { return nil }
      _ = readIsolation(nil, username: url.username, upstream: node)
      let tls = url.usesTLS ? tlsContext(TLSContext.Demands(), at: node) : nil
      return upstream(name, url, tls: tls, headers: readHeaders(nil, url.kind), node: node)
    }
    let example = "{url: socks5://127.0.0.1:1080}"
    guard let fields = fields(node, "an upstream", example, Self.keys) else { return nil }
    let timeout = fields["timeout"].map { duration($0) } ?? .seconds(10)
    let resolution = fields["resolve"].map { word($0, Upstream.Resolution.self) } ?? .previous
    guard let urlNode = fields["url"] else {
      error(node, "an upstream needs its 'url' (write \(example))")
      return nil
    }
    guard var url = readURL(urlNode) else { return nil }
    let udp = fields["udp"].map { readUDPSupport($0, url.kind) }
    let pipeline = fields["pipeline"].map { answer($0, Upstream.Pipeline.self) } ?? .auto
    if let node = fields["pipeline"], url.kind == .http, pipeline == .yes {
      warning(
        node.position,
        "nothing is sent behind a CONNECT before an HTTP proxy has answered it (write 'no', or remove it)")
    }
    let tls = readTLS(fields, url, at: urlNode)
    guard readCredentials(fields, into: &url) else { return nil }
    let isolation = readIsolation(fields.field("isolate"), username: url.username, upstream: node)
    let headers = readHeaders(fields.field("headers"), url.kind)
    guard let timeout, let resolution, let pipeline else { return nil }
    return upstream(
      name, url, tls: tls, isolation: isolation, timeout: timeout, resolution: resolution, udp: udp ?? nil,
      pipeline: pipeline, headers: headers, node: urlNode)
  }

  private func upstream(
    _ name: String, _ url: ProxyURL, tls: TLSContext?, isolation: Isolation? = nil,
    timeout: Duration = .seconds(10),
    resolution: Upstream.Resolution = .previous, udp: Upstream.UDPSupport? = nil,
    pipeline: Upstream.Pipeline = .auto, headers: [HTTP.Field]?, node: Node
  ) -> Upstream? {
    guard url.usesTLS == (tls != nil), let headers else { return nil }
    names.positions[name] = node.position
    var credentials: Credentials?
    if url.username != nil || url.password != nil {
      credentials = Credentials(
        username: url.username ?? [], password: url.password ?? [], for: url.kind)
      guard credentials != nil else {
        let longest = url.kind.longestCredential
        error(
          node,
          "the user name of \(url.kind.protocolName) has 1 to \(longest) octets, the password at most \(longest)"
            + " (write others)")
        return nil
      }
    }
    if url.kind.isSOCKS4, credentials?.username.contains(0) == true {
      error(node, "a SOCKS4 user id ends at its first NUL (write one without)")
      return nil
    }
    // RFC 7617 §2: the first colon ends the name.
    if url.kind == .http, credentials?.username.contains(UInt8(ascii: ":")) == true {
      error(node, "a user name ends at its first colon in HTTP (write one without)")
      return nil
    }
    let upstream = Upstream(
      name: name, kind: url.kind, endpoint: url.endpoint, tls: tls, credentials: credentials,
      isolation: isolation,
      timeout: timeout, resolution: resolution, udp: udp, pipeline: pipeline, headers: headers)
    guard upstream.hasRoomForIdentities else {
      error(
        node,
        "with \(Isolation.nameLength) octets for each '\(Isolation.placeholder)' the user name has more than"
          + " \(url.kind.longestCredential) (shorten it)")
      return nil
    }
    return upstream
  }

  /// `yes`, `no` or `auto`.
  private func answer<Word: CaseIterable & RawRepresentable<String>>(
    _ node: Node, _ words: Word.Type
  ) -> Word? {
    if node.kind == .scalar, ["true", "false"].contains(node.text) {
      error(
        node, "\(quoted(node)) is not 'yes', 'no' or 'auto' (write '\(node.text == "true" ? "yes" : "no")')")
      return nil
    }
    return word(node, words)
  }

  /// `nil` also for what is no more than the default.
  private func readUDPSupport(_ node: Node, _ kind: Upstream.Kind) -> Upstream.UDPSupport? {
    guard let support = answer(node, Upstream.UDPSupport.self) else { return nil }
    guard kind != .socks5 else { return support }
    if support == .yes { error(node, "\(kind.protocolName) carries no UDP (write 'no', or remove it)") }
    return nil
  }

  private func readURL(_ node: Node) -> ProxyURL? {
    let form = Form("the URL of a proxy", "socks5://127.0.0.1:1080")
    guard !node.isBroken else { return nil }
    guard node.kind == .scalar, !node.isNull else {
      mismatch(node, form)
      return nil
    }
    do throws(ProxyURL.Violation) {
      let url = try ProxyURL(node.text)
      if url.password?.isEmpty == false { holdsSecret(node, alternative: Self.elsewhere) }
      if url.kind.isSOCKS4, url.password != nil {
        self.error(node, "SOCKS4 has no passwords (remove it, with the colon before it)")
        return nil
      }
      return url
    } catch {
      self.error(node, error.message)
      return nil
    }
  }

  /// `username`, `password` and `password_file`; false after an error.
  private func readCredentials(_ fields: Fields, into url: inout ProxyURL) -> Bool {
    var isValid = true
    for (key, inURL) in [
      ("username", url.username), ("password", url.password), ("password_file", url.password),
    ]
    where inURL != nil {
      guard let field = fields.field(key) else { continue }
      error(field.key, "'\(key)' says again what the URL says (remove one)")
      isValid = false
    }
    if let field = fields.field("password_file"), fields["password"] != nil {
      error(field.key, "there is a 'password' and a 'password_file' (remove one)")
      isValid = false
    }
    for key in ["password", "password_file"] where url.kind.isSOCKS4 {
      guard let field = fields.field(key) else { continue }
      error(field.key, "SOCKS4 has no passwords (remove it)")
      return false
    }
    if let node = fields["username"] {
      guard let value = secret(node, "a user name", url.kind) else { return false }
      url.username = value
    }
    if let node = fields["password"] {
      guard let value = secret(node, "a password", url.kind) else { return false }
      holdsSecret(node, alternative: Self.elsewhere)
      url.password = value
    }
    if let node = fields["password_file"] {
      guard let value = readPasswordFile(node, url.kind) else { return false }
      url.password = value
    }
    if url.password != nil, url.username == nil {
      error(fields.position, "a password needs a user name (add 'username')")
      isValid = false
    }
    return isValid
  }

  /// The octets of a value that no message repeats.
  private func secret(_ node: Node, _ what: String, _ kind: Upstream.Kind) -> [UInt8]? {
    guard !node.isBroken else { return nil }
    let lengths = 1...kind.longestCredential
    guard node.kind == .scalar, !node.isNull, lengths.contains(node.bytes.count) else {
      error(
        node,
        "expected \(what) of 1 to \(lengths.upperBound) octets (write one, in quotes if it has special characters)"
      )
      return nil
    }
    return Array(node.bytes)
  }

  /// The file's first line; there must be no other.
  private func readPasswordFile(_ node: Node, _ kind: Upstream.Kind) -> [UInt8]? {
    guard let name = text(node, Form("a path", "/etc/sockeye/office.password")) else { return nil }
    let path = path(of: name)
    guard let content = contents(of: node, path: path) else { return nil }
    var password = content.bytes
    if password.last == UInt8(ascii: "\n") { password.removeLast() }
    if password.last == UInt8(ascii: "\r") { password.removeLast() }
    let lengths = 1...kind.longestCredential
    // Line endings of other systems, and a file in UTF-16, would be parts of the password that nobody sees.
    let strays = Array("\r\n\0".utf8)
    let separators = ["\u{85}", "\u{2028}", "\u{2029}"].map { Array($0.utf8) }
    guard lengths.contains(password.count), !password.contains(where: strays.contains),
      !separators.contains(where: { password.firstRange(of: $0) != nil })
    else {
      error(
        node,
        "the file \(quoted(path)) must hold one line, a password of 1 to \(lengths.upperBound) octets"
          + " (write it there)")
      return nil
    }
    if content.isReadableByOthers {
      warning(
        node.position,
        "every user of this machine can read the password in \(quoted(path)) (chmod o-r the file)")
    }
    return password
  }
}
