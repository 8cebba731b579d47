import Addresses
import Settings
import Wire

/// Replies in the client's own protocol: the one place that knows how each says it.
extension Listener.InboundProtocol {
  /// - Parameter bound: the address that the peer sees or shall connect to. SOCKS4 has no room for an IPv6 address, and
  ///   HTTP for none.
  func success(bound: SocketAddress) -> [UInt8] {
    switch self {
    case .socks5: SOCKS5.Reply(.succeeded, bound: bound).bytes
    case .socks4: SOCKS4.Reply(.granted, bound: bound).bytes
    case .http: HTTP.Response(.ok).bytes
    }
  }

  /// SOCKS5 has a code for a failure, SOCKS4 one word for all of them, and HTTP room for a sentence.
  func refusal(_ ending: Event.Ending, _ code: SOCKS5.ReplyCode) -> [UInt8] {
    switch self {
    case .socks5: SOCKS5.Reply(code).bytes
    case .socks4: SOCKS4.Reply(.rejected).bytes
    case .http: HTTP.Refusal(ending).bytes
    }
  }
}
