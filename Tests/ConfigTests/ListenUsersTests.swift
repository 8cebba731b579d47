import Testing

@Test(arguments: [
  Case(
    """
    listen: {auth: required}
    default: direct
    """,
    "1:16: error: 'auth: required' needs somebody who may pass (add 'users')"),
  Case(
    """
    listen: {auth: optional, users: {a: b}}
    default: direct
    """,
    "1:16: error: with 'auth: optional' nobody's password is checked (remove 'auth', or "
      + "remove 'users')"),
  Case(
    """
    listen: {auth: none, users: {a: b}}
    default: direct
    """,
    "1:16: error: with 'auth: none' nobody's password is checked (remove 'auth', or "
      + "remove 'users')"),
  Case(
    """
    listen: {auth: requird}
    default: direct
    """,
    "1:16: error: 'requird' is not 'required', 'optional' or 'none' (did you mean "
      + "'required'?)"),
  Case(
    """
    listen: {users: {}}
    default: direct
    """,
    "1:17: error: there are no users (write it like {alice: correct-horse})"),
  Case(
    """
    listen: {users: alice}
    default: direct
    """,
    "1:17: error: expected a map from user names to passwords (write it like "
      + "{alice: correct-horse})"),
  Case(
    """
    listen: {users: {alice: }}
    default: direct
    """,
    "1:25: error: expected a password of 1 to 255 octets, or its crypt(3) hash (write it "
      + "like correct-horse)"),
  Case(
    """
    listen: {users: {alice: [x]}}
    default: direct
    """,
    "1:25: error: expected a password of 1 to 255 octets, or its crypt(3) hash (write it "
      + "like correct-horse)"),
  Case(
    """
    listen: {users: {"": x}}
    default: direct
    """,
    "1:18: error: a user name has 1 to 255 octets (choose another)"),
  Case(
    """
    listen: {users: {alice: $6$cut$short}}
    default: direct
    """,
    "1:25: error: this hash is cut short or of no method that is known here (make one "
      + "with 'openssl passwd -6')"),
  Case(
    """
    listen: {users: {file: nofile}}
    default: direct
    """,
    "1:24: error: the file 'nofile' cannot be read: No such file or directory (name a "
      + "file that this user can read)"),
])
func `what may stand under 'users' and 'auth' of a listener`(of: Case) {
  #expect(of.diagnostics == of.expected)
}
