import Addresses
import Testing
import Transport

@testable import DNS

/// EDNS(0): questions that offer to take more than 512 octets in a datagram (RFC 6891).
@Suite struct ExtendedQuestionTests {
  private static let forty = (0..<40).map { IPAddress.v4(0xc000_0200 + $0) }
  private static let thousand = (0..<1000).map { IPAddress.v4(0x0a00_0000 + $0) }

  /// Expects the first 32 addresses of `name`, and these questions for them.
  private func expect(
    _ behaviour: NameServer.Behaviour, extends: Bool = true, patience: Duration = .seconds(600),
    _ found: [IPAddress], asks: [(overTCP: Bool, extent: Int?)]
  ) async throws {
    let server = NameServer(["many.test": behaviour])
    defer { server.stop() }
    try await withResolver(asking: server.address, extends: extends, patience: patience) { resolver, _ in
      let answers = try await resolver.answers("many.test")
      #expect(answers.v4 == .success(Array(found.prefix(32))))
    }
    let asked = server.asked.filter { $0.type == 1 }
    #expect(asked == asks.map { .init(name: "many.test", type: 1, overTCP: $0.overTCP, extent: $0.extent) })
  }

  @Test func `with edns0 forty addresses come in one datagram`() async throws {
    try await expect(.fitting(Self.forty), Self.forty, asks: [(false, 1232)])
  }

  @Test func `without it the question is that of RFC 1035, and what does not fit comes over TCP`()
    async throws
  {
    try await expect(.fitting(Self.forty), extends: false, Self.forty, asks: [(false, nil), (true, nil)])
  }

  @Test func `what does not fit even so comes over TCP`() async throws {
    try await expect(.fitting(Self.thousand), Self.thousand, asks: [(false, 1232), (true, nil)])
  }

  // FORMERR and NOTIMP.
  @Test(
    arguments: [.code(1), .code(4), .bareCode(1), .bareCode(4), .malformed]
      as [NameServer.Misunderstanding])
  func `a server that does not understand it is asked again without`(
    misunderstanding: NameServer.Misunderstanding
  ) async throws {
    try await expect(
      .old(misunderstanding, Self.forty), Self.forty, asks: [(false, 1232), (false, nil)])
  }

  @Test func `a server that leaves it unanswered is asked again without`() async throws {
    try await expect(
      .old(.silence, Self.forty), patience: resendTime, Self.forty, asks: [(false, 1232), (false, nil)])
  }

  @Test func `a server that refuses every form has failed, at once`() async throws {
    let script = ["bad.test": NameServer.Behaviour.garbage([0x81, 0x81] + [UInt8](repeating: 0, count: 8))]
    try await withResolver(script) { resolver, _ in
      let found = try await resolver.answers("bad.test")
      #expect(found.failure == .serverFailure)
    }
  }
}
