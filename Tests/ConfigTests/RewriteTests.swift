import Testing

private let takesMore =
  "error: 'rewrite' changes what CONNECT dials, and this route takes UDP or BIND too"
  + " (add 'command: connect')"

private let form = "a host and a port, or one of the two"
private let advice = "(write it like db.example:5432, db.example or 5432)"

@Suite struct RewriteTests {
  @Test(
    arguments: [
      Case(
        """
        upstreams: {a: "socks5://h:1"}
        routes:
        - {port: 1, command: connect, via: direct, rewrite: "b.example:5432"}
        - {port: 2, command: [connect], via: a, rewrite: b.example}
        - {port: 3, command: connect, via: [a], rewrite: 5432}
        - {port: 4, command: connect, via: direct, rewrite: "[2001:db8::1]:80"}
        - {port: 5, command: connect, via: direct, rewrite: "2001:db8::1"}
        - {port: 6, command: connect, via: direct, rewrite: 192.0.2.1}
        - {port: 7, all: [{network: tcp}, {not: {command: bind}}], via: direct, rewrite: "${D}"}
        default: direct
        """),
      Case(
        """
        upstreams: {a: "socks5://h:1"}
        routes:
        - {port: 1, via: direct, rewrite: b.example}
        - {port: 2, network: tcp, via: a, rewrite: b.example}
        - {port: 3, command: [connect, bind], via: a, rewrite: b.example}
        - {port: 4, command: udp, via: a, rewrite: b.example}
        - {port: 5, any: [{command: connect}, {port: 5}], via: a, rewrite: b.example}
        - {via: a, rewrite: b.example}
        default: direct
        """,
        "3:26: \(takesMore)", "4:35: \(takesMore)", "5:47: \(takesMore)", "6:35: \(takesMore)",
        "7:59: \(takesMore)", "8:12: \(takesMore)"),
      Case(
        """
        routes:
        - {port: 1, command: connect, via: reject, rewrite: b.example}
        - {port: 2, via: drop, rewrite: b.example}
        default: direct
        """,
        "2:44: error: 'rewrite' is for what is dialled, and 'reject' dials nothing (remove it)",
        "3:24: error: 'rewrite' is for what is dialled, and 'drop' dials nothing (remove it)"),
      Case(
        """
        routes:
        - {command: connect, via: direct, rewrite: "b.example:0"}
        - {command: connect, via: direct, rewrite: 0}
        - {command: connect, via: direct, rewrite: 65536}
        - {command: connect, via: direct, rewrite: "b.example:http"}
        - {command: connect, via: direct, rewrite: "http://b.example"}
        - {command: connect, via: direct, rewrite: }
        - {command: connect, via: direct, rewrite: [b.example]}
        - {command: connect, via: direct, rewrite: {host: b.example}}
        - {command: connect, via: direct, rewrite: "[10.0.0.1]"}
        - {command: connect, via: direct, rewrite: ":80"}
        default: direct
        """,
        "2:44: error: 'b.example:0' is not \(form) \(advice)", "3:44: error: '0' is not \(form) \(advice)",
        "4:44: error: '65536' is not \(form) \(advice)",
        "5:44: error: 'b.example:http' is not \(form) \(advice)",
        "6:44: error: 'http://b.example' is not \(form) \(advice)",
        "7:44: error: expected \(form), and there is nothing \(advice)",
        "8:44: error: expected \(form), not a list \(advice)",
        "9:44: error: expected \(form), not a map \(advice)",
        "10:44: error: '[10.0.0.1]' is not \(form) \(advice)",
        "11:44: error: ':80' is not \(form) \(advice)"),
      Case(
        """
        routes:
        - {command: connect, via: direct, rewrite: "0.0.0.0:80"}
        - {command: connect, via: direct, rewrite: "ff02::1"}
        default: direct
        """,
        "2:44: error: '0.0.0.0:80' is the address of no host (write the one to dial)",
        "3:44: error: 'ff02::1' is the address of no host (write the one to dial)"),
    ])
  func `a rewriting is read, or refused with what to write`(table: Case) {
    #expect(table.diagnostics == table.expected)
  }

  @Test func `the tests of a table see what a rewritten address comes to`() {
    #expect(
      diagnostics(
        of: """
          routes:
          - {domain: a.example, command: connect, via: direct, rewrite: 10.0.0.1}
          - {ip: 10.0.0.0/8, via: reject}
          default: direct
          tests:
          - {to: "a.example:80", expect: reject}
          - {to: "a.example:80", command: bind, expect: direct}
          """) == [])
  }
}
