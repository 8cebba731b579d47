import Addresses
import TLS
import TLSPeer
import Testing

@Suite struct VerificationTests {
  private let authority = Certificate(for: "DNS:authority.test", isAuthority: true)

  private func outcome(
    of certificate: Certificate, _ trust: TLSContext.Trust, pins: [[UInt8]] = [],
    to host: Host = .name(proxyName), serverName: Host? = nil
  ) throws -> TLSFailure? {
    let demands = TLSContext.Demands(
      trust: trust, pins: Set(pins.compactMap { Pin(digest: $0) }), serverName: serverName)
    do {
      _ = try Call(demands, to: host, TLSServer(certificate))
      return nil
    } catch let failure as TLSFailure {
      return failure
    }
  }

  @Test func `a certificate is taken if one who is trusted vouches for it`() throws {
    let certificate = Certificate(for: "DNS:proxy.test", by: authority)
    #expect(try outcome(of: certificate, .authorities(authority.pem)) == nil)
    #expect(try outcome(of: certificate, .system) == .certificate(.unknownIssuer))
    let other = Certificate(for: "DNS:other.test", isAuthority: true)
    #expect(try outcome(of: certificate, .authorities(other.pem)) != nil)
    #expect(try outcome(of: certificate, .authorities(other.pem + authority.pem)) == nil)
  }

  @Test func `a certificate that is named itself is taken, whoever vouches for it`() throws {
    let own = Certificate(for: "DNS:proxy.test")
    #expect(try outcome(of: own, .authorities(own.pem)) == nil)
    let certificate = Certificate(for: "DNS:proxy.test", by: authority)
    #expect(try outcome(of: certificate, .authorities(certificate.pem)) == nil)
  }

