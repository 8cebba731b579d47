import Transport
import Wire

extension Session {
  /// UDP ASSOCIATE, RFC 1928 §7.
  func associate(
    _ request: ClientHandshake.Request, _ client: borrowing TCPStream
  ) async throws(Refusal) -> Opened {
    throw refusal(.unsupported(.associate), .commandNotSupported)
  }
}
