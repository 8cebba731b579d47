import Transport

/// A socket by which datagrams leave, and answers come back.
final class Outlet {
  let socket: UDPSocket

  init(_ socket: consuming UDPSocket) {
    self.socket = socket
  }
}
