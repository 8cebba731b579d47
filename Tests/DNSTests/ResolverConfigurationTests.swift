import Addresses
import Glibc
import Testing
import Transport

@testable import DNS

@Suite struct ResolverConfigurationTests {
  private static let localServer = ["127.0.0.1:53"]

  @Test(
    arguments: [
      ("nameserver 192.0.2.1\nnameserver\t2001:db8::1 # x\r\n", ["192.0.2.1:53", "[2001:db8::1]:53"], [], 1),
      ("# nothing yet\n; nor here\n", localServer, [], 1),
      ("", localServer, [], 1),
      ("nameserver example.com\nnameserver\n nameserver 192.0.2.2", ["192.0.2.2:53"], [], 1),
      ("nameserver ::ffff:192.0.2.1", ["192.0.2.1:53"], [], 1),
      ("search Corp.Example. lab.example\n", localServer, ["corp.example", "lab.example"], 1),
      ("search one.example\ndomain two.example three.example\n", localServer, ["two.example"], 1),
      ("domain two.example\nsearch one.example\n", localServer, ["one.example"], 1),
      ("search .\n", localServer, [], 1),
      ("search a.example\noptions rotate ndots:5 edns0\n", localServer, ["a.example"], 5),
      ("options ndots:99999999999999999999 ndots:99 \n", localServer, [], 15),
      ("options ndots:0 ndots:x\n", localServer, [], 0),
      ("nameservers 192.0.2.1\nsortlist 10.0.0.0\n\u{1}", localServer, [], 1),
    ] as [(String, [String], [String], Int)])
  func `resolv.conf names servers, domains and options`(
    text: String, servers: [String], search: [String], ndots: Int
  ) {
    let configuration = ResolverConfiguration(parsing: Array(text.utf8), hostName: "host")
    #expect(configuration.servers.map(\.description) == servers)
    #expect(configuration.search.map(\.text) == search)
    #expect(configuration.ndots == ndots)
    #expect(configuration.rotates == text.contains("rotate"))
    #expect(configuration.extends == text.contains("edns0"))
  }

  @Test func `without a search list the domain of this machine's name is searched`() {
    let configuration = ResolverConfiguration(parsing: [], hostName: "host.corp.example")
    #expect(configuration.search.map(\.text) == ["corp.example"])
  }

  @Test func `a link-local name server comes with its interface`() {
    let text = "nameserver fe80::1%lo\nnameserver fe80::2%1\nnameserver fe80::3%nowhere\n"
    let servers = ResolverConfiguration(parsing: Array(text.utf8), hostName: "").servers
    // The loopback interface is the first of every network namespace.
    #expect(servers.map(\.scope) == [1, 1])
  }

  @Test func `of a thousand servers and domains a bounded number is kept`() {
    let text =
      (0..<1000).map { "nameserver 10.0.\($0 / 250).\($0 % 250)\n" }.joined() + "search "
      + (0..<1000).map { "d\($0).example " }.joined()
    let configuration = ResolverConfiguration(parsing: Array(text.utf8), hostName: "")
    #expect(configuration.servers.count == 16)
    #expect(configuration.search.count == 16)
  }

  @Test(
    arguments: [
      ("wiki", false, 1, ["wiki.a.example", "wiki.b.example", "wiki"]),
      ("wiki", false, 0, ["wiki", "wiki.a.example", "wiki.b.example"]),
      ("wiki.lab", false, 5, ["wiki.lab"]),
      ("wiki.lab", true, 1, ["wiki.lab", "wiki.lab.a.example", "wiki.lab.b.example"]),
      ("wiki.lab", true, 2, ["wiki.lab.a.example", "wiki.lab.b.example", "wiki.lab"]),
    ] as [(String, Bool, Int, [String])])
  func `a name may be meant in the domains of the search list, and ndots says which comes first`(
    name: String, searchesAlways: Bool, ndots: Int, names: [String]
  ) throws {
    var configuration = ResolverConfiguration(servers: [])
    configuration.search = try [DomainName("a.example"), DomainName("b.example")]
    configuration.ndots = ndots
    let found = configuration.names(for: try DomainName(name), searchesAlways: searchesAlways)
    #expect(found.map(\.text) == names)
  }

  @Test func `with rotate each server is the first of some questions`() {
    var configuration = ResolverConfiguration(
      servers: (1...2).map { SocketAddress(.v4($0), port: 53) })
    #expect((0..<100).allSatisfy { _ in configuration.serversInTurn == configuration.servers })
    configuration.rotates = true
    // Both orders come, but for one case in 2 to the power of 99.
    let orders = Set((0..<100).map { _ in configuration.serversInTurn })
    #expect(orders == [configuration.servers, configuration.servers.reversed()])
  }

  @Test func `servers that change, come late or go are noticed, and what others said is forgotten`()
    async throws
  {
    let file = try TestFile(nil)
    let names = try SharedNames(nil, cacheCapacity: 100, hostsPath: "/dev/null", configurationPath: file.path)
    #expect(names.servers().addresses.map(\.description) == ["127.0.0.1:53"])
    let changes: [(String, ((String) throws -> Void)?)] = [
      ("192.0.2.1", { try file.write($0) }), ("192.0.2.2", { try file.replace(with: $0) }),
      ("127.0.0.1", nil),
      ("192.0.2.3", { try file.replace(with: $0) }),
    ]
    for (server, change) in changes {
      let before = names.servers()
      keep(names, generation: before.generation)
      #expect(try await isKept(names))
      if let change { try change("nameserver \(server)\n") } else { file.remove() }
      names.checkFiles()
      #expect(try await !isKept(names))
      #expect(names.servers().addresses.map(\.description) == ["\(server):53"])
      // What a server of before says now is too late.
      keep(names, generation: before.generation)
      #expect(try await !isKept(names))
    }
  }

  @Test func `a file that cannot be read names the servers that it named, until it can be read`() async throws
  {
    let file = try TestFile("nameserver 192.0.2.1\n")
    let names = try SharedNames(nil, cacheCapacity: 100, hostsPath: "/dev/null", configurationPath: file.path)
    keep(names, generation: names.servers().generation)
    file.remove()
    // It can be opened, and not read.
    try #require(mkdir(file.path, 0o700) == 0)
    for _ in 0..<3 {
      names.checkFiles()
      #expect(try await isKept(names))
    }
    rmdir(file.path)
    try file.write("nameserver 192.0.2.2\n")
    names.checkFiles()
    #expect(try await !isKept(names))
    #expect(names.servers().addresses.map(\.description) == ["192.0.2.2:53"])
  }

  @Test func `a file that is written again with the same words changes nothing`() async throws {
    let file = try TestFile("nameserver 192.0.2.1\n")
    let names = try SharedNames(nil, cacheCapacity: 100, hostsPath: "/dev/null", configurationPath: file.path)
    keep(names, generation: names.servers().generation)
    try file.replace(with: "nameserver 192.0.2.1\n")
    names.checkFiles()
    #expect(try await isKept(names))
  }

  private let answer: Exchange.Response = (.success(.addresses([.loopback4])), .seconds(3600))

  private func keep(_ names: SharedNames, generation: Int) {
    guard let name = try? DomainName("good.test") else { return }
    names.keep(answer, to: .addresses(of: name, .v4), from: nil, generation: generation)
  }

  private func isKept(_ names: SharedNames) async throws -> Bool {
    if case .answered = try await known("good.test", to: names) { true } else { false }
  }
}
