import Foundation
import Testing

/// `sockeye import`: what a proxychains.conf did, a table does.
@Suite(.blocking)
struct ImportTests {
  private let directory: TemporaryDirectory
  /// The one that comes with proxychains4.
  private let original: String

  init() throws {
    directory = try TemporaryDirectory()
    _ = try Program("proxychains4", package: "proxychains4")
    original = try String(contentsOfFile: "/etc/proxychains4.conf", encoding: .utf8)
  }

  /// The original with another mode, more directives, and other proxies.
  private func conf(_ directives: String, _ proxies: String) throws -> String {
    let text = original.replacing(/(?m)^strict_chain$/, with: directives)
    let list = try #require(text.firstRange(of: "[ProxyList]\n"))
    return text[..<list.upperBound] + proxies
  }

  /// The table, which `check` must accept without a word; it is written to `table.yaml`.
  private func table(from conf: String) throws -> String {
    let file = try directory.write(conf, to: "proxychains.conf")
    let exit = try Sockeye.run("import", file)
    #expect(exit.status == 0, "\(exit)")
    #expect(exit.errors == [])
    let table = exit.output.joined(separator: "\n") + "\n"
    try directory.write(table, to: "table.yaml")
    let check = try Sockeye.run("check", "table.yaml", directory: directory.path)
    #expect(check == .init(status: 0, output: [], errors: []), "\(check)")
    return table
  }

  private func explained(_ destination: String) throws -> String {
    let exit = try Sockeye.run("explain", "table.yaml", destination, directory: directory.path)
    #expect(exit.status == 0 && exit.errors == [], "\(exit)")
    return exit.output.joined(separator: "\n")
  }

  // MARK: What it says

