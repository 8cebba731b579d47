import Foundation
import TLSPeer
import Testing

/// Hops behind TLS, good and bad; most of them stand behind stunnel.
@Suite(.blocking)
struct TLSHopsTests {
  private let authority = Certificate(for: "DNS:authority.test", isAuthority: true)
  private let directory: TemporaryDirectory

  init() throws {
    directory = try TemporaryDirectory()
    try write(authority.pem, to: "ca.pem")
  }

  private func write(_ pem: [UInt8], to name: String) throws {
    try directory.write(String(decoding: pem, as: UTF8.self), to: name)
  }

  /// One that the authority vouches for, made for 127.0.0.1.
  private func good() -> Certificate { Certificate(for: "IP:127.0.0.1,DNS:hop.test", by: authority) }

  private var ca: String { "ca: \(directory.path)/ca.pem" }

  // MARK: Good ones

  @Test func `a hop of each kind is reached over TLS, by itself and among others`() throws {
    let target = try HTTPTarget(on: "0.0.0.0:0")
    let microsocks = try Microsocks()
    let dante = try Dante()
    let tiny = try Tinyproxy(user: "alice", password: "pass-word")
    let inner = try Sockeye("default: direct\n")
    let hops = try [microsocks.address, dante.address, tiny.address, inner.address].map {
      try Stunnel(before: $0, good())
    }
    let table = """
      upstreams:
        micro: {url: "socks5+tls://\(hops[0].address)", \(ca)}
        dante: {url: "socks5h+tls://\(hops[1].address)", \(ca)}
        tiny: {url: "https://alice:pass-word@\(hops[2].address)", \(ca)}
        tiny2: {url: "http+tls://alice:pass-word@\(hops[2].address)", \(ca)}
        four: {url: "socks4+tls://\(hops[3].address)", \(ca)}
        named: {url: "socks4a+tls://\(hops[3].address)", \(ca)}
        plain: socks5://\(inner.address)
        swift: {url: "socks5://\(inner.address)", pipeline: yes}
        swift2: {url: "socks5+tls://\(hops[3].address)", \(ca), pipeline: yes}

      """
    for (number, chain) in [
      "micro", "dante", "tiny", "tiny2", "four", "named",
      // TLS inside of TLS, and again behind a hop that is reached without.
      "micro, dante", "tiny, named", "four, micro, tiny", "plain, tiny", "dante, plain, micro",
      "micro, dante, tiny, four",
      // Who is told everything at once is told nothing of the handshake behind.
      "swift, micro", "swift2, dante", "micro, swift2, tiny",
    ].enumerated() {
      let sockeye = try Sockeye(table + "default: [\(chain)]\n")
      let host = "127.0.1.\(number + 1):\(target.port)"
      let answer = try Client.curl("--socks5", sockeye.address, "http://\(host)/")
      #expect(answer.output == [HTTPTarget.greeting], "\(chain): \(answer)")
      #expect(try sockeye.session(to: host).contains(" via=\(chain.replacing(" ", with: "")) "))
    }
    #expect(target.requests.all.count == 15)
  }

  @Test func `a direction that ends leaves the other open, through TLS`() throws {
    let target = try Server.counting()
    let inner = try Sockeye("default: direct\n")
    let hops = try (0..<2).map { _ in try Stunnel(before: inner.address, good()) }
    let sockeye = try Sockeye(
      """
      upstreams:
        one: {url: "socks5+tls://\(hops[0].address)", \(ca)}
        two: {url: "socks5+tls://\(hops[1].address)", \(ca)}
      default: [one, two]

      """)
    let client = try Socket(to: sockeye.address)
    #expect(try client.requestConnect(to: target.address).code == 0)
    try client.send([UInt8](repeating: 7, count: 300_000))
    client.finish()
    let answer = try client.receiveToEnd()
    #expect(String(decoding: answer.bytes, as: UTF8.self) == "300000")
    #expect(answer.closing == .end)
  }

  @Test func `a gibibyte through socks5, http, socks5+tls and socks4a hops is whole`() throws {
    let target = try HTTPTarget()
    let dante = try Dante()
    let tiny = try Tinyproxy()
    let microsocks = try Microsocks()
    let stunnel = try Stunnel(before: microsocks.address, good())
    let last = try Sockeye("default: direct\n")
    let sockeye = try Sockeye(
      """
      upstreams:
        five: socks5://\(dante.address)
        web: http://\(tiny.address)
        secured: {url: "socks5+tls://\(stunnel.address)", \(ca)}
        four: socks4a://\(last.address)
      default: [five, web, secured, four]

      """)
    func digest(_ arguments: String...) throws -> [String] {
      let exit = try ChildProcess.run(
        try Program("bash", package: "bash"),
        [
          "-o", "pipefail", "-c", "\"$@\" | sha256sum", "bash", try Program("curl", package: "curl").path,
          "-q", "--silent", "--show-error", "--fail", "--max-time", "300",
        ] + arguments + ["\(target.url)bytes/\(1 << 30)"])
      #expect(exit.status == 0, "\(exit)")
      return exit.output
    }
    let direct = try digest("--noproxy", "*")
    #expect(direct.count == 1)
    #expect(try digest("--socks5", sockeye.address) == direct)
  }

