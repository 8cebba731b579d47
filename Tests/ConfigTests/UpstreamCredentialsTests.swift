import Testing

@Test(arguments: [
  Case(
    """
    upstreams: {a: "socks5://u:secret%zz@h:1", b: "socks5://:secret@h:1", c: "socks5://secret%4@h:1"}
    default: direct
    """,
    "1:16: error: a '%' in the password is not followed by two hexadecimal digits (write "
      + "%25 for a percent sign)",
    "1:47: error: the user name of SOCKS5 has 1 to 255 octets, the password at most 255 "
      + "(write others)",
    "1:74: error: a '%' in the user name is not followed by two hexadecimal digits "
      + "(write %25 for a percent sign)"),
  Case(
    """
    upstreams: {a: "socks5://\(String(repeating: "u", count: 256))@h:1", b: "socks5://u:\(String(repeating: "p", count: 256))@h:1"}
    default: direct
    """,
    "1:16: error: the user name of SOCKS5 has 1 to 255 octets, the password at most 255 "
      + "(write others)",
    "1:292: error: the user name of SOCKS5 has 1 to 255 octets, the password at most 255 "
      + "(write others)"),
  Case(
    """
    upstreams:
      a: http://\(String(repeating: "u", count: 8192)):\(String(repeating: "p", count: 8192))@h:1
      b: http://\(String(repeating: "u", count: 8193))@h:1
      c: {url: "http://h:1", username: u, password: \(String(repeating: "p", count: 8193))}
    default: direct
    """,
    "3:6: error: the user name of HTTP has 1 to 8192 octets, the password at most 8192 (write others)",
    "4:49: error: expected a password of 1 to 8192 octets (write one, in quotes if it has special characters)"
  ),
  Case(
    """
    upstreams: {a: {url: "socks5://u:p@h:1", username: v, password: q, password_file: f}}
    default: direct
    """,
    "1:42: error: 'username' says again what the URL says (remove one)",
    "1:55: error: 'password' says again what the URL says (remove one)",
    "1:68: error: 'password_file' says again what the URL says (remove one)",
    "1:68: error: there is a 'password' and a 'password_file' (remove one)",
    "1:83: error: the file 'f' cannot be read: No such file or directory (name a file "
      + "that this user can read)"),
  Case(
    """
    upstreams: {a: {url: "socks5://h:1", username: v, password: q, password_file: f}}
    default: direct
    """,
    "1:64: error: there is a 'password' and a 'password_file' (remove one)",
    "1:79: error: the file 'f' cannot be read: No such file or directory (name a file "
      + "that this user can read)"),
  Case(
    """
    upstreams: {a: {url: "socks5://h:1", password: q}}
    default: direct
    """,
    "1:16: error: a password needs a user name (add 'username')"),
  Case(
    """
    upstreams: {a: {url: "socks5://h:1", username: ""}}
    default: direct
    """,
    "1:48: error: expected a user name of 1 to 255 octets (write one, in quotes if it "
      + "has special characters)"),
  Case(
    """
    upstreams: {a: {url: "socks5://h:1", username: v, password: [q]}}
    default: direct
    """,
    "1:61: error: expected a password of 1 to 255 octets (write one, in quotes if it has "
      + "special characters)"),
  Case(
    """
    upstreams: {a: {url: "socks5://h:1", username: v, password_file: nofile}}
    default: direct
    """,
    "1:66: error: the file 'nofile' cannot be read: No such file or directory (name a "
      + "file that this user can read)"),
])
func `what may be the credentials of an upstream`(of: Case) {
  #expect(of.diagnostics == of.expected)
}
