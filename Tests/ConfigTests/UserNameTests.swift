import Config
import Testing

/// `user` of routes and tests, and `host` patterns that look like addresses: what can never hold is told.
@Suite struct UserNameTests {
  private static let listen = "listen: [{address: 127.0.0.1:1, users: {alice: x, bob: y}}, 127.0.0.1:2]\n"
  private static let rest = "default: direct\n"

  @Test(arguments: [
    (
      "routes: [{user: alcie, via: reject}]\n",
      "2:17: error: no listener has a user 'alcie' (did you mean 'alice'?)"
    ),
    (
      "routes: [{not: {user: [bob, carol]}, via: reject}]\n",
      "2:29: error: no listener has a user 'carol' (add the name to the 'users' of a listener)"
    ),
    (
      "tests: [{to: \"a:1\", user: Alice, expect: direct}]\n",
      "2:27: error: no listener has a user 'Alice' (did you mean 'alice'?)"
    ),
  ])
  func `a user that no listener has is an error`(part: String, message: String) {
    #expect(diagnostics(of: Self.listen + part + Self.rest) == [message])
  }

  @Test func `users of a file, and of any listener, are known`() {
    let listen = "listen: [{users: {file: users}}, {address: 127.0.0.1:2, users: {bob: x}}]\n"
    let routes = "routes: [{user: [alice, bob], via: reject}]\n"
    #expect(diagnostics(of: listen + routes + Self.rest, files: ["users": "alice:\(hash6)\n"]) == [])
  }

  @Test func `where any name is taken, any name may be written`() {
    let listen = "listen: [{users: {alice: x}}, {address: 127.0.0.1:2, auth: optional}]\n"
    #expect(diagnostics(of: listen + "routes: [{user: nobody, via: reject}]\n" + Self.rest) == [])
  }

  @Test func `where no listener asks for names, a user is warned of once`() {
    let routes = "routes: [{user: alice, via: reject}, {user: bob, via: reject}]\n"
    #expect(
      diagnostics(of: routes + Self.rest) == [
        "1:17: warning: no listener asks for user names, so that 'user' never holds"
          + " (give one 'users' or 'auth: optional', or remove this)"
      ])
  }

  @Test func `users that could not be read make no further errors`() {
    let listen = "listen: [{users: {file: nowhere}}]\n"
    let messages = diagnostics(of: listen + "routes: [{user: alice, via: reject}]\n" + Self.rest)
    #expect(messages.count == 1 && messages[0].hasPrefix("1:25: error: the file 'nowhere'"), "\(messages)")
  }

  @Test(arguments: [
    ("192.168.*", "192.168.0.0/16"), ("10.*", "10.0.0.0/8"), ("172.16.5.*.x", "172.16.5.0/24"),
    ("169.254.*", "169.254.0.0/16"), ("127.*", "127.0.0.0/8"), ("100.64.*", "100.64.0.0/16"),
    ("8.8.*", "8.8.0.0/16"), ("10.*.example", "10.0.0.0/8"), ("/^192\\.168\\./", "192.168.0.0/16"),
    ("/10\\.0\\.\\d+/", "10.0.0.0/16"),
  ])
  func `a pattern that looks like addresses is warned of`(pattern: String, prefix: String) {
    let yaml = "routes: [{host: '\(pattern)', via: reject}]\n" + Self.rest
    #expect(
      diagnostics(of: yaml) == [
        "1:17: warning: '\(pattern)' looks like addresses, and 'host' patterns match names only"
          + " (write 'ip: \(prefix)' for these)"
      ])
  }

  @Test(arguments: [
    "1*.example.com", "*.10.example", "8.8.example.*", "www.*", "/^a/", "10.example.com", "*",
  ])
  func `a pattern for names is not`(pattern: String) {
    #expect(diagnostics(of: "routes: [{host: '\(pattern)', via: reject}]\n" + Self.rest) == [])
  }
}
