import Addresses

extension HTTP {
  /// What the client wants: a request line, and of the fields behind it those that matter to a tunnel.
  ///
  ///     CONNECT host:port HTTP/1.1
  ///     Host: host:port
  ///     Proxy-Authorization: Basic dXNlcjpwYXNzd29yZA==
  ///
  /// A method, a target and a version that cannot be served are data: the reader answers them. Host is written and not
  /// looked at, since the target says the same; nor are the fields that announce a content, which a CONNECT has not.
  /// Empty lines before the request line are skipped.
  package struct Request: Message {
    package let method: Method
    /// Visible octets.
    package let target: String
    package let version: Version
    /// `nil` also if what the client sent is not Basic authentication, or longer than any user's.
    package let credentials: BasicCredentials?
    /// Field lines that are written behind the others. They are not read: in a parsed request there are none.
    private let fields: [Field]

    /// A request to a proxy.
    package init(
      connectingTo destination: Endpoint, credentials: BasicCredentials? = nil, fields: [Field] = []
    ) {
      method = .connect
      target = destination.description
      version = Version(major: 1, minor: 1)
      self.credentials = credentials
      self.fields = fields
    }

    package init?(parsing input: inout ByteReader) throws(HTTP.Violation) {
      var rest = input
      guard let head = try Head(parsing: &rest) else { return nil }
      guard let line = head.lines.first else { throw .malformed }
      guard line.count <= Self.longestLine else { throw .tooLong }
      let words = line.words
      guard words.count == 3, words[0].allSatisfy(\.isTokenOctet),
        words[1].allSatisfy({ (0x21...0x7e).contains($0) }), let version = Version(words[2])
      else { throw .malformed }
      let authorizations = try head.fields().filter { $0.isNamed("proxy-authorization") }
      guard authorizations.count <= 1 else { throw .malformed }
      method = Method(rawValue: String(decoding: words[0], as: UTF8.self))
      target = String(decoding: words[1], as: UTF8.self)
      self.version = version
      credentials = authorizations.first.flatMap { BasicCredentials(field: $0.value[...]) }
      fields = []
      input = rest
    }

    package func append(to output: inout [UInt8]) {
      output.append(contentsOf: "\(method.rawValue) \(target) \(version)\r\nHost: \(target)\r\n".utf8)
      if let credentials {
        output.append(contentsOf: "Proxy-Authorization: ".utf8)
        credentials.append(to: &output)
        output.append(contentsOf: "\r\n".utf8)
      }
      for field in fields { output.append(contentsOf: "\(field.name): \(field.value)\r\n".utf8) }
      output.append(contentsOf: "\r\n".utf8)
    }

    /// The target, if it is a host and a port (RFC 9112 §3.2.3). A name or an address obeys the rules of every name.
    package var destination: Endpoint? { Endpoint(target) }

    /// No destination comes near.
    private static let longestLine = 4096
  }

  package struct Method: RawRepresentable, Hashable, Sendable {
    package let rawValue: String

    package init(rawValue: String) {
      self.rawValue = rawValue
    }

    package static let connect = Method(rawValue: "CONNECT")
    package static let head = Method(rawValue: "HEAD")
  }

  /// RFC 9112 §2.3.
  package struct Version: Hashable, Sendable {
    package let major: UInt8
    package let minor: UInt8

    init(major: UInt8, minor: UInt8) {
      self.major = major
      self.minor = minor
    }

    init?(_ text: ArraySlice<UInt8>) {
      let prefix = Array("HTTP/".utf8)
      guard text.starts(with: prefix) else { return nil }
      let number = Array(text.dropFirst(prefix.count))
      guard number.count == 3, let major = number[0].digit, number[1] == UInt8(ascii: "."),
        let minor = number[2].digit
      else { return nil }
      self.init(major: major, minor: minor)
    }
  }
}

extension HTTP.Version: CustomStringConvertible {
  package var description: String { "HTTP/\(major).\(minor)" }
}
