import Addresses
import Testing

@testable import Routing

/// Which requests have the same identity at an upstream, and what it is called.
@Suite struct IsolationTests {
  private let hash = SipHash(key: (1, 2))
  private static let minute: Moment = 60_000_000_000

  private func name(
    _ request: Request, by keys: Isolation.Key..., at now: Moment = 0, hash: SipHash? = nil
  ) -> String {
    Isolation(by: Set(keys)).name(for: request, at: now, by: hash ?? self.hash)
  }

  // The last octets of vectors.h in the reference implementation, whose key is 0, 1, … 15, and whose n-th input 0, 1, … n-1.
  @Test(
    arguments: [
      (0, 0x726f_db47_dd0e_0e31), (1, 0x74f8_39c5_93dc_67fd), (8, 0x93f5_f579_9a93_2462),
      (15, 0xa129_ca61_49be_45e5),
    ] as [(Int, UInt64)])
  func `SipHash-2-4 as its authors have it`(count: Int, expected: UInt64) {
    let hash = SipHash(key: (0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908))
    #expect(hash((0..<count).map { UInt8($0) }) == expected)
  }

  @Test func `an identity is called by 16 hexadecimal digits`() throws {
    for number in 0..<300 {
      let name = name(try Request("host\(number).test"), by: .destination)
      #expect(name.utf8.count == Isolation.nameLength)
      #expect(name.utf8.allSatisfy { Array("0123456789abcdef".utf8).contains($0) }, "\(name)")
    }
  }

