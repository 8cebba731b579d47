import Routing
import Wire

/// `headers:` of an upstream that speaks HTTP.
extension TableReader {
  private static let headersForm = Form("a map from field names to values", "{Proxy-Connection: keep-alive}")
  /// Names and values together, in octets: many servers read no more of a request.
  private static let longestHeaders = 8192

  /// What each request has: the fields as written, in their order, and a User-Agent where none is written.
  ///
  /// - Parameter field: `nil` when the table has no such key.
  /// - Returns: `nil` after an error.
  func readHeaders(_ field: Fields.Field?, _ kind: Upstream.Kind) -> [HTTP.Field]? {
    guard kind == .http else {
      guard let field else { return [] }
      error(field.key, "only HTTP has headers (remove it, or write an http:// URL)")
      return nil
    }
    guard let headers = field.map({ readHeaders($0.value) }) ?? [] else { return nil }
    guard !headers.contains(where: { $0.hasSameName(as: "User-Agent") }),
      let userAgent = try? HTTP.Field("User-Agent", "sockeye")
    else { return headers }
    return [userAgent] + headers
  }

  private func readHeaders(_ node: Node) -> [HTTP.Field]? {
    guard !node.isBroken else { return nil }
    let entries = namedEntries(node, Self.headersForm)
    let headers = entries.compactMap(readHeader)
    guard node.kind == .mapping, headers.count == entries.count else { return nil }
    for (index, header) in headers.enumerated()
    where headers[..<index].contains(where: { $0.hasSameName(as: header.name) }) {
      error(entries[index].key, "there is a header \(quoted(header.name)) before this one (remove one)")
      return nil
    }
    guard headers.reduce(0, { $0 + $1.byteCount }) <= Self.longestHeaders else {
      error(node, "the headers have more than \(Self.longestHeaders) octets together (shorten them)")
      return nil
    }
    return headers
  }

  private func readHeader(_ name: String, key: Node, value: Node) -> HTTP.Field? {
    // An empty value is one; none at all is a slip.
    guard let text = scalar(value, Form("the value of a header", "keep-alive"))?.text else { return nil }
    do throws(HTTP.Field.Violation) {
      return try HTTP.Field(name, text)
    } catch {
      switch error {
      case .name:
        self.error(
          key, "\(quoted(name)) is not the name of a header (write letters, digits and '-', as in X-Token)")
      case .reserved where name.lowercased() == "proxy-authorization":
        self.error(
          key, "\(quoted(name)) is written from the user name and the password (write those in the URL)")
      case .reserved:
        self.error(key, "\(quoted(name)) is not yours to set in a request for a tunnel (remove it)")
      case .value:
        self.error(
          value, "the value of the header \(quoted(name)) is not one line of printable ASCII (write one)")
      }
      return nil
    }
  }
}
