import Config
import Settings
import Testing

private let readableByAll = "every user of this machine can read this password"

@Suite struct SecretTests {
  /// A table that everyone can read.
  private func warnings(of yaml: String, variables: [String: String] = [:]) -> [String] {
    loader(variables: variables)
      .load(Surroundings.File(bytes: Array(yaml.utf8), isReadableByOthers: true), named: "t.yaml")
      .diagnostics.map(\.description)
  }

  @Test func `a password in a table that others can read is warned of, once`() {
    #expect(
      warnings(
        of: """
          listen: {users: {alice: swordfish, bob: swordfish}}
          upstreams: {a: "socks5://u:swordfish@h:1"}
          default: a
          """) == [
          "t.yaml:1:25: warning: \(readableByAll)"
            + " (chmod o-r this file, or write its crypt(3) hash, which 'openssl passwd -6' makes)"
        ])
    #expect(
      warnings(of: "upstreams: {a: {url: \"socks5://h:1\", username: u, password: swordfish}}\ndefault: a")
        == [
          "t.yaml:1:61: warning: \(readableByAll)"
            + " (chmod o-r this file, or take the password from ${NAME} or 'password_file')"
        ])
  }

  @Test func `a hash, a variable and a name without a password are not warned of`() {
    let yaml = """
      listen: {users: {alice: \(hash6)}}
      upstreams: {a: "socks5://u:${P}@h:1", b: "socks5://u@h:1"}
      default: a
      """
    #expect(warnings(of: yaml, variables: ["P": "swordfish"]) == [])
  }

  @Test func `a password file that others can read is warned of`() {
    let file = Surroundings.File(bytes: Array("swordfish\n".utf8), isReadableByOthers: true)
    let yaml = "upstreams: {a: {url: \"socks5://h:1\", username: u, password_file: p}}\ndefault: a"
    let result = loader(files: ["p": file])
      .load(Surroundings.File(bytes: Array(yaml.utf8)), named: "t.yaml")
    #expect(result.configuration != nil)
    #expect(
      result.diagnostics.map(\.description) == [
        "t.yaml:1:66: warning: every user of this machine can read the password in 'p' (chmod o-r the file)"
      ])
  }

  @Test(arguments: [
    "upstreams: {a: \"socks5://u:swordfish%zz@h:1\"}", "upstreams: {a: \"sock5://u:swordfish@h:1\"}",
    "upstreams: {a: \"u:swordfish@h:1\"}", "upstreams: {a: \"u:swordfish@h://:1\"}",
    "upstreams: {a: \"socks5://u:swordfish@h\"}", "upstreams: {a: \"socks5://u:swordfish@h:1/x\"}",
    "upstreams: {a: \"socks5://u:sword/swordfish@h:1\", b: \"socks5://:swordfish@h:1\"}",
    "upstreams: {a: {url: \"socks5://h:1\", username: u, password: swordfish, password_file: x}}",
    "upstreams: {a: {url: \"socks5://h:1\", password: swordfish}}",
    "upstreams: {a: {url: \"socks5://h:1\", username: u, password: [swordfish]}}",
    "upstreams: {a: \"socks5://u:${P}@h:1:2\"}", "upstreams: {a: \"${P}\"}", "hosts: {a.example: \"${P}\"}",
    "default: \"${P}\"", "routes: {port: \"${P}\", via: direct}", "log: {level: \"${P}\"}",
    "timeouts: {dial: \"${P}\"}", "limits: {connections: \"${P}\"}", "listen: \"${P}\"",
    "listen: {users: {alice: [swordfish]}}", "listen: {users: {alice: {swordfish: x}}}",
    "listen: {users: {alice: $6$swordfish}}", "listen: {users: swordfish}",
  ])
  func `no error repeats a secret`(yaml: String) {
    let messages = diagnostics(of: yaml + "\n", variables: ["P": "swordfish"])
    #expect(!messages.isEmpty)
    #expect(!messages.contains { $0.contains("swordfish") }, "\(messages)")
  }

  @Test func `a configuration does not show its secrets when it is printed`() throws {
    let result = load(fullExample, files: fullExampleFiles, variables: fullExampleVariables)
    let configuration = try #require(result.configuration)
    var dumped = ""
    dump(configuration.listeners, to: &dumped)
    dump(configuration.table.routes, to: &dumped)
    dump(configuration.table.fallback, to: &dumped)
    dumped += "\(configuration.listeners) \(configuration.table.routes) \(configuration.table.fallback)"
    #expect(dumped.contains("alice"))
    for secret in ["p@ss", "correct-horse", "s3cret", "a: b", hash5, hash6] {
      #expect(!dumped.contains(secret))
    }
  }

  @Test func `a users file is checked line by line`() {
    let yaml = "listen: {users: {file: users}}\ndefault: direct"
    let file = "# staff\nalice:\(hash6)\n\nbob\n:\(hash6)\ncarol:swordfish\nalice:\(hash5)\n"
    #expect(
      diagnostics(of: yaml, files: ["users": file]) == [
        "1:17: error: the user 'alice' stands here twice (remove one)",
        "users:4:1: error: this line is not 'name:hash' (write one, or a '#' before a remark)",
        "users:5:1: error: a user name has 1 to 255 octets (choose another)",
        "users:6:1: error: what follows the name is not a crypt(3) hash (make one with 'openssl passwd -6')",
      ])
    for file in ["\u{feff}alice:\(hash6)", "\u{feff}# staff\r\nalice:\(hash6)\r\n"] {
      let users = load(yaml, files: ["users": file]).configuration?.listeners[0].users
      #expect(users?.map(\.name) == [Array("alice".utf8)])
    }
    #expect(
      diagnostics(of: yaml, files: ["users": "alice:\(hash6)\rbob:\(hash6)\r"]) == [
        "1:24: error: there are no users in 'users' (write 'name:hash' lines)",
        "users:1:1: error: what follows the name is not a crypt(3) hash (make one with 'openssl passwd -6')",
      ])
    #expect(
      diagnostics(of: yaml, files: ["users": "# nobody\n"]) == [
        "1:24: error: there are no users in 'users' (write 'name:hash' lines)"
      ])
  }

  @Test(arguments: [
    ("swordfish", "swordfish"), ("swordfish\n", "swordfish"), ("swordfish\r\n", "swordfish"),
    (" a b \n", " a b "), ("\u{feff}swordfish\r\n", "swordfish"), ("a\rb", nil), ("a\u{85}b", nil),
    ("a\u{2028}", nil), ("\0a\0b", nil),
    ("", nil), ("\n", nil), ("a\nb\n", nil), (String(repeating: "x", count: 256), nil),
  ])
  func `a password file holds one line`(content: String, password: String?) {
    let yaml = "upstreams: {a: {url: \"socks5://h:1\", username: u, password_file: p}}\ndefault: a"
    let result = load(yaml, files: ["p": content])
    guard let password else {
      #expect(
        result.diagnostics.map(\.description) == [
          "t.yaml:1:66: error: the file 'p' must hold one line, a password of 1 to 255 octets (write it there)"
        ])
      return
    }
    guard case .chain(let chain)? = result.configuration?.table.fallback else {
      Issue.record("there is no chain: \(result.diagnostics)")
      return
    }
    #expect(chain.hops.first?.credentials?.password == Array(password.utf8))
  }
}
