import Testing

@testable import sockeye

@Suite struct RewriteExplanationTests {
  private static let table = """
    upstreams:
      office: socks5://proxy.office.example:1080
      old: socks4://192.0.2.9:1080
    routes:
      - {name: moved, domain: a.example, command: connect, via: office, rewrite: "b.example:8443"}
      - {domain: near.example, command: connect, via: direct, rewrite: dev.example}
      - {domain: old.example, command: connect, via: old, rewrite: "192.0.2.1"}
      - {domain: older.example, command: connect, via: old, rewrite: "2001:db8::1"}
      - {domain: inside.example, command: connect, via: direct, rewrite: "10.0.0.1"}
      - {name: inner, ip: 10.0.0.0/8, via: reject}
    hosts: {dev.example: 127.0.0.1}
    default: direct
    """

  @Test(arguments: [
    (
      "a.example:443",
      """
      a.example:443  tcp  →  office
        route 'moved'  t.yaml:5   domain a.example, command connect
        rewritten to: b.example:8443
        hop 1  office  socks5://proxy.office.example:1080
        the name is resolved by: office
      """
    ),
    (
      "near.example:80",
      """
      near.example:80  tcp  →  direct
        route  t.yaml:6   domain near.example, command connect
        rewritten to: dev.example:80
        the name is resolved by: hosts (127.0.0.1)
        an address of it may still be refused by: route 'inner'
      """
    ),
    (
      "old.example:80",
      """
      old.example:80  tcp  →  old
        route  t.yaml:7   domain old.example, command connect
        rewritten to: 192.0.2.1:80
        hop 1  old  socks4://192.0.2.9:1080
      """
    ),
    (
      "older.example:80",
      """
      older.example:80  tcp  →  old
        route  t.yaml:8   domain older.example, command connect
        rewritten to: [2001:db8::1]:80
        hop 1  old  socks4://192.0.2.9:1080
        fails: 'old' speaks SOCKS4, which knows no IPv6 addresses
      """
    ),
    (
      "inside.example:80",
      """
      inside.example:80  tcp  →  reject
        route  t.yaml:9   domain inside.example, command connect
        rewritten to: 10.0.0.1:80
        refused, since this address is: route 'inner'  t.yaml:10
      """
    ),
  ])
  func `what is dialled stands beside what was asked for`(destination: String, expected: String) throws {
    #expect(try explained(destination, by: Self.table).text == expected)
  }

  @Test func `as JSON`() throws {
    let moved = try members(of: explained("a.example:443", by: Self.table))
    #expect(moved["command"] as? String == "connect" && moved["outcome"] as? String == "chain")
    #expect(moved["rewritten_to"] as? String == "b.example:8443" && moved["refused_by"] == nil)
    let inside = try members(of: explained("inside.example:80", by: Self.table))
    #expect(inside["outcome"] as? String == "reject" && inside["refused_by"] as? String == "inner")
    #expect(inside["rewritten_to"] as? String == "10.0.0.1:80")
    let other = try members(of: explained("a.example:443", by: Self.table, .bind))
    #expect(other["destination"] as? String == "a.example:443" && other["rewritten_to"] == nil)
  }
}
