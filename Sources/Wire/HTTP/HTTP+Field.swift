extension HTTP {
  /// A field line that a request has beside those which the tunnel itself needs: `User-Agent: sockeye`.
  ///
  /// It cannot end the line, nor change where the request ends or what it asks for. However it is printed, the value, which
  /// may be a secret, does not show.
  package struct Field: Hashable, Sendable {
    package let name: String
    package let value: String

    /// Why a name and a value are no field line of a request for a tunnel.
    package enum Violation: Error, Hashable, Sendable {
      /// The name is not a token (RFC 9110 §5.6.2).
      case name
      /// The name is one of `reserved`.
      case reserved
      /// The value is not of printable ASCII characters and spaces, or begins or ends with a space.
      case value
    }

    /// The fields that say what is asked for, by whom, and where the request ends (RFC 9112 §3.2, §6, §9.6; RFC 9110 §7.6.1,
    /// §10.1.1, §11.7.2), in lower case.
    package static let reserved: Set<String> = [
      "connection", "content-length", "expect", "host", "http2-settings", "keep-alive", "proxy-authorization",
      "te", "trailer", "transfer-encoding", "upgrade",
    ]

    package init(_ name: String, _ value: String) throws(Violation) {
      guard !name.isEmpty, name.utf8.allSatisfy(\.isTokenOctet) else { throw .name }
      guard !Self.reserved.contains(name.lowercased()) else { throw .reserved }
      guard value.utf8.allSatisfy({ (0x20...0x7e).contains($0) }), value.utf8.first != 0x20,
        value.utf8.last != 0x20
      else { throw .value }
      self.name = name
      self.value = value
    }

    /// Names are compared without regard to case (RFC 9110 §5.1).
    package func hasSameName(as other: String) -> Bool { name.lowercased() == other.lowercased() }

    /// How many octets it has, without the colon and the end of the line.
    package var byteCount: Int { name.utf8.count + value.utf8.count }
  }
}

extension HTTP.Field: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  package var description: String { "field \(name)" }
  package var debugDescription: String { description }
  package var customMirror: Mirror { Mirror(self, children: ["name": name]) }
}
