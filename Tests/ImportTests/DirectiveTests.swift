import Import
import Testing

/// What each directive becomes.
@Suite struct DirectiveTests {
  private static let list =
    "[ProxyList]\nsocks5 192.0.2.1 1080\nsocks5 192.0.2.2 1080\nsocks5 192.0.2.3 1080\n"

  private static let chain = [
    "chains:", "  chain:", "    hops:", "      - proxy1", "      - proxy2", "      - proxy3",
  ]

  @Test(arguments: [
    ("", ["    mode: dynamic"]), ("strict_chain\n", ["    mode: strict"]),
    ("dynamic_chain\n", ["    mode: dynamic"]), ("random_chain\n", ["    mode: random", "    length: 1"]),
    ("round_robin_chain\r\n", ["    mode: round-robin", "    length: 1"]),
    ("random_chain\nchain_len = 2\n", ["    mode: random", "    length: 2"]),
    ("chain_len=3\n  round_robin_chain  \n", ["    mode: round-robin", "    length: 3"]),
    ("random_chain\nchain_len = 0\n", ["    mode: random", "    length: 1"]),
    ("random_chain\nchain_length =\t2\nchain_len = 1\n", ["    mode: random", "    length: 1"]),
  ])
  func `modes and chain_len`(directives: String, expected: [String]) throws {
    let table = imported(directives + Self.list)
    #expect(table.messages == [])
    #expect(table.section("chains:") == Self.chain + expected)
    #expect(table.lines.filter { $0.hasPrefix("default:") } == ["default: chain"])
    #expect(try table.loaded().listeners.count == 1)
  }

