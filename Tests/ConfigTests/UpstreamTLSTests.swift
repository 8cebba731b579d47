import Addresses
import Config
import Routing
import Settings
import TLS
import TLSPeer
import Testing

/// What an upstream's keys say of its TLS.
@Suite struct UpstreamTLSTests {
  private let own = Certificate(for: "DNS:client.test")
  private let other = Certificate(for: "DNS:other.test")
  private static let pin = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="

  /// The files that are there.
  private var files: [String: Surroundings.File] {
    [
      "ca": Surroundings.File(bytes: own.pem + other.pem),
      "own": Surroundings.File(bytes: own.pem), "own.key": Surroundings.File(bytes: own.keyPEM),
      "other.key": Surroundings.File(bytes: other.keyPEM),
      "shown.key": Surroundings.File(bytes: own.keyPEM, isReadableByOthers: true),
      "locked.key": Surroundings.File(bytes: own.encryptedKeyPEM),
      "empty": Surroundings.File(bytes: []), "text": Surroundings.File(bytes: Array("no PEM".utf8)),
    ]
  }

  /// What comes of an upstream with these keys beside a URL.
  private func load(
    _ keys: String, url: String = "socks5+tls://h:1"
  ) -> (upstream: Upstream?, diagnostics: [String]) {
    let yaml =
      "upstreams:\n  a:\n    url: \(url)\n    \(keys.replacing("\n", with: "\n    "))\n"
      + "routes: [{network: udp, via: reject}]\ndefault: a\n"
    let result = loader(files: files).load(Surroundings.File(bytes: Array(yaml.utf8)), named: "t")
    let diagnostics = result.diagnostics.map { String($0.description.dropFirst(2)) }
    guard case .chain(let chain)? = result.configuration?.table.fallback else { return (nil, diagnostics) }
    return (chain.hops.first, diagnostics)
  }

  @Test func `each scheme says whether TLS is spoken, and what inside of it`() {
    for (scheme, kind, shown) in [
      ("socks5", .socks5, nil), ("socks5+tls", .socks5, "socks5+tls"), ("socks5h+tls", .socks5, "socks5+tls"),
      ("socks4+tls", .socks4, "socks4+tls"), ("socks4a+tls", .socks4a, "socks4a+tls"),
      ("http+tls", .http, "http+tls"), ("https", .http, "http+tls"),
    ] as [(String, Upstream.Kind, String?)] {
      let (upstream, diagnostics) = load("timeout: 1s", url: "\(scheme)://127.0.0.1:1")
      #expect(upstream?.kind == kind, "\(scheme): \(diagnostics)")
      #expect((upstream?.tls != nil) == (shown != nil))
      #expect(upstream?.scheme == shown ?? scheme)
      #expect(diagnostics == [])
    }
  }

