import Passwords
import Settings

/// `users:` of a listener, and the file that it may name.
extension TableReader {
  private static let passwordForm = Form(
    "a password of 1 to 255 octets, or its crypt(3) hash", "correct-horse")

  func readUsers(_ node: Node) -> [User] {
    guard !node.isBroken else { return [] }
    let advice = "(write it like {alice: correct-horse})"
    guard node.kind == .mapping else {
      // It may be a password in the wrong place.
      error(node, "expected a map from user names to passwords \(advice)")
      return []
    }
    let entries = namedEntries(node, Form("a map from user names to passwords", "{alice: correct-horse}"))
    if entries.isEmpty { error(node, "there are no users \(advice)") }
    var users: [User] = []
    for (name, key, value) in entries {
      if name == "file" {
        users += readUsersFile(value)
      } else if let user = readUser(name, key, value) {
        users.append(user)
      }
    }
    refuseSecondUsers(users, node)
    return users
  }

  private func readUser(_ name: String, _ key: Node, _ value: Node) -> User? {
    guard (1...255).contains(key.bytes.count) else {
      error(key, "a user name has 1 to 255 octets (choose another)")
      return nil
    }
    guard !value.isBroken else { return nil }
    // The value may be a password with a slip in it: no message repeats it.
    guard value.kind == .scalar, !value.isNull, (1...255).contains(value.bytes.count) else {
      error(value, "expected \(Self.passwordForm.name) \(Self.passwordForm.advice)")
      return nil
    }
    if Self.looksLikeHash(value.text) {
      guard PasswordHash(value.text) != nil else {
        error(
          value,
          "this hash is cut short or of no method that is known here (make one with 'openssl passwd -6')")
        return nil
      }
      return User(name: Array(key.bytes), secret: .hash(value.text))
    }
    holdsSecret(value, alternative: "write its crypt(3) hash, which 'openssl passwd -6' makes")
    return User(name: Array(key.bytes), secret: .password(Array(value.bytes)))
  }

  /// `name:hash` a line; blank lines and those that start with `#` say nothing.
  private func readUsersFile(_ node: Node) -> [User] {
    guard let name = text(node, Form("a path", "/etc/sockeye/users")) else { return [] }
    let path = path(of: name)
    guard let content = contents(of: node, path: path) else { return [] }

    var users: [User] = []
    var rest = content.bytes[...]
    var number = 0
    // Not split at once: a file may have sixty million empty lines.
    while !rest.isEmpty {
      let line = rest.prefix { $0 != UInt8(ascii: "\n") }
      rest = rest[line.endIndex...].dropFirst()
      number += 1
      do throws(UserLineViolation) {
        if let user = try Self.user(in: line) { users.append(user) }
      } catch {
        let position = Position(line: number, column: 1)
        log.append(Diagnostic(severity: .error, file: path, position: position, message: error.message))
      }
    }
    if users.isEmpty { error(node, "there are no users in \(quoted(path)) (write 'name:hash' lines)") }
    return users
  }

  private struct UserLineViolation: Error {
    var message: String
  }

  private static func user(in line: ArraySlice<UInt8>) throws(UserLineViolation) -> User? {
    let line = line.last == UInt8(ascii: "\r") ? line.dropLast() : line
    guard let first = line.first, first != UInt8(ascii: "#") else { return nil }
    guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else {
      throw UserLineViolation(message: "this line is not 'name:hash' (write one, or a '#' before a remark)")
    }
    let name = line[..<colon]
    guard (1...255).contains(name.count) else {
      throw UserLineViolation(message: "a user name has 1 to 255 octets (choose another)")
    }
    let hash = String(decoding: line[(colon + 1)...], as: UTF8.self)
    guard PasswordHash(hash) != nil else {
      throw UserLineViolation(
        message: "what follows the name is not a crypt(3) hash (make one with 'openssl passwd -6')")
    }
    return User(name: Array(name), secret: .hash(hash))
  }

  private func refuseSecondUsers(_ users: [User], _ node: Node) {
    var seen: Set<[UInt8]> = []
    for user in users where !seen.insert(user.name).inserted {
      let name = String(decoding: user.name, as: UTF8.self)
      error(node, "the user \(quoted(name)) stands here twice (remove one)")
    }
  }

  /// Whether a text is meant as a hash: `$`, the name of a method, `$`.
  private static func looksLikeHash(_ text: String) -> Bool {
    let parts = text.split(separator: "$", maxSplits: 2, omittingEmptySubsequences: false)
    let methods: Set<Substring> = [
      "1", "2a", "2b", "2x", "2y", "5", "6", "7", "y", "gy", "md5", "sha1", "sm3",
    ]
    return parts.count == 3 && parts[0].isEmpty && methods.contains(parts[1])
  }
}
