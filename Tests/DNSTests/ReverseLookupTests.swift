import Addresses
import Testing
import Transport

@testable import DNS

private let four = IPAddress.v4(0xc000_0201)
private let reverse4 = "1.2.0.192.in-addr.arpa"
private let six = IPAddress.v6(0x2001_0db8 << 96 | 0xa1)
private let reverse6 = "1.a.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"

@Suite struct ReverseLookupTests {
  @Test(arguments: [(four, reverse4), (six, reverse6), (.v6(0xffff_c000_0201), reverse4)])
  func `the PTR record of an address is its name`(address: IPAddress, question: String) async throws {
    try await withResolver([question: .pointer(["Host", "Test"])]) { resolver, server in
      try await resolver.expect("host.test", of: address)
      #expect(server.asked == [.init(name: question, type: 12)])
    }
  }

  // RFC 2317.
  @Test func `an alias leads to the PTR record of a smaller zone`() async throws {
    let script = [
      reverse4: NameServer.Behaviour.pointer(["host", "test"], via: "1.0-63.2.0.192.in-addr.arpa")
    ]
    try await withResolver(script) { resolver, _ in
      try await resolver.expect("host.test", of: four)
    }
  }

  @Test(arguments: [.loopback4, .loopback6, .v4(0x7f01_0203)] as [IPAddress])
  func `loopback is localhost, whatever a server says`(address: IPAddress) async throws {
    try await withResolver([address.reverseName: .pointer(["evil", "test"])]) { resolver, server in
      try await resolver.expect("localhost", of: address)
      #expect(server.asked.isEmpty)
    }
  }

  @Test(
    arguments: [
      (.code(3), .notFound), (.code(2), .serverFailure), (.addresses([], ttl: 3600), .noData),
      (.alias("other.test", ttl: 3600, [], addressTTL: 60), .noData),
    ] as [(NameServer.Behaviour, ResolutionFailure)])
  func `a failure says what the server said`(
    behaviour: NameServer.Behaviour, failure: ResolutionFailure
  ) async throws {
    try await withResolver([reverse4: behaviour]) { resolver, _ in
      #expect(await resolver.failure(naming: four) == failure)
    }
  }

  @Test(
    arguments: [
      [], ["a b"], ["a.b", "test"], ["good\0", "test"], ["good\r\n", "test"], ["\u{1b}[31m"], ["127", "1"],
      ["10", "0", "0", "1"], ["bücher", "test"], ["*", "test"], ["a\\", "test"], ["0x7f000001"],
    ])
  func `T34: what is no name is no data`(labels: [String]) async throws {
    try await withResolver([reverse4: .pointer(labels)]) { resolver, _ in
      #expect(await resolver.failure(naming: four) == .noData)
    }
  }

  @Test func `a silent server is given up at the deadline`() async throws {
    try await withResolver([reverse4: .silence]) { resolver, _ in
      #expect(await resolver.failure(naming: four, within: .milliseconds(20)) == .timedOut)
    }
  }

  @Test func `a hundred tasks that ask for one name are one question`() async throws {
    let script = [reverse4: NameServer.Behaviour.pointer(["host", "test"])]
    try await withResolver(script) { resolver, server in
      // They all ask before the loop hears the answer: none of them waits for anything else.
      try await withThrowingTaskGroup { group in
        for _ in 0..<100 { group.addTask { try await resolver.name(of: four, for: nil, until: .never) } }
        for try await name in group { #expect(name.text == "host.test") }
      }
      #expect(server.asked.count == 1)
    }
  }

  @Test func `that an address has no name is kept`() async throws {
    try await withResolver([reverse4: .nothing(code: 3, ttl: 3600, minimum: 3600)]) { resolver, server in
      for _ in 0..<3 {
        #expect(await resolver.failure(naming: four) == .notFound)
      }
      #expect(server.asked.count == 1)
    }
  }

  @Test func `a name is kept as long as its TTL says`() async throws {
    try await withResolver([reverse4: .pointer(["host", "test"])]) { resolver, server in
      for _ in 0..<3 { try await resolver.expect("host.test", of: four) }
      #expect(server.asked.count == 1)
    }
  }
}

extension Resolver {
  /// Why `address` has no name; `nil` when it has one.
  fileprivate func failure(
    naming address: IPAddress, within limit: Duration = .seconds(600)
  ) async -> ResolutionFailure? {
    do throws(Unresolved) {
      _ = try await name(of: address, for: nil, until: .after(limit))
      return nil
    } catch {
      return error.reason
    }
  }
}
