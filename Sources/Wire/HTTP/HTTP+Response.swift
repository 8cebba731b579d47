extension HTTP {
  /// How a request ended.
  ///
  ///     HTTP/1.1 200 Connection established
  ///
  /// Fields follow, and an empty line. Proxies write all this in many ways: of the status line no more is asked than
  /// that it begins with `HTTP/` and a digit and has a code of three digits, and nothing of the fields, which mean
  /// nothing to a tunnel (RFC 9110 §9.3.6). A refusal is complete with its status line: neither its fields nor its content
  /// are waited for. A success and an interim response are read up to the empty line, behind which others' octets begin.
  package struct Response: Message {
    package let status: Status

    package init(_ status: Status) {
      self.status = status
    }

    /// - Throws: `notHTTP` with the first octet that shows it.
    package init?(parsing input: inout ByteReader) throws(HTTP.Violation) {
      var rest = input
      let prefix = Array("HTTP/".utf8)
      guard rest.remaining.prefix(prefix.count).elementsEqual(prefix.prefix(rest.remaining.count)) else {
        throw .notHTTP
      }
      guard let end = rest.remaining.prefix(HTTP.longestHead).firstIndex(of: UInt8(ascii: "\n")) else {
        guard rest.remaining.count < HTTP.longestHead else { throw .tooLong }
        return nil
      }
      let line = rest.remaining[..<end]
      let words = (line.last == UInt8(ascii: "\r") ? line.dropLast() : line).words
      guard words.count >= 2, words[0].dropFirst(prefix.count).first?.digit != nil,
        let status = Self.status(words[1])
      else { throw .malformed }
      if status.isSuccess || status.isInterim {
        guard try Head(parsing: &rest) != nil else { return nil }
      } else {
        _ = rest.bytes(line.count + 1)
      }
      self.init(status)
      input = rest
    }

    package func append(to output: inout [UInt8]) {
      output.append(contentsOf: "HTTP/1.1 \(status.rawValue) \(status.reasonPhrase)\r\n\r\n".utf8)
    }

    private static func status(_ text: ArraySlice<UInt8>) -> Status? {
      let digits = text.compactMap(\.digit)
      guard text.count == 3, digits.count == 3, digits[0] > 0 else { return nil }
      return Status(rawValue: digits.reduce(0) { $0 * 10 + UInt16($1) })
    }
  }

  /// A response that says why there is no tunnel, for people too.
  package struct Refusal: Hashable, Sendable {
    package let status: Status
    /// A sentence or more, in ASCII.
    package let text: String

    package init(_ status: Status, _ text: String) {
      self.status = status
      self.text = text
    }

    /// Without the text, as an answer to HEAD must be (RFC 9110 §9.3.2).
    package var head: [UInt8] {
      var lines = [
        "HTTP/1.1 \(status.rawValue) \(status.reasonPhrase)", "Content-Type: text/plain",
        "Content-Length: \(content.count)", "Connection: close",
      ]
      if status == .proxyAuthenticationRequired {
        lines.append("Proxy-Authenticate: Basic realm=\"sockeye\"")
      }
      return lines.flatMap { Array("\($0)\r\n".utf8) } + Array("\r\n".utf8)
    }

    package var bytes: [UInt8] { head + content }

    private var content: [UInt8] { Array("\(text)\r\n".utf8) }
  }
}
