import Transport
import Wire

/// CONNECT of HTTP, RFC 9110 §9.3.6. One request says it all; whatever is wrong with it ends the connection, so that
/// nothing that follows is taken for another.
extension ClientHandshake {
  mutating func runHTTP(_ client: borrowing TCPStream) async throws(Refusal) -> Request {
    let request: HTTP.Request = try await receive(client) { HTTP.Refusal($0).bytes }
    guard request.method == .connect else {
      let page = HTTP.Refusal.onlyTunnels
      // It is the client who chose the word.
      throw Refusal(
        ending: .unsupported("HTTP \(request.method.rawValue.prefix(20))"),
        answer: request.method == .head ? page.head : page.bytes)
    }
    guard request.version.major == 1 else {
      let page = HTTP.Refusal(.versionNotSupported, "This proxy speaks HTTP/1.1.")
      throw Refusal(ending: .unsupported("\(request.version)"), answer: page.bytes)
    }
    let user = try await authenticate(client, request.credentials)
    guard let destination = request.destination else {
      throw Refusal(
        ending: .noRequest(.violation(.name(.malformed))), answer: HTTP.Refusal.noDestination.bytes)
    }
    return Request(
      spoken: .http, message: SOCKS5.Request(.connect, to: destination), user: user, early: input)
  }

  /// The user's name, if one was given.
  private mutating func authenticate(
    _ client: borrowing TCPStream, _ credentials: HTTP.BasicCredentials?
  ) async throws(Refusal) -> String? {
    switch authentication {
    case .none: return nil
    case .optional: break
    case .required:
      let challenge = HTTP.Refusal(
        .proxyAuthenticationRequired, "This proxy asks for a user name and a password.")
      guard let credentials else {
        throw Refusal(ending: .unauthenticated(.noCredentials), answer: challenge.bytes)
      }
      try await logIn(
        credentials.username, credentials.password, client, owesRequest: false, orAnswer: challenge.bytes)
    }
    guard let name = credentials?.username, !name.isEmpty else { return nil }
    return String(decoding: name, as: UTF8.self)
  }
}