  @Test func `of several modes the last one holds, as the table says`() throws {
    let table = imported("random_chain\nstrict_chain\nchain_len = 2\n" + Self.list)
    #expect(table.messages == [])
    #expect(
      table.section("# Of several") == [
        "# Of several modes the last one holds, line 2.",
        "# chain_len, line 3: means nothing but with random_chain and round_robin_chain.",
      ] + Self.chain + ["    mode: strict"])
  }

  @Test(
    arguments: [
      ("", "10s", nil), ("tcp_read_time_out 1500\n", "10s", nil),
      ("tcp_read_time_out 15000\ntcp_connect_time_out 8000\n", "15s", "53s"),
      ("tcp_connect_time_out 20500\n", "20500ms", "32500ms"),
      ("tcp_read_time_out 2147483647\n", "2147483647ms", "6442460941ms"),
    ] as [(String, String, String?)])
  func `timeouts`(directives: String, timeout: String, dial: String?) throws {
    let table = imported("strict_chain\n" + directives + Self.list)
    #expect(table.messages == [])
    #expect(
      table.section("upstreams:").dropFirst().first
        == "  proxy1: {url: \"socks5://192.0.2.1:1080\", timeout: \(timeout)}  # line \(table.lines.isEmpty ? 0 : 3 + directives.count { $0 == "\n" })"
    )
    #expect(
      table.lines.filter { $0.hasPrefix("timeouts:") } == (dial.map { ["timeouts: {dial: \($0)}"] } ?? []))
    _ = try table.loaded()
  }

  @Test func `a name is the last proxy's business, and what differs is said`() throws {
    let remote = imported("proxy_dns\n" + Self.list)
    #expect(remote.lines.contains { $0.hasPrefix("# Names travel to the last proxy, as with proxy_dns.") })
    let daemon = imported("proxy_dns_daemon 127.0.0.1:1053\nremote_dns_subnet 10\n" + Self.list)
    #expect(daemon.lines.contains { $0.hasPrefix("# proxy_dns_daemon, line 1: not needed.") })
    #expect(daemon.lines.contains { $0.hasPrefix("# remote_dns_subnet, line 2: not needed.") })
    #expect(daemon.lines.contains { $0.hasPrefix("# Names travel to the last proxy, as with proxy_dns.") })
    let local = imported(Self.list)
    #expect(local.lines.contains { $0.hasPrefix("# Without proxy_dns, this machine resolves names,") })
    let script = imported("proxy_dns_old\n" + Self.list)
    #expect(script.lines.contains { $0.hasPrefix("# Without proxy_dns, proxyresolv resolves names,") })
  }

  @Test func `quiet_mode is a quieter log`() throws {
    let table = imported("quiet_mode\n" + Self.list)
    #expect(table.lines.last == "log: {level: warning}")
    #expect(try table.loaded().log.level == .warning)
    #expect(!imported(Self.list).lines.contains { $0.hasPrefix("log:") })
  }

  @Test func `what proxychains passes over is passed over, and said`() throws {
    let table = imported(
      "strict_chian\nstrict_chain now\nsecret-hunter2!\nrandom_seed 7\n\u{1b}[2J\n" + Self.list)
    #expect(
      table.messages == [
        "1:1: warning: proxychains passes over 'strict_chian' (did you mean 'strict_chain'?)",
        "2:1: warning: proxychains passes over 'strict_chain' with something behind it (write it alone)",
        "3:1: warning: proxychains passes over this line (remove it)",
        "4:1: warning: proxychains passes over 'random_seed' (remove it)",
        "5:1: warning: proxychains passes over this line (remove it)",
      ])
    #expect(table.lines.contains("# Line 1: passed over, as by proxychains: 'strict_chian'."))
    #expect(table.lines.contains("# Line 3: passed over, as by proxychains: this line."))
    #expect(table.lines.contains("    mode: dynamic"))
  }

  @Test(arguments: [
    ("", ["error: there is no [ProxyList] (write it alone on a line, and the proxies behind it)"]),
    (
      "\n\n [ProxyList]\n# none\n",
      ["3:2: error: there is no proxy behind [ProxyList] (write one, such as socks5 127.0.0.1 9050)"]
    ),
    (
      "x[ProxyList]\nsocks5 192.0.2.1 1 alice hunter2\n",
      [
        "error: there is no [ProxyList] (write it alone on a line, and the proxies behind it)",
        "1:1: warning: proxychains passes over this line (did you mean '[ProxyList]'?)",
        "2:1: error: there is a proxy before [ProxyList], where proxychains looks for none (move it down)",
      ]
    ),
    (
      "random_chain\nchain_len 2\n" + list,
      ["2:1: error: proxychains wants an equals sign here (write chain_len = 2)"]
    ),
    (
      "chain_len = two\nchain_len =\nchain_len = -1\n" + list,
      ["1", "2", "3"].map {
        "\($0):1: error: there is no number behind the equals sign (write chain_len = 2)"
      }
    ),
    (
      "random_chain\n\tchain_len = 4\n" + list,
      [
        "2:2: error: chain_len is more than there are proxies, so that proxychains connects to nothing"
          + " (write 1 to 3)"
      ]
    ),
    (
      "tcp_read_time_out\ntcp_read_time_out x\ntcp_connect_time_out 0\ntcp_connect_time_out -1\n" + list,
      [
        "1:1: error: there is no time here (write milliseconds, as in tcp_read_time_out 15000)",
        "2:19: error: 'x' is no time to wait (write milliseconds, such as 15000)",
        "3:22: error: '0' is no time to wait (write milliseconds, such as 15000)",
        "4:22: error: '-1' is no time to wait (write milliseconds, such as 15000)",
      ]
    ),
    (
      "remote_dns_subnet 256\nremote_dns_subnet\nproxy_dns_daemon\nproxy_dns_daemon ::1\nproxy_dns_daemon localhost:1\n"
        + list,
      [
        "1:1: error: remote_dns_subnet takes a number from 0 to 255 (write 224, or remove it)",
        "2:1: error: remote_dns_subnet takes a number from 0 to 255 (write 224, or remove it)",
        "3:1: error: proxy_dns_daemon takes an IPv4 address and a port (write 127.0.0.1:1053)",
        "4:1: error: proxy_dns_daemon takes an IPv4 address and a port (write 127.0.0.1:1053)",
        "5:1: error: proxy_dns_daemon takes an IPv4 address and a port (write 127.0.0.1:1053)",
      ]
    ),
    (
      "# \(String(repeating: "x", count: 1021))\n# a\0b\n" + list,
      [
        "1:1: error: proxychains cuts a line behind 1022 octets, and takes the rest for another (shorten it)",
        "2:1: error: there is a NUL in this line, where proxychains takes it to end (remove it)",
      ]
    ),
    (
      list + "strict_chain\n",
      ["5:1: error: this is no proxy (write it like socks5 192.0.2.7 1080 user password)"]
    ),
  ])
  func `what is wrong is an error, with what to do about it`(conf: String, expected: [String]) {
    let table = imported(conf)
    #expect(table.messages == expected)
    #expect(table.text == nil)
  }

  @Test func `a byte order mark hides the first line from proxychains, and a remark there hides nothing`() {
    let hidden = imported("\u{feff}strict_chain\r\n" + Self.list)
    #expect(
      hidden.messages == [
        "1:1: warning: proxychains passes over the first line, which begins with a byte order mark"
          + " (save the file without it)"
      ])
    #expect(hidden.text?.contains("mode: dynamic") == true)
    let remark = imported("\u{feff}# mine\r\nstrict_chain\r\n" + Self.list)
    #expect(remark.messages == [])
    #expect(remark.text?.contains("mode: strict") == true)
  }
}
