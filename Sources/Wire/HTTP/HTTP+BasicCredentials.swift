extension HTTP {
  /// A name and a password as Basic authentication has them (RFC 7617 §2): octets, 0 to 8192 of each, and no colon in the
  /// name. However it is printed, the password does not show.
  package struct BasicCredentials: Hashable, Sendable {
    package let username: [UInt8]
    package let password: [UInt8]

    /// `nil` when a length is out of bounds, or the name holds a colon.
    package init?(username: [UInt8], password: [UInt8]) {
      guard username.count <= Self.longest, password.count <= Self.longest,
        !username.contains(UInt8(ascii: ":"))
      else { return nil }
      self.username = username
      self.password = password
    }

    /// Of a name, and of a password, in octets.
    private static let longest = 8192

    /// Reads the value of a client's Proxy-Authorization field; `nil` when it is of another scheme, or broken, or has a
    /// name or a password of more than 255 octets, as no user has.
    init?(field: ArraySlice<UInt8>) {
      let words = field.words
      guard words.count == 2, words[0].map(\.lowercased) == Array("basic".utf8),
        let pair = Base64.decode(words[1]), let colon = pair.firstIndex(of: UInt8(ascii: ":"))
      else { return nil }
      let (username, password) = (pair[..<colon], pair[(colon + 1)...])
      guard username.count <= 255, password.count <= 255 else { return nil }
      self.init(username: Array(username), password: Array(password))
    }

    func append(to output: inout [UInt8]) {
      output.append(contentsOf: "Basic ".utf8)
      output.append(contentsOf: Base64.encode(username + [UInt8(ascii: ":")] + password))
    }
  }
}

extension HTTP.BasicCredentials: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  package var description: String { "user \(String(decoding: username, as: UTF8.self).debugDescription)" }
  package var debugDescription: String { description }
  package var customMirror: Mirror { Mirror(self, children: ["username": description]) }
}
