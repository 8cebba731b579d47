import Addresses
import TLS

/// What an upstream's keys demand of its TLS.
extension TableReader {
  static let tlsKeys = ["server_name", "ca", "certificate", "key", "pin", "insecure"]

  private static let authoritiesForm = Form("the path of a file with certificates", "/etc/sockeye/ca.pem")
  private static let certificateForm = Form("the path of a file with a certificate", "/etc/sockeye/own.pem")
  private static let keyForm = Form("the path of a file with a private key", "/etc/sockeye/own.key")
  private static let pinForm = Form(
    "the SHA-256 digest of a public key in base64", "sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=")

  /// `nil` after an error, or without TLS.
  func readTLS(_ fields: Fields, _ url: ProxyURL, at node: Node) -> TLSContext? {
    guard url.usesTLS else {
      for key in Self.tlsKeys {
        guard let field = fields.field(key) else { continue }
        let scheme = url.kind == .http ? "https" : "\(url.kind.rawValue)+tls"
        error(
          field.key,
          "'\(key)' is about TLS, and this URL has none (begin it with \(scheme)://, or remove this)")
      }
      return nil
    }
    var demands = TLSContext.Demands()
    var isValid = true
    if let node = fields["server_name"] {
      demands.serverName = readServerName(node)
      isValid = demands.serverName != nil
    }
    if let node = fields["pin"] {
      let pins = each(node, Self.pinForm, readPin)
      demands.pins = Set(pins ?? [])
      isValid = isValid && pins != nil
    }
    if let trust = readTrust(fields) { demands.trust = trust } else { isValid = false }
    let hasIdentity = readIdentity(fields, into: &demands)
    guard isValid, hasIdentity else { return nil }
    let context = tlsContext(demands, at: node, fields)
    if context?.trustsAnybody == true, let field = fields.field("insecure") {
      warning(
        field.key.position,
        "anybody on the way can pose as this proxy, and read and change what passes it, since its certificate is not"
          + " verified (write 'ca' or 'pin')")
    }
    return context
  }

  /// The context for what is demanded, made once for all who demand the same.
  ///
  /// - Parameter fields: where the demands stand that may be at fault.
  func tlsContext(_ demands: TLSContext.Demands, at node: Node, _ fields: Fields? = nil) -> TLSContext? {
    if let context = tlsContexts[demands] { return context }
    do throws(TLSContext.Violation) {
      let context = try TLSContext(demands, sharingTrustOf: tlsTrust[demands.trust])
      tlsTrust[demands.trust] = context
      tlsContexts[demands] = context
      return context
    } catch {
      report(error, at: node, fields)
      return nil
    }
  }

  private func report(_ violation: TLSContext.Violation, at node: Node, _ fields: Fields?) {
    let pem = "(it must be in PEM, between '-----BEGIN CERTIFICATE-----' and '-----END CERTIFICATE-----')"
    switch violation {
    case .authorities:
      error(fields?["ca"] ?? node, "this file has no certificate, or one that cannot be used \(pem)")
    case .certificate:
      error(fields?["certificate"] ?? node, "this file has no certificate, or one that cannot be used \(pem)")
    case .key:
      error(
        fields?["key"] ?? node,
        "this file has no private key, or one that cannot be used (it must be in PEM, as 'openssl genpkey' makes it)"
      )
    case .encryptedKey:
      error(
        fields?["key"] ?? node,
        "this private key is protected by a password, which nobody could give (take it off with 'openssl pkey')"
      )
    case .keyMismatch:
      error(fields?["key"] ?? node, "this private key is not that of the certificate (name the one that is)")
    case .outOfMemory:
      error(
        node,
        "OpenSSL cannot be used (memory or descriptors ran out, or look at its configuration, /etc/ssl/openssl.cnf)"
      )
    }
  }

  private func readServerName(_ node: Node) -> Host? {
    let form = Form("a host name or an address", "proxy.example.com")
    guard let text = text(node, form) else { return nil }
    if let address = IPAddress(text) { return .address(address.unmapped) }
    if let name = try? DomainName(text) { return .name(name) }
    mismatch(node, form)
    return nil
  }

  private func readPin(_ node: Node) -> Pin? {
    guard let text = text(node, Self.pinForm) else { return nil }
    if let pin = Pin(text) { return pin }
    mismatch(node, Self.pinForm)
    return nil
  }

  /// `ca` and `insecure`; `nil` after an error.
  private func readTrust(_ fields: Fields) -> TLSContext.Trust? {
    var isInsecure = false
    if let node = fields["insecure"] {
      guard let value = bool(node) else { return nil }
      isInsecure = value
    }
    guard let node = fields["ca"] else { return isInsecure ? .anything : .system }
    if isInsecure, let field = fields.field("insecure") {
      error(field.key, "'insecure' lets anybody vouch for the proxy, and 'ca' says who must (remove one)")
      return nil
    }
    guard let name = text(node, Self.authoritiesForm), let content = contents(of: node, path: path(of: name))
    else { return nil }
    return .authorities(content.bytes)
  }

  /// `certificate` and `key`; false after an error.
  private func readIdentity(_ fields: Fields, into demands: inout TLSContext.Demands) -> Bool {
    let (certificate, key) = (fields.field("certificate"), fields.field("key"))
    guard let certificate, let key else {
      if let certificate { error(certificate.key, "a 'certificate' needs its private key (add 'key')") }
      if let key { error(key.key, "a 'key' needs its certificate (add 'certificate')") }
      return certificate == nil && key == nil
    }
    guard let certificateName = text(certificate.value, Self.certificateForm),
      let keyName = text(key.value, Self.keyForm)
    else { return false }
    let keyPath = path(of: keyName)
    let certificates = contents(of: certificate.value, path: path(of: certificateName))
    guard let keys = contents(of: key.value, path: keyPath), let certificates else { return false }
    if keys.isReadableByOthers {
      warning(
        key.value.position,
        "every user of this machine can read the private key in \(quoted(keyPath)) (chmod o-r the file)")
    }
    demands.identity = TLSContext.Identity(certificates: certificates.bytes, key: keys.bytes)
    return true
  }
}
