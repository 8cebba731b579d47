import Addresses
import Import
import Routing
import Testing

/// `localnet` and `dnat`.
@Suite struct AddressTests {
  private static let list = "[ProxyList]\nsocks5 198.51.100.1 1080\n"

  private func routes(_ table: ImportedTable) -> [String] { table.lines.filter { $0.hasPrefix("  - {") } }

  @Test(arguments: [
    ("192.168.1.0/255.255.255.0", "ip: \"192.168.1.0/24\""),
    ("192.168.1.7:80/255.255.255.0", "ip: \"192.168.1.0/24\", port: 80"),
    ("10.1.2.3/8", "ip: \"10.0.0.0/8\""), ("10.1.2.3:0/32", "ip: \"10.1.2.3/32\""),
    ("0.0.0.0:80/0.0.0.0", "ip: \"0.0.0.0/0\", port: 80"), ("::1/128", "ip: \"::1/128\""),
    ("[::]:80/0", "ip: \"::/0\", port: 80"), ("[fe80::1]/10", "ip: \"fe80::/10\""),
    ("2001:DB8::/32", "ip: \"2001:db8::/32\""), ("128.0.0.0/128.0.0.0", "ip: \"128.0.0.0/1\""),
  ])
  func `a localnet is a route past all proxies`(localnet: String, condition: String) throws {
    let table = imported("localnet \(localnet)\n" + Self.list)
    #expect(table.messages == [])
    #expect(routes(table) == ["  - {\(condition), via: direct}  # line 1"])
    _ = try table.loaded()
  }

  @Test(arguments: [
    ("localnet", "1:1: error: this is no localnet (write it like localnet 10.0.0.0/255.0.0.0)"),
    ("localnet 10.0.0.0 /8", "1:1: error: this is no localnet (write it like localnet 10.0.0.0/255.0.0.0)"),
    ("localnet 10.0.0.0", "1:10: error: '10.0.0.0' has no netmask (write it like 10.0.0.0/255.0.0.0)"),
    (
      "localnet 10.0.0.0/8/8", "1:10: error: '10.0.0.0/8/8' has no netmask (write it like 10.0.0.0/255.0.0.0)"
    ),
    (
      "localnet 10.0.0/8",
      "1:10: error: '10.0.0/8' does not begin with an address (write it like 10.0.0.0/255.0.0.0)"
    ),
    (
      "localnet corp/8",
      "1:10: error: 'corp/8' does not begin with an address (write it like 10.0.0.0/255.0.0.0)"
    ),
    (
      "localnet 10.0.0.0:x/8",
      "1:10: error: '10.0.0.0:x/8' has something else than a port behind its colon (write one)"
    ),
    (
      "localnet 10.0.0.0:65536/8",
      "1:10: error: '10.0.0.0:65536/8' has something else than a port behind its colon (write one)"
    ),
    (
      "localnet [10.0.0.0]/8",
      "1:10: error: '[10.0.0.0]/8' has no IPv6 address in its brackets (write it like [fe80::]:80/10)"
    ),
    (
      "localnet [::1]80/8",
      "1:10: error: '[::1]80/8' has no IPv6 address in its brackets (write it like [fe80::]:80/10)"
    ),
    (
      "localnet [::1/8",
      "1:10: error: '[::1/8' does not begin with an address (write it like 10.0.0.0/255.0.0.0)"
    ),
    (
      "localnet 10.0.0.0/33",
      "1:10: error: '10.0.0.0/33' has no netmask (write one like 255.255.255.0, or a length up to 32)"
    ),
    (
      "localnet ::/129",
      "1:10: error: '::/129' has no netmask (write one like 255.255.255.0, or a length up to 128)"
    ),
    (
      "localnet ::/255.0.0.0",
      "1:10: error: '::/255.0.0.0' has no netmask (write one like 255.255.255.0, or a length up to 128)"
    ),
    (
      "localnet 10.0.0.0/",
      "1:10: error: '10.0.0.0/' has no netmask (write one like 255.255.255.0, or a length up to 32)"
    ),
    (
      "localnet 10.0.0.0/255.0.255.0",
      "1:10: error: the netmask of '10.0.0.0/255.0.255.0' has gaps, which no prefix has (write one like 255.255.255.0)"
    ),
    (
      "localnet 10.0.0.0/0.0.0.255",
      "1:10: error: the netmask of '10.0.0.0/0.0.0.255' has gaps, which no prefix has (write one like 255.255.255.0)"
    ),
    (
      "localnet 0.0.0.0/0",
      "1:10: error: what proxychains makes of '/0' depends on the machine, and mostly it is '/32' (write /0.0.0.0 for all addresses)"
    ),
    (
      "dnat 192.0.2.1",
      "1:1: error: dnat takes two addresses (write it like dnat 192.0.2.1:80 192.0.2.2:8080)"
    ),
    (
      "dnat site.example 192.0.2.1",
      "1:6: error: 'site.example' does not begin with an IPv4 address (write it like 192.0.2.1:80)"
    ),
    (
      "dnat 192.0.2.1 ::1",
      "1:16: error: '::1' does not begin with an IPv4 address (write it like 192.0.2.1:80)"
    ),
    (
      "dnat 192.0.2.1: 192.0.2.2",
      "1:6: error: '192.0.2.1:' has something else than a port behind its colon (write one)"
    ),
    (
      "dnat 192.0.2.1:http 192.0.2.2",
      "1:6: error: '192.0.2.1:http' has something else than a port behind its colon (write one)"
    ),
    (
      "dnat 192.0.2.1 192.0.2.2:65536",
      "1:16: error: '192.0.2.2:65536' has something else than a port behind its colon (write one)"
    ),
    ("dnat 192.0.2.1 0.0.0.0", "1:16: error: '0.0.0.0' is the address of no host (write one)"),
  ])
  func `an address that is none is an error`(line: String, message: String) {
    let table = imported(line + "\n" + Self.list)
    #expect(table.messages == [message])
    #expect(table.text == nil)
  }