  @Test func `the file that comes with proxychains becomes a table that does the same`() throws {
    _ = try table(from: original)
    #expect(
      try explained("example.com:443") == """
        example.com:443  tcp  →  proxy1
          no route holds: the default decides
          hop 1  proxy1  socks4a://127.0.0.1:9050
          the name is resolved by: proxy1
        """)
  }

  private static let proxies = """
    socks5 192.0.2.1 1080 lamer secret
    http 192.0.2.2 8080
    socks4 192.0.2.3 1080

    """

  private static let proxyLines = [
    "proxy1  socks5://192.0.2.1:1080  (user lamer)", "proxy2  http://192.0.2.2:8080",
    "proxy3  socks4a://192.0.2.3:1080",
  ]

  @Test(
    arguments: [
      ("strict_chain", "proxy1,proxy2,proxy3", nil),
      ("dynamic_chain", "chain", "  chain chain  dynamic: those that are up"),
      ("random_chain\nchain_len = 2", "chain", "  chain chain  random: 2 of these in any order"),
      ("round_robin_chain\nchain_len = 2", "chain", "  chain chain  round-robin: 2 of these in turn"),
    ] as [(String, String, String?)])
  func `each mode`(directives: String, outcome: String, manner: String?) throws {
    _ = try table(from: conf(directives, Self.proxies))
    let lines = try explained("192.0.2.80:80").split(separator: "\n").map(String.init)
    let isOrdered = directives.hasPrefix("strict") || directives.hasPrefix("dynamic")
    let hops = Self.proxyLines.enumerated().map { index, line in
      (manner == nil ? "  " : "    ") + (isOrdered ? "hop \(index + 1)  " : "") + line
    }
    #expect(
      lines == ["192.0.2.80:80  tcp  →  \(outcome)", "  no route holds: the default decides"]
        + (manner.map { [$0] } ?? []) + hops)
  }

  @Test func `dnat and localnet are routes`() throws {
    _ = try table(
      from: conf(
        "strict_chain\nlocalnet 192.0.2.0:22/255.255.255.0\ndnat 198.51.100.1:80 198.51.100.2:8080",
        "socks5 192.0.2.1 1080\n"))
    #expect(try explained("192.0.2.7:22").hasPrefix("192.0.2.7:22  tcp  →  direct\n"))
    #expect(try explained("192.0.2.7:23").hasPrefix("192.0.2.7:23  tcp  →  proxy1\n"))
    #expect(
      try explained("198.51.100.1:80").contains(
        "  rewritten to: 198.51.100.2:8080\n  hop 1  proxy1  socks5://192.0.2.1:1080"))
  }

  @Test func `a file with errors becomes no table`() throws {
    let file = try directory.write(
      "chain_len 2\nnonsense\n[ProxyList]\nsocks5 192.0.2.1 port alice hunter2\n", to: "bad.conf")
    let exit = try Sockeye.run("import", file)
    #expect(
      exit
        == .init(
          status: 1, output: [],
          errors: [
            "\(file):1:1: error: proxychains wants an equals sign here (write chain_len = 2)",
            "\(file):2:1: warning: proxychains passes over 'nonsense' (remove it)",
            "\(file):4:1: error: this is no proxy (write it like socks5 192.0.2.7 1080 user password)",
          ]))
    let missing = try Sockeye.run("import", "/nonexistent/proxychains.conf")
    #expect(missing.status == 1 && missing.output == [], "\(missing)")
    #expect(missing.errors.first?.hasPrefix("/nonexistent/proxychains.conf: error: the file ") == true)
    #expect(try Sockeye.run("import").status == 2)
    #expect(try Sockeye.run("import", file, file).status == 2)
  }

  // MARK: What it does

  /// How many connections each of the hops has passed on, and where to.
  private func passages(_ hops: [Microsocks], count: Int) throws -> [[String]] {
    func passages(of hop: Microsocks) -> [String] {
      hop.process.lines.all.compactMap { $0.firstMatch(of: /connected to (\S+)/).map { String($0.1) } }
    }
    try eventually("\(count) connections through \(hops.map(\.process.lines.all))") {
      hops.reduce(0) { $0 + passages(of: $1).count } >= count
    }
    return hops.map { passages(of: $0).sorted() }
  }

  /// What two sets of the same hops have passed, one asked by proxychains and one by Sockeye with the imported table.
  private func compare(
    _ directives: String, dead: Bool = false, urls: [String], passages count: Int
  ) throws -> (proxychains: [[String]], sockeye: [[String]]) {
    var results: [[[String]]] = []
    for isSockeye in [false, true] {
      let hops = try (0..<2).map { _ in try Microsocks() }
      let down = try DeadPort()
      let list = ([hops[0].address] + (dead ? [down.address] : []) + [hops[1].address])
        .map { "socks5 \($0.replacingOccurrences(of: ":", with: " "))\n" }.joined()
      let conf = try conf(directives, list)
      let curl = ["-q", "--silent", "--show-error", "--max-time", "60"] + urls
      let exit: ChildProcess.Exit
      if isSockeye {
        let sockeye = try Sockeye(try table(from: conf), arguments: ["--listen", "127.0.0.1:0"])
        exit = try Client.curl(["--socks5-hostname", sockeye.address] + urls)
      } else {
        let file = try directory.write(conf, to: "proxychains.conf")
        exit = try ChildProcess.run(
          try Program("proxychains4", package: "proxychains4"),
          ["-q", "-f", file, try Program("curl", package: "curl").path] + curl)
      }
      #expect(exit.output == urls.map { _ in HTTPTarget.greeting }, "\(exit)")
      // The ports of hops differ from one set to the other; that a hop led to the next is what counts.
      results.append(
        try passages(hops, count: count).map { $0.map { $0 == hops[1].address ? "hop 2" : $0 } })
    }
    return (results[0], results[1])
  }

  @Test(arguments: ["strict_chain", "dynamic_chain"])
  func `proxychains, and Sockeye with its table, pass the same hops, dnat and localnet included`(
    mode: String
  ) throws {
    let target = try HTTPTarget(on: "127.0.0.5:0")
    let near = try HTTPTarget(on: "127.0.0.7:0")
    let directives = """
      \(mode)
      localnet 127.0.0.7:\(near.port)/255.255.255.255
      dnat 127.0.0.6:81 127.0.0.5:\(target.port)
      """
    let (proxychains, sockeye) = try compare(
      directives, dead: mode == "dynamic_chain",
      urls: [target.url, "http://127.0.0.6:81/", near.url], passages: 4)
    #expect(proxychains == [["hop 2", "hop 2"], [target.address, target.address]])
    #expect(sockeye == proxychains)
    #expect(near.accepted.all.count == 2)
    #expect(target.accepted.all.count == 4)
  }

  @Test(arguments: [("round_robin_chain", [2, 2]), ("round_robin_chain\nchain_len = 2", [4, 4])])
  func `in turn, as proxychains does for one program`(directives: String, counts: [Int]) throws {
    let targets = try (0..<4).map { _ in try HTTPTarget() }
    let (proxychains, sockeye) = try compare(
      directives, urls: targets.map(\.url), passages: counts.reduce(0, +))
    #expect(proxychains.map(\.count) == counts)
    #expect(sockeye.map(\.count) == counts)
  }

  @Test func `by chance, and as many hops as proxychains`() throws {
    let targets = try (0..<8).map { _ in try HTTPTarget() }
    let (proxychains, sockeye) = try compare(
      "random_chain\nchain_len = 2", urls: targets.map(\.url), passages: 16)
    for passages in [proxychains, sockeye] { #expect(passages.map(\.count) == [8, 8]) }
  }

  @Test func `user names and passwords arrive at a proxy as proxychains sends them`() throws {
    let target = try HTTPTarget()
    let micro = try Microsocks(user: "la:mer", password: "p@$s%41{}\"w#rd/")
    let address = micro.address.replacingOccurrences(of: ":", with: " ")
    let conf = try conf("strict_chain", "socks5 \(address) la:mer p@$s%41{}\"w#rd/\n")
    let sockeye = try Sockeye(try table(from: conf), arguments: ["--listen", "127.0.0.1:0"])
    let exit = try Client.curl(["--socks5-hostname", sockeye.address, target.url])
    #expect(exit.output == [HTTPTarget.greeting], "\(exit)")
    try micro.waitForConnection(to: target.address)
  }
}
