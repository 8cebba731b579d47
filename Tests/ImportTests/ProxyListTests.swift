import Addresses
import Import
import Routing
import Testing

@Suite struct ProxyListTests {
  private func urls(_ table: ImportedTable) -> [String] {
    table.section("upstreams:").compactMap { $0.firstMatch(of: /url: "(.*?)"/).map { String($0.1) } }
  }

  @Test(arguments: [
    ("socks5 192.0.2.1 1080", "socks5://192.0.2.1:1080"),
    ("\tsocks5\t192.0.2.1\t \t01080\talice\tse:cret  ", "socks5://alice:se%3Acret@192.0.2.1:1080"),
    ("socks5 192.0.2.1 1080 alice", "socks5://alice@192.0.2.1:1080"),
    ("socks5 2001:db8::1 1080 a b", "socks5://a:b@[2001:db8::1]:1080"),
    ("socks5 ::ffff:192.0.2.1 1080", "socks5://192.0.2.1:1080"),
    ("socks5 Proxy.Example 1080", "socks5://proxy.example:1080"),
    ("socks4 192.0.2.1 1080", "socks4a://192.0.2.1:1080"),
    ("socks4 192.0.2.1 1080 alice", "socks4a://alice@192.0.2.1:1080"),
    ("http 192.0.2.1 8080 alice secret", "http://alice:secret@192.0.2.1:8080"),
    ("http 192.0.2.1 8080 al:ice secret", "http://al:ice%3Asecret@192.0.2.1:8080"),
    ("http 192.0.2.1 8080 ${HOME} $$\"\\'", "http://%24%7BHOME%7D:%24%24%22%5C%27@192.0.2.1:8080"),
    ("socks5 192.0.2.1 1080 ünï %41", "socks5://%C3%BCn%C3%AF:%2541@192.0.2.1:1080"),
    ("socks5://192.0.2.1:1080", "socks5://192.0.2.1:1080"),
    ("socks4://192.0.2.1:1080", "socks4a://192.0.2.1:1080"),
    ("http://proxy.example:3128/", "http://proxy.example:3128"),
    ("socks5://alice:p@ss:w rd@192.0.2.1:1080", "socks5://alice:p%40ss%3Aw%20rd@192.0.2.1:1080"),
    ("socks5://alice:@192.0.2.1:1080 # mine", "socks5://alice@192.0.2.1:1080"),
    ("socks5://al%41:x@192.0.2.1:1080", "socks5://al%2541:x@192.0.2.1:1080"),
  ])
  func `a proxy`(line: String, url: String) throws {
    let table = imported("strict_chain\nproxy_dns\n[ProxyList]\n\(line)\n")
    #expect(table.messages == [])
    #expect(urls(table) == [url])
    _ = try table.loaded()
  }