  @Test func `a certificate that vouches for itself is refused`() throws {
    #expect(
      try outcome(of: Certificate(for: "DNS:proxy.test"), .system) == .certificate(.selfSigned))
    let other = Certificate(for: "DNS:other.test")
    #expect(
      try outcome(of: Certificate(for: "DNS:proxy.test"), .authorities(other.pem)) != nil)
  }

  @Test(arguments: [1, 16, 17, 100])
  func `a certificate is taken with up to 16 issuers between it and the trusted one`(count: Int) throws {
    var issuers = [authority]
    for index in 0..<count {
      issuers.append(Certificate(for: "DNS:issuer\(index).test", by: issuers[index], isAuthority: true))
    }
    let certificate = Certificate(for: "DNS:proxy.test", by: issuers[count])
    let server = TLSServer(certificate, issuers: Array(issuers.dropFirst().reversed()))
    let chainTooLong: Int32 = 22
    do {
      _ = try Call(TLSContext.Demands(trust: .authorities(authority.pem)), server)
      #expect(count <= 16)
    } catch let failure as TLSFailure {
      #expect(count > 16)
      #expect(failure == .certificate(.other(chainTooLong)))
    }
  }

  @Test func `a certificate is refused before and after its time`() throws {
    let trust = TLSContext.Trust.authorities(authority.pem)
    let expired = Certificate(for: "DNS:proxy.test", from: -7200, until: -3600, by: authority)
    #expect(try outcome(of: expired, trust) == .certificate(.expired))
    let early = Certificate(for: "DNS:proxy.test", from: 3600, by: authority)
    #expect(try outcome(of: early, trust) == .certificate(.notYetValid))
  }

  @Test func `a certificate must be made for the host that was dialled`() throws {
    let trust = TLSContext.Trust.authorities(authority.pem)
    let certificate = Certificate(
      for: "DNS:proxy.test,DNS:*.wild.test,IP:10.0.0.1,IP:2001:db8::1", by: authority)
    let taken = [
      "proxy.test", "a.wild.test", "10.0.0.1", "2001:db8::1",
    ]
    let refused = ["test", "other.test", "a.b.wild.test", "wild.test", "10.0.0.2", "2001:db8::2"]
    for host in taken { #expect(try outcome(of: certificate, trust, to: Host(host)) == nil, "\(host)") }
    for host in refused {
      #expect(try outcome(of: certificate, trust, to: Host(host)) == .certificate(.wrongName), "\(host)")
    }
    // Or for the one that the table names.
    #expect(try outcome(of: certificate, trust, to: Host("10.9.9.9"), serverName: Host("proxy.test")) == nil)
    #expect(
      try outcome(of: certificate, trust, to: Host("proxy.test"), serverName: Host("other.test"))
        == .certificate(.wrongName))
  }

  @Test func `a pinned key is demanded, whoever vouches for it`() throws {
    let certificate = Certificate(for: "DNS:proxy.test", by: authority)
    let trust = TLSContext.Trust.authorities(authority.pem)
    let other = Certificate(for: "DNS:proxy.test").pin
    #expect(try outcome(of: certificate, trust, pins: [certificate.pin]) == nil)
    #expect(try outcome(of: certificate, trust, pins: [other, certificate.pin]) == nil)
    #expect(try outcome(of: certificate, trust, pins: [other]) == .certificate(.notPinned))
    // Pinned is not vouched for.
    #expect(try outcome(of: certificate, .system, pins: [certificate.pin]) == .certificate(.unknownIssuer))
    // The authority's own key is not the peer's.
    #expect(try outcome(of: certificate, trust, pins: [authority.pin]) == .certificate(.notPinned))
  }

  @Test func `who trusts anything takes anything, but for a key that is not pinned`() throws {
    let certificate = Certificate(for: "DNS:other.test", from: -7200, until: -3600)
    #expect(try outcome(of: certificate, .anything) == nil)
    #expect(try outcome(of: certificate, .anything, pins: [certificate.pin]) == nil)
    #expect(
      try outcome(of: certificate, .anything, pins: [authority.pin]) == .certificate(.notPinned))
  }

  @Test func `names are asked for, and addresses are not`() throws {
    let certificate = Certificate(for: "DNS:proxy.test,IP:10.0.0.1")
    let demands = TLSContext.Demands(trust: .authorities(certificate.pem))
    #expect(try Call(demands, TLSServer(certificate)).server.requestedName == "proxy.test")
    #expect(try Call(demands, to: Host("10.0.0.1"), TLSServer(certificate)).server.requestedName == nil)
    var named = demands
    named.serverName = .name(proxyName)
    #expect(
      try Call(named, to: Host("10.0.0.1"), TLSServer(certificate)).server.requestedName == "proxy.test")
  }

  @Test func `what is older than TLS 1_2 is not spoken`() throws {
    let certificate = Certificate(for: "DNS:proxy.test")
    let demands = TLSContext.Demands(trust: .authorities(certificate.pem))
    #expect(try Call(demands, TLSServer(certificate, version: .tls12)).client.version == "TLSv1.2")
    #expect(throws: TLSFailure.self) { try Call(demands, TLSServer(certificate, version: .tls11)) }
  }

  // MARK: Who we are

  @Test func `a certificate of our own is shown to who demands one`() throws {
    let certificate = Certificate(for: "DNS:proxy.test")
    let own = Certificate(for: "DNS:client.test", by: authority)
    var demands = TLSContext.Demands(trust: .authorities(certificate.pem))
    demands.identity = TLSContext.Identity(certificates: own.pem, key: own.keyPEM)
    let call = try Call(demands, TLSServer(certificate, demanding: authority))
    #expect(call.server.isEstablished)
    #expect(!call.server.hasFailed)
  }

  // In TLS 1.3 the client is done before the server has looked at its certificate.
  @Test(arguments: [TLSServer.Version.tls12, .tls13])
  func `who demands one and gets none says so`(version: TLSServer.Version) throws {
    let certificate = Certificate(for: "DNS:proxy.test")
    let demands = TLSContext.Demands(trust: .authorities(certificate.pem))
    let server = TLSServer(certificate, demanding: authority, version: version)
    let certificateRequired: UInt8 = 116
    let handshakeFailure: UInt8 = 40
    #expect(throws: TLSFailure.alert(version == .tls13 ? certificateRequired : handshakeFailure)) {
      let call = try Call(demands, server)
      _ = try call.client.read()
    }
    let stranger = Certificate(for: "DNS:client.test")
    var foreign = demands
    foreign.identity = TLSContext.Identity(certificates: stranger.pem, key: stranger.keyPEM)
    #expect(throws: TLSFailure.self) {
      let call = try Call(foreign, TLSServer(certificate, demanding: authority, version: version))
      _ = try call.client.read()
    }
  }

  @Test func `demands that make no sense are refused at once`() {
    let (one, other) = (Certificate(for: "DNS:a.test"), Certificate(for: "DNS:b.test"))
    func violation(_ demands: TLSContext.Demands) -> TLSContext.Violation? {
      do {
        _ = try TLSContext(demands)
        return nil
      } catch {
        return error
      }
    }
    func identity(_ certificates: [UInt8], _ key: [UInt8]) -> TLSContext.Demands {
      TLSContext.Demands(identity: TLSContext.Identity(certificates: certificates, key: key))
    }
    let broken = Array(one.pem.dropLast(60)) + Array("????\n-----END CERTIFICATE-----\n".utf8)
    #expect(violation(TLSContext.Demands(trust: .authorities([]))) == .authorities)
    #expect(violation(TLSContext.Demands(trust: .authorities(Array("no PEM".utf8)))) == .authorities)
    #expect(violation(TLSContext.Demands(trust: .authorities(one.pem + broken))) == .authorities)
    #expect(violation(identity([], one.keyPEM)) == .certificate)
    #expect(violation(identity(broken, one.keyPEM)) == .certificate)
    #expect(violation(identity(one.pem, [])) == .key)
    #expect(violation(identity(one.pem, one.pem)) == .key)
    #expect(violation(identity(one.pem, one.encryptedKeyPEM)) == .encryptedKey)
    #expect(violation(identity(one.pem, other.keyPEM)) == .keyMismatch)
    #expect(violation(identity(one.pem + other.pem, one.keyPEM)) == nil)
  }

  @Test func `nothing of a private key is printed`() throws {
    let own = Certificate(for: "DNS:client.test")
    let identity = TLSContext.Identity(certificates: own.pem, key: own.keyPEM)
    let context = try TLSContext(TLSContext.Demands(identity: identity))
    for value in [identity, context, context.demands, Optional(context) as Any] as [Any] {
      var text = "\(value) \(String(reflecting: value))"
      dump(value, to: &text)
      #expect(!text.contains("\(own.keyPEM[40]), \(own.keyPEM[41])"))
      #expect(!text.contains("PRIVATE"))
    }
  }
}

extension Host {
  init(_ text: String) throws {
    self = try IPAddress(text).map { .address($0) } ?? .name(DomainName(text))
  }
}