  @Test func `what is demanded is what the keys say`() {
    func demands(_ keys: String) -> TLSContext.Demands? {
      let (upstream, diagnostics) = load(keys)
      #expect(diagnostics == [])
      return upstream?.tls?.demands
    }
    #expect(demands("udp: no") == TLSContext.Demands())
    #expect(demands("ca: ca") == TLSContext.Demands(trust: .authorities(own.pem + other.pem)))
    #expect(demands("insecure: false") == TLSContext.Demands())
    #expect(demands("server_name: 127.0.0.1") == TLSContext.Demands(serverName: .address(.loopback4)))
    #expect(
      demands("server_name: Proxy.Example")
        == (try? TLSContext.Demands(serverName: .name(DomainName("proxy.example")))))
    #expect(
      demands("certificate: own\nkey: own.key")
        == TLSContext.Demands(identity: TLSContext.Identity(certificates: own.pem, key: own.keyPEM)))
    let pins = Set([Pin(Self.pin), Pin(digest: own.pin)].compactMap(\.self))
    #expect(pins.count == 2)
    #expect(demands("pin: sha256/\(Self.pin)")?.pins == Set([Pin(Self.pin)].compactMap(\.self)))
    #expect(demands("pin: [\(Self.pin), \"\(base64(own.pin))\"]")?.pins == pins)
    // Whom a key identifies needs no certificate.
    #expect(demands("insecure: true\npin: \(Self.pin)")?.trust == .anything)
  }

  @Test func `a proxy that nobody vouches for is warned of`() {
    let (upstream, diagnostics) = load("insecure: true")
    #expect(upstream?.tls?.trustsAnybody == true)
    #expect(
      diagnostics == [
        "4:5: warning: anybody on the way can pose as this proxy, and read and change what passes it, since its"
          + " certificate is not verified (write 'ca' or 'pin')"
      ])
  }

  @Test func `a key that others can read is warned of`() {
    let (upstream, diagnostics) = load("certificate: own\nkey: shown.key")
    #expect(upstream != nil)
    #expect(
      diagnostics == [
        "5:10: warning: every user of this machine can read the private key in 'shown.key' (chmod o-r the file)"
      ])
  }

  @Test func `whoever wants TLS must say so in the URL`() {
    for (scheme, better) in [("socks5", "socks5+tls"), ("socks4a", "socks4a+tls"), ("http", "https")] {
      let keys = "server_name: x\nca: ca\ncertificate: own\nkey: own.key\npin: x\ninsecure: true"
      let diagnostics = load(keys, url: "\(scheme)://h:1").diagnostics
      #expect(
        diagnostics
          == ["server_name", "ca", "certificate", "key", "pin", "insecure"].enumerated().map { line, key in
            "\(line + 4):5: error: '\(key)' is about TLS, and this URL has none (begin it with \(better)://, or"
              + " remove this)"
          })
    }
  }

  private static let noCertificate =
    "this file has no certificate, or one that cannot be used (it must be in PEM, between"
    + " '-----BEGIN CERTIFICATE-----' and '-----END CERTIFICATE-----')"
  private static let noPin =
    "is not the SHA-256 digest of a public key in base64 (write it like sha256/\(pin))"

  @Test(arguments: [
    ("ca: empty", ["4:9: error: \(noCertificate)"]), ("ca: text", ["4:9: error: \(noCertificate)"]),
    (
      "ca: nowhere",
      [
        "4:9: error: the file 'nowhere' cannot be read: No such file or directory (name a file that this user can"
          + " read)"
      ]
    ),
    (
      "ca: ca\ninsecure: true",
      [
        "5:5: error: 'insecure' lets anybody vouch for the proxy, and 'ca' says who must (remove one)"
      ]
    ),
    ("insecure: maybe", ["4:15: error: 'maybe' is not 'true' or 'false' (write it like true)"]),
    ("certificate: own", ["4:5: error: a 'certificate' needs its private key (add 'key')"]),
    ("key: own.key", ["4:5: error: a 'key' needs its certificate (add 'certificate')"]),
    ("certificate: text\nkey: own.key", ["4:18: error: \(noCertificate)"]),
    (
      "certificate: own\nkey: text",
      [
        "5:10: error: this file has no private key, or one that cannot be used (it must be in PEM, as 'openssl"
          + " genpkey' makes it)"
      ]
    ),
    (
      "certificate: own\nkey: locked.key",
      [
        "5:10: error: this private key is protected by a password, which nobody could give (take it off with"
          + " 'openssl pkey')"
      ]
    ),
    (
      "certificate: own\nkey: other.key",
      ["5:10: error: this private key is not that of the certificate (name the one that is)"]
    ),
    ("pin: x", ["4:10: error: 'x' \(noPin)"]), ("pin: sha1/\(pin)", ["4:10: error: 'sha1/\(pin)' \(noPin)"]),
    (
      "pin: [\(pin), \(pin.dropLast(2))=]",
      ["4:57: error: '\(pin.dropLast(2))=' \(noPin)"]
    ),
    (
      "server_name: a b",
      ["4:18: error: 'a b' is not a host name or an address (write it like proxy.example.com)"]
    ),
    ("server_names: a", ["4:5: error: an upstream has no key 'server_names' (did you mean 'server_name'?)"]),
  ])
  func `what cannot be demanded is an error`(keys: String, expected: [String]) {
    let (upstream, diagnostics) = load(keys)
    #expect(upstream == nil)
    #expect(diagnostics == expected)
  }

  // Datagrams would pass beside the TLS, as they are.
  @Test func `with TLS no datagrams are carried, unless that is said`() {
    #expect(load("timeout: 1s").upstream?.udp == .no)
    #expect(load("udp: yes").upstream?.udp == .yes)
    #expect(load("udp: auto").upstream?.udp == .auto)
    #expect(load("timeout: 1s", url: "socks5://h:1").upstream?.udp == .auto)
  }

  @Test func `upstreams of which the same is demanded share it, and others do not`() throws {
    let yaml = """
      upstreams: {a: {url: "https://h:1", ca: ca}, b: {url: "https://i:1", ca: ca}, c: "https://h:1"}
      default: [a, b, c]
      """
    let result = loader(files: files).load(Surroundings.File(bytes: Array(yaml.utf8)), named: "t")
    guard case .chain(let chain)? = result.configuration?.table.fallback else {
      Issue.record("\(result.diagnostics)")
      return
    }
    let contexts = chain.hops.compactMap(\.tls)
    #expect(contexts.count == 3)
    #expect(contexts[0] === contexts[1])
    #expect(contexts[0] != contexts[2])
    // What a reload reads again is the same, and another file is not.
    #expect(contexts[0] == (try TLSContext(contexts[0].demands)))
    #expect(contexts[0] != (try TLSContext(TLSContext.Demands(trust: .authorities(other.pem)))))
  }

  private func base64(_ bytes: [UInt8]) -> String { Certificate.base64(bytes) }
}