  @Test func `trace shows what was agreed on, and how soon`() throws {
    let target = try Server.silent()
    let microsocks = try Microsocks()
    let stunnel = try Stunnel(before: microsocks.address, good())
    try directory.write(
      "upstreams: {hop: {url: \"socks5+tls://\(stunnel.address)\", \(ca)}}\ndefault: hop\n", to: "table.yaml")
    let exit = try Sockeye.run("trace", "table.yaml", target.address, directory: directory.path)
    #expect(
      exit.output.contains {
        $0.contains(/hop 1 +hop +connect \d+ms  tls \d+ms \(TLSv1.3\)  greet \d+ms  request \d+ms$/)
      }, "\(exit)")
    let json = try Sockeye.run("trace", "table.yaml", "--json", target.address, directory: directory.path)
    let steps = try JSONObject(json.output.joined(), of: "trace").objects("steps")
    #expect(steps.first { $0["phase"] as? String == "tls" }?["tls"] as? String == "TLSv1.3", "\(json)")
    let explained = try Sockeye.run("explain", "table.yaml", target.address, directory: directory.path)
    #expect(explained.output.contains { $0.hasSuffix("socks5+tls://\(stunnel.address)") }, "\(explained)")
  }

  // MARK: Who they are

  @Test func `a hop that is not who it should be is not used, and the log says why`() throws {
    let target = try Server.silent()
    let microsocks = try Microsocks()
    let selfSigned = Certificate(for: "IP:127.0.0.1")
    let pinned = Certificate(for: "IP:127.0.0.1", by: authority)
    let other = Certificate.base64(selfSigned.pin)
    let cases: [(certificate: Certificate, keys: String, cause: String?)] = [
      (good(), ca, nil), (good(), "\(ca), server_name: hop.test", nil),
      (good(), "\(ca), server_name: other.test", "certificate for another name"),
      (Certificate(for: "IP:127.0.0.2", by: authority), ca, "certificate for another name"),
      (
        Certificate(for: "IP:127.0.0.1", from: -7200, until: -3600, by: authority), ca,
        "certificate expired"
      ),
      (Certificate(for: "IP:127.0.0.1", from: 3600, by: authority), ca, "certificate not yet valid"),
      (selfSigned, "udp: no", "certificate self-signed"),
      (good(), "udp: no", "certificate of an unknown issuer"),
      (pinned, "\(ca), pin: \"\(Certificate.base64(pinned.pin))\"", nil),
      (pinned, "\(ca), pin: \"sha256/\(other)\"", "public key not pinned"),
      (selfSigned, "insecure: true, pin: \"\(other)\"", nil),
      (pinned, "insecure: true, pin: \"\(other)\"", "public key not pinned"),
      (selfSigned, "insecure: true", nil),
    ]
    for (certificate, keys, cause) in cases {
      let stunnel = try Stunnel(before: microsocks.address, certificate)
      let sockeye = try Sockeye(
        "upstreams: {hop: {url: \"socks5+tls://\(stunnel.address)\", \(keys)}}\ndefault: hop\n")
      let client = try Socket(to: sockeye.address)
      #expect(try client.requestConnect(to: target.address).code == (cause == nil ? 0 : 1), "\(keys)")
      if let cause {
        let line = try sockeye.session(to: target.address)
        #expect(line.contains(" failed hop=1/1 hop phase=tls error=(\(cause)) "), "\(keys): \(line)")
      }
      // Said when it begins, and only where nothing else tells who the proxy is.
      #expect(
        sockeye.log.contains { $0.contains("warning: anybody on the way can pose as this proxy") }
          == (keys == "insecure: true"))
    }
    #expect(target.accepted.all.count == cases.count { $0.cause == nil })
  }

  @Test func `a hop that wants to know who we are is shown our certificate`() throws {
    let target = try Server.silent()
    let microsocks = try Microsocks()
    let own = Certificate(for: "DNS:client.test", by: authority)
    try write(own.pem, to: "own.pem")
    try write(own.keyPEM, to: "own.key")
    let stunnel = try Stunnel(before: microsocks.address, good(), demanding: authority)
    let identity = "certificate: \(directory.path)/own.pem, key: \(directory.path)/own.key"
    let sockeye = try Sockeye(
      """
      upstreams:
        known: {url: "socks5+tls://\(stunnel.address)", \(ca), \(identity)}
        unknown: {url: "socks5+tls://\(stunnel.address)", \(ca)}
      routes: [{ip: 127.0.0.2, via: unknown}]
      default: known

      """)
    #expect(try Socket(to: sockeye.address).requestConnect(to: target.address).code == 0)
    #expect(try Socket(to: sockeye.address).requestConnect(to: "127.0.0.2:80").code == 1)
    // The hop looks at it only when it has agreed on all else. It closes behind its alert, and what we had sent by then
    // may make that a reset.
    let line = try sockeye.session(to: "127.0.0.2:80")
    #expect(
      line.contains(#/ failed hop=1/1 unknown phase=greet error=\((TLS alert: |connection reset)/#), "\(line)"
    )
  }

  // MARK: Bad ones

  @Test func `a hop that does not get through its handshake is told with its phase, in time`() throws {
    let silent = try Server.silent()
    let closing = try Server { _ in }
    let plain = try Server { client in
      _ = try client.receive()
      try client.send("HTTP/1.1 400 Bad Request\r\n\r\n")
      _ = try client.receiveToEnd()
    }
    let garbage = try Server { client in
      _ = try client.receive()
      // Heads of TLS, and what no TLS is behind them, for as long as anybody listens.
      while true { try client.send([22, 3, 3, 64, 0] + [UInt8](repeating: 0xAA, count: 16_384)) }
    }
    let early = try Server { client in
      try client.receiveHead()
      try client.send(HTTP.established + "and more")
      _ = try client.receiveToEnd()
    }
    let honest = try Sockeye("default: direct\n")
    let target = try Server.silent()
    let sockeye = try Sockeye(
      """
      upstreams:
        silent: {url: "socks5+tls://\(silent.address)", timeout: 300ms}
        closing: socks5+tls://\(closing.address)
        plain: https://\(plain.address)
        garbage: socks4a+tls://\(garbage.address)
        socks: socks5+tls://\(honest.address)
        honest: socks5://\(honest.address)
        early: http://\(early.address)
      timeouts: {dial: 10m}
      groups: {any: {members: [closing, plain, garbage, honest]}}
      routes:
        - {ip: 127.0.0.2, via: silent}
        - {ip: 127.0.0.3, via: closing}
        - {ip: 127.0.0.4, via: plain}
        - {ip: 127.0.0.5, via: garbage}
        - {ip: 127.0.0.6, via: [honest, garbage]}
        - {ip: 127.0.0.7, via: socks}
        - {ip: 127.0.0.8, via: [early, closing]}
      default: any

      """)
    for (host, words) in [
      ("127.0.0.2", "hop=1/1 silent phase=tls error=(timed out)"),
      ("127.0.0.3", "hop=1/1 closing phase=tls error=(c"),
      ("127.0.0.4", "hop=1/1 plain phase=tls error=(not TLS)"),
      ("127.0.0.5", "hop=1/1 garbage phase=tls error=(TLS: "),
      ("127.0.0.6", "hop=2/2 garbage phase=tls error=(TLS: "),
      ("127.0.0.7", "hop=1/1 socks phase=tls error=("),
      // What comes before the handshake is no part of it.
      ("127.0.0.8", "hop=2/2 closing phase=tls error=(not TLS)"),
    ] {
      #expect(try Socket(to: sockeye.address).requestConnect(to: "\(host):80").code == 1)
      let line = try sockeye.session(to: "\(host):80")
      #expect(line.contains(" failed \(words)"), "\(line)")
    }
    // And the next one is tried.
    #expect(try Socket(to: sockeye.address).requestConnect(to: target.address).code == 0)
  }

  @Test func `a transfer that a TLS hop cuts does not look whole`() throws {
    let target = try HTTPTarget()
    let inner = try Sockeye("default: direct\n")
    let stunnel = try Stunnel(before: inner.address, good())
    let sockeye = try Sockeye(
      "upstreams: {hop: {url: \"socks5+tls://\(stunnel.address)\", \(ca)}}\ndefault: hop\n")
    let client = try Socket(to: sockeye.address)
    #expect(try client.requestConnect(to: target.address).code == 0)
    try client.send("GET /bytes/\(1 << 30) HTTP/1.0\r\n\r\n")
    _ = try client.receive(exactly: 1 << 20)
    stunnel.process.signal(SIGKILL)
    #expect(try client.receiveToEnd().closing == .reset)
  }
}