  @Test func `user names and passwords of any octets arrive as they are`() throws {
    let octets = (UInt8(1)...255).filter { !(0x09...0x0d).contains($0) && $0 != 0x20 }
    // '#' would be warned of, but arrives as well.
    for octet in octets {
      let line = Array("socks5 192.0.2.1 1080 ".utf8) + [0x61, octet] + Array(" ".utf8) + [octet, octet]
      let table = imported(Array("strict_chain\n[ProxyList]\n".utf8) + line)
      let outcome = try table.loaded().table.fallback
      guard case .chain(let chain) = outcome else {
        Issue.record("\(outcome)")
        continue
      }
      #expect(
        chain.hops.map(\.credentials) == [Credentials(username: [0x61, octet], password: [octet, octet])])
      #expect(try #require(table.text).utf8.allSatisfy { (0x20...0x7e).contains($0) || $0 == 0x0a })
    }
    let longest = String(repeating: "x", count: 255)
    #expect(imported("[ProxyList]\nsocks5 192.0.2.1 1080 \(longest) \(longest)").messages == [])
  }

  @Test func `the order is kept, and a proxy that stands twice is passed twice`() throws {
    let table = imported(
      "strict_chain\n[ProxyList]\nsocks5 192.0.2.2 1\nhttp 192.0.2.1 2\nsocks5 192.0.2.2 1\n")
    #expect(urls(table) == ["socks5://192.0.2.2:1", "http://192.0.2.1:2", "socks5://192.0.2.2:1"])
    guard case .chain(let chain) = try table.loaded().table.fallback else {
      Issue.record("no chain")
      return
    }
    #expect(chain.hops.map(\.endpoint.description) == ["192.0.2.2:1", "192.0.2.1:2", "192.0.2.2:1"])
  }

  @Test(arguments: [
    ("socks5 127.0.0.1 1080", "127.0.0.1:1081"), ("socks5 localhost 1080", "127.0.0.1:1081"),
    ("socks5 ::1 1080\nhttp 127.0.0.1 1081\nsocks5 127.0.0.1 1083", "127.0.0.1:1082"),
    ("socks5 192.0.2.1 1080", "127.0.0.1:1080"),
  ])
  func `the listener is none of the proxies, and on this machine only`(list: String, listener: String) throws
  {
    let listeners = try imported("strict_chain\n[ProxyList]\n\(list)\n").loaded().listeners
    #expect(listeners.map(\.id.address) == [listener])
  }

  @Test func `UDP is served where the proxies may carry it`() throws {
    #expect(try imported("[ProxyList]\nsocks5 192.0.2.1 1080\n").loaded().listeners[0].udp != nil)
    #expect(try imported("[ProxyList]\nsocks4 192.0.2.1 1080\n").loaded().listeners[0].udp == nil)
  }

  @Test func `what is passed over, or not what it looks like, is warned of`() throws {
    let table = imported(
      """
      [ProxyList]
      socks5 192.0.2.1 0 alice hunter2
      socks5 192.0.2.2 1080 # office
      socks5 192.0.2.3 1080 a b c
      socks5 192.0.2.4 1080 a b # c
      socks5 192.0.2.7 1080 a # office
      socks5://192.0.2.5:1080 hunter2
      socks4 192.0.2.6 1080 a hunter2
      """)
    #expect(
      table.messages == [
        "2:1: warning: proxychains passes over a proxy with port 0 (write its port)",
        "3:23: warning: no remark begins here: proxychains takes this for the user name, and what follows for the"
          + " password (write remarks on lines of their own)",
        "4:27: warning: proxychains passes over what stands here (remove it)",
        "6:25: warning: no remark begins here: proxychains takes this for the password"
          + " (write remarks on lines of their own)",
        "6:27: warning: proxychains passes over what stands here (remove it)",
        "7:1: warning: proxychains passes over what stands behind the URL (remove it)",
      ])
    #expect(
      urls(table) == [
        "socks5://%23:office@192.0.2.2:1080", "socks5://a:b@192.0.2.3:1080", "socks5://a:b@192.0.2.4:1080",
        "socks5://a:%23@192.0.2.7:1080", "socks5://192.0.2.5:1080", "socks4a://a@192.0.2.6:1080",
      ])
    #expect(table.lines.contains("# Line 8: without its password, which SOCKS4 has no place for."))
    #expect(try !#require(table.text).contains("hunter2"))
  }

  private static let example = "(write it like socks5 192.0.2.7 1080 user password)"

  @Test(arguments: [
    ("socks5", "4:1: error: this is no proxy \(example)"),
    ("socks5 192.0.2.1", "4:1: error: this is no proxy \(example)"),
    ("socks5 192.0.2.1 port", "4:1: error: this is no proxy \(example)"),
    ("socks5 192.0.2.1 65536", "4:18: error: this is not a port (write one from 1 to 65535)"),
    ("socks5 192.0.2.1 -1", "4:18: error: this is not a port (write one from 1 to 65535)"),
    ("socks5 192.0.2.1 1080x", "4:18: error: this is not a port (write one from 1 to 65535)"),
    (
      "socks5h 192.0.2.1 1",
      "4:1: error: this is no type of proxy (write socks5, to which names travel with proxy_dns)"
    ),
    (
      "socks4a 192.0.2.1 1",
      "4:1: error: this is no type of proxy (write socks4, to which names travel with proxy_dns)"
    ),
    (" SOCKS5 192.0.2.1 1", "4:2: error: this is no type of proxy (did you mean 'socks5'?)"),
    ("sock5 192.0.2.1 1", "4:1: error: this is no type of proxy (did you mean 'socks5'?)"),
    ("hunter2 192.0.2.1 1", "4:1: error: this is no type of proxy (write socks5, socks4 or http)"),
    (
      "https 192.0.2.1 1",
      "4:1: error: this is no type of proxy"
        + " (proxychains speaks no TLS: write http, if the proxy takes it without)"
    ),
    (
      "socks5 192.0.2.1:1",
      "4:1: error: this is no proxy (write a blank before the port, as in socks5 192.0.2.7 1080)"
    ),
    (
      "raw 192.0.2.1 1",
      "4:1: error: 'raw' hands a connection to one place without a word, which no hop of a table does"
        + " (remove it; a route with 'rewrite' leads connections to one place)"
    ),
    ("socks5 192.0.2.256 1", "4:8: error: this is neither an address nor a name \(example)"),
    ("socks5 [::1] 1", "4:8: error: this is neither an address nor a name \(example)"),
    ("socks5 0.0.0.0 1", "4:8: error: this is not the address of a proxy (write the one it listens on)"),
    ("socks5://192.0.2.1", "4:1: error: the URL has no port (write it behind the host)"),
    ("socks5://192.0.2.1:0", "4:1: error: this is not a port (write one from 1 to 65535)"),
    (
      "socks5://192.0.2.1:x",
      "4:1: error: the URL does not end with a port (write an IPv6 address in words: socks5 ::1 1080)"
    ),
    (
      "socks5://[::1]:1080",
      "4:1: error: the URL does not end with a port (write an IPv6 address in words: socks5 ::1 1080)"
    ),
    ("socks5://alice@192.0.2.1:1", "4:1: error: a user name and a colon stand before the '@' \(example)"),
    ("socks5://:hunter2@192.0.2.1:1", "4:1: error: a user name and a colon stand before the '@' \(example)"),
    (
      "socks4://a:hunter2@192.0.2.1:1",
      "4:1: error: proxychains takes no user name in the URL of a socks4 proxy (write it in words)"
    ),
    (
      "https://a:hunter2@192.0.2.1:1",
      "4:1: error: this is no type of proxy"
        + " (proxychains speaks no TLS: write http, if the proxy takes it without)"
    ),
    ("socks5://", "4:1: error: the URL has no port (write it behind the host)"),
    (
      "http 192.0.2.1 1 :a b",
      "4:1: error: a user name for an HTTP proxy does not begin with a colon (write another)"
    ),
    (
      "socks5 192.0.2.1 1 \(String(repeating: "x", count: 256))",
      "4:1: error: a user name and a password have at most 255 octets each (write shorter ones)"
    ),
  ])
  func `a line that is no proxy is an error that repeats no password`(line: String, message: String) {
    let table = imported("strict_chain\nproxy_dns\n[ProxyList]\n\(line)\nsocks5 192.0.2.1 1080\n")
    #expect(table.messages == [message])
    #expect(table.text == nil)
  }

  @Test func `a list that no table can say is an error`() {
    #expect(
      imported("strict_chain\n[ProxyList]\nsocks4 192.0.2.1 1\nsocks5 2001:db8::1 1\n").messages == [
        "2:1: error: no table can say this: 'proxy1' speaks SOCKS4 and cannot connect to the IPv6 address of 'proxy2'"
          + " (write an IPv4 address, or put a socks5 proxy before it)"
      ])
    let many = (1...33).map { "socks5 192.0.2.\($0) 1\n" }.joined()
    #expect(
      imported("strict_chain\n[ProxyList]\n\(many)").messages == [
        "2:1: error: no table can say this: a chain has at most 32 hops (remove some)"
      ])
    #expect(imported("random_chain\nchain_len = 32\n[ProxyList]\n\(many)").messages == [])
  }

  @Test func `no more proxies are taken than proxychains takes`() throws {
    let list = (0..<514).map { "socks5 10.0.\($0 / 250).\($0 % 250) 1080\n" }.joined()
    let table = imported("random_chain\nchain_len = 2\n[ProxyList]\n\(list)")
    #expect(urls(table).count == 512)
    #expect(
      table.messages
        == [516, 517].map {
          "\($0):1: warning: proxychains passes over what stands behind 512 proxies (remove some)"
        })
    _ = try table.loaded()
  }
}