  @Test func `IPv4 in the form of IPv6 is no localnet, since proxychains never finds it`() throws {
    let table = imported("localnet ::ffff:10.0.0.0/104\n" + Self.list)
    #expect(
      table.messages == [
        "1:1: warning: proxychains passes over a localnet of IPv4 addresses in the form of IPv6 (write them as IPv4)"
      ])
    #expect(try table.loaded().table.routes.isEmpty)
  }

  /// What proxychains-ng 4.16 connects to, and how, seen from the outside.
  @Test(
    arguments: [
      // One with a port goes before one without, wherever it stands.
      ("192.0.2.1:80", "chain", "192.0.2.2:8080"), ("192.0.2.1:81", "chain", "192.0.2.3:81"),
      ("192.0.2.1:82", "chain", "192.0.2.2:82"),
      // A redirection into a localnet redirects nothing.
      ("192.0.2.4:80", "direct", nil), ("192.0.2.5:22", "direct", nil),
      ("192.0.2.5:23", "chain", "10.9.0.1:23"),
      ("192.0.2.6:22", "chain", "10.9.0.1:23"), ("192.0.2.6:23", "chain", "10.9.0.1:23"),
      // A localnet that is redirected is none.
      ("10.0.0.7:80", "chain", "192.0.2.2:80"),
      ("10.0.0.8:80", "direct", nil), ("10.9.0.1:22", "direct", nil), ("10.9.0.1:23", "chain", nil),
      ("[2001:db8::1]:80", "chain", nil), ("10.0.0.8.example:80", "chain", nil),
    ] as [(String, String, String?)])
  func `dnat comes first, with a port before without, and then localnet`(
    destination: String, way: String, rewritten: String?
  ) throws {
    let configuration = try imported(
      """
      localnet 10.0.0.0/255.255.255.0
      localnet 10.9.0.0:22/16
      dnat 192.0.2.1 192.0.2.3:81
      dnat 192.0.2.1:82 192.0.2.2
      dnat 192.0.2.1:80 192.0.2.2:8080
      dnat 192.0.2.4 10.0.0.1
      dnat 192.0.2.5 10.9.0.1
      dnat 192.0.2.6 10.9.0.1:23
      dnat 10.0.0.7 192.0.2.2

      """ + Self.list
    ).loaded()
    let verdict = configuration.table.verdict(for: Request(to: try #require(Endpoint(destination))))
    #expect(verdict.outcome.description == way)
    #expect(verdict.rewritten?.description == rewritten)
    // It redirects TCP, and so does the table.
    let datagram = configuration.table.verdict(for: Request(.udp, to: try #require(Endpoint(destination))))
    #expect(datagram.rewritten == nil)
  }

  @Test func `of two redirections of the same the first holds`() throws {
    let table = imported("dnat 192.0.2.1 192.0.2.2\ndnat 192.0.2.1:0 192.0.2.3 # no\n" + Self.list)
    #expect(
      table.messages == [
        "2:1: warning: proxychains passes over a dnat of the same address and port as in line 1 (remove one)"
      ])
    #expect(
      routes(table) == ["  - {ip: 192.0.2.1, command: connect, via: chain, rewrite: 192.0.2.2}  # line 1"])
  }

  @Test func `no more are taken than proxychains takes`() throws {
    let lines = (0..<65).map { "localnet 10.0.\($0).0/24\ndnat 192.0.2.\($0) 198.51.100.\($0 + 1)\n" }
    let table = imported(lines.joined() + Self.list)
    #expect(
      table.messages == [
        "129:1: warning: proxychains passes over a localnet behind the 64th (remove some)",
        "130:1: warning: proxychains passes over a dnat behind the 64th (remove some)",
      ])
    #expect(routes(table).count == 128)
  }
}
