import Addresses
import Settings
import Wire

extension Listener.InboundProtocol {
  /// A reply in the client's own protocol: the one place that knows how each says it.
  ///
  /// SOCKS4 has one word for every failure, and no room for an IPv6 address.
  ///
  /// - Parameter bound: where the request succeeded, the address that the peer sees or shall connect to.
  func reply(
    _ code: SOCKS5.ReplyCode, bound: SocketAddress = SocketAddress(.unspecified4, port: 0)
  ) -> [UInt8] {
    switch self {
    case .socks5: SOCKS5.Reply(code, bound: bound).bytes
    case .socks4: SOCKS4.Reply(code == .succeeded ? .granted : .rejected, bound: bound).bytes
    }
  }
}