  @Test(arguments: Isolation.Key.allCases)
  func `requests that differ in a key have different identities, and others the same`(
    key: Isolation.Key
  ) throws {
    let request = try Request("a.test:443", client: .v4(0x0a00_0001), user: "alice")
    let others: [(Isolation.Key, Request)] = [
      (.client, try Request("a.test:443", client: .v4(0x0a00_0002), user: "alice")),
      (.user, try Request("a.test:443", client: .v4(0x0a00_0001), user: "bob")),
      (.destination, try Request("b.test:443", client: .v4(0x0a00_0001), user: "alice")),
      (.port, try Request("a.test:80", client: .v4(0x0a00_0001), user: "alice")),
    ]
    for (changed, other) in others {
      #expect((name(request, by: key) != name(other, by: key)) == (changed == key), "\(changed)")
      #expect(
        name(request, by: .client, .user, .destination, .port)
          != name(other, by: .client, .user, .destination, .port))
    }
    // BIND, datagrams and another listener are the same client, user and destination.
    var datagram = request
    datagram.command = .udp
    datagram.listener = ListenerID(address: "127.0.0.1:1")
    #expect(name(datagram, by: key) == name(request, by: key))
  }

  @Test func `values do not run into each other`() throws {
    let one = Request(to: Endpoint(.name("a.test"), port: 44), user: "b")
    let other = Request(to: Endpoint(.name("a.test"), port: 4), user: "b4")
    #expect(name(one, by: .user, .port) != name(other, by: .user, .port))
    let nobody = try Request("a.test")
    let unnamed = try Request("a.test", user: "")
    #expect(name(nobody, by: .user) != name(unnamed, by: .user))
    // With other keys the same values are somebody else.
    let client = try Request("10.0.0.1", client: .v4(0x0a00_0001))
    #expect(name(client, by: .client) != name(client, by: .client, .destination))
  }

  @Test func `a client that is mapped into IPv6 is the same client`() throws {
    let plain = try Request("a.test", client: .v4(0x0a00_0001))
    let mapped = try Request("a.test", client: IPAddress("::ffff:10.0.0.1"))
    #expect(name(plain, by: .client) == name(mapped, by: .client))
  }

  @Test func `without the key nobody can tell an identity's name`() throws {
    let request = try Request("a.test", client: .v4(1))
    let names = [(1, 2), (1, 3), (2, 2), (2, 1)].map { key in
      name(request, by: .client, hash: SipHash(key: key))
    }
    #expect(Set(names).count == 4)
  }

  @Test func `an identity keeps its name for the time limit, and each changes at a time of its own`() throws {
    let isolation = Isolation(by: [.destination], for: .seconds(600))
    var changes: Set<Int> = []
    var all: Set<String> = []
    for number in 0..<40 {
      let request = try Request("host\(number).test")
      // Two limits, second by second.
      let names = (0...1200).map { second in
        isolation.name(for: request, at: Moment(second) * 1_000_000_000, by: hash)
      }
      let changed = (1...1200).filter { names[$0] != names[$0 - 1] }
      #expect(changed.count == 2 && changed[1] - changed[0] == 600, "\(changed)")
      #expect(Set(names).count == 3)
      changes.insert(changed[0])
      all.formUnion(names)
    }
    // By chance two may share a second.
    #expect(changes.count > 30)
    #expect(all.count == 40 * 3)
    #expect((changes.max() ?? 0) - (changes.min() ?? 0) > 300)
  }

  @Test func `the shortest and the longest limit`() throws {
    let request = try Request("a.test")
    let shortest = Isolation(by: [.destination], for: .milliseconds(1))
    let names = (0..<5).map { shortest.name(for: request, at: $0 * 1_000_000, by: hash) }
    #expect(Set(names).count == 5)
    let longest = Isolation(by: [.destination], for: .seconds(8760 * 3600))
    #expect(
      longest.name(for: request, at: .max, by: hash) == longest.name(for: request, at: .max - 1, by: hash))
  }

  // MARK: Credentials

  private func isolated(
    _ kind: Upstream.Kind, _ username: String? = nil, _ password: String = ""
  ) throws -> (credentials: Credentials?, name: String) {
    let upstream = Upstream(
      name: "a", kind: kind, endpoint: Endpoint(.loopback4, port: 1),
      credentials: username.flatMap { Credentials(username: Array($0.utf8), password: Array(password.utf8)) },
      isolation: Isolation(by: [.client]))
    let request = try Request("a.test", client: .v4(1))
    return (upstream.isolated(for: request, at: 0, by: hash).credentials, name(request, by: .client))
  }

  @Test(arguments: [Upstream.Kind.socks5, .http])
  func `without a user name an identity's name is sent as user name and password`(kind: Upstream.Kind) throws
  {
    let (credentials, name) = try isolated(kind)
    #expect(credentials?.username == Array(name.utf8) && credentials?.password == Array(name.utf8))
  }

  @Test func `an identity's name goes where the user name has a place for it, and the password stays`() throws
  {
    let (credentials, name) = try isolated(.http, "zone-{session}-de-{session}", "secret")
    #expect(credentials?.username == Array("zone-\(name)-de-\(name)".utf8))
    #expect(credentials?.password == Array("secret".utf8))
  }

  @Test(arguments: [Upstream.Kind.socks4, .socks4a])
  func `for SOCKS4 an identity's name is the user id`(kind: Upstream.Kind) throws {
    let (credentials, name) = try isolated(kind)
    #expect(credentials?.username == Array(name.utf8) && credentials?.password == [])
  }

  @Test func `an identity's name must fit into the longest user name`() {
    func hasRoom(_ username: String) -> Bool {
      Upstream(
        name: "a", endpoint: Endpoint(.loopback4, port: 1),
        credentials: Credentials(username: Array(username.utf8), password: []),
        isolation: Isolation(by: [.client])
      ).hasRoomForIdentities
    }
    #expect(hasRoom(String(repeating: "x", count: 255 - 16) + "{session}"))
    #expect(!hasRoom(String(repeating: "x", count: 256 - 16) + "{session}"))
    #expect(!hasRoom(String(repeating: "{session}", count: 16)))
  }

  @Test func `in a chain each upstream has identities of its own, and others none`() throws {
    func upstream(_ name: String, _ isolation: Isolation?) -> Upstream {
      Upstream(name: name, endpoint: Endpoint(.loopback4, port: 1), isolation: isolation)
    }
    let plain = upstream("p", nil)
    let chain = Chain([
      plain, upstream("a", Isolation(by: [.client])), upstream("b", Isolation(by: [.destination])),
    ])
    var asked: [String] = []
    let request = try Request("a.test", client: .v4(1))
    let isolated = chain.isolated(for: request, at: 0) { upstream in
      asked.append(upstream.name)
      return SipHash(key: (0, upstream.name == "a" ? 1 : 2))
    }
    #expect(asked == ["a", "b"])
    #expect(isolated.hops[0] == plain)
    #expect(isolated.hops[1].credentials != isolated.hops[2].credentials)
    #expect(isolated != chain && isolated.description == "p,a,b")
    #expect(chain.isIsolated && isolated.isIsolated && !Chain([plain]).isIsolated)
    #expect(chain.isIsolatedByDestination && !Chain([chain.hops[1]]).isIsolatedByDestination)
  }

  @Test func `a plan is followed anew for each destination where they are kept apart`() {
    for (key, isSo) in [(Isolation.Key.client, false), (.user, false), (.destination, true), (.port, true)] {
      let upstream = Upstream(
        name: "a", endpoint: Endpoint(.loopback4, port: 1), isolation: Isolation(by: [key]))
      let plan = Plan(.group(Group(name: "g", members: [Group.Member(.upstream(upstream))])))
      #expect(plan.dependsOnDestination == isSo, "\(key)")
    }
  }
}
