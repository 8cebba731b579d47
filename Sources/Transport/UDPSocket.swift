import Addresses
import CLinux

/// A UDP socket on one loop. It closes when this value ends.
///
/// Datagrams come and go in batches (`DatagramBatch`). Those it sends may be fragmented on their way: DF is never set.
/// Errors that ICMP reports (`connectionRefused`) are heard by connected sockets only.
package struct UDPSocket: ~Copyable {
  package let descriptor: PolledDescriptor

  /// Bound to `address`: to its own port, of which 0 is any, or to a free one of `ports`. When all of these are taken,
  /// `addressInUse`.
  package init(
    bindingTo address: SocketAddress, ports: ClosedRange<UInt16>? = nil, on loop: EventLoop
  ) throws(Errno) {
    let socket = try address.withFreePort(of: ports) { address throws(Errno) in
      let socket = try Self.open(address.address.family)
      var linux = address.linux
      _ = try Errno.check(unsafe linux_bind(socket.rawValue, &linux))
      return socket
    }
    descriptor = try PolledDescriptor(socket, on: loop)
  }

  /// For sending to any address of `family`. The kernel binds it when it first sends, or connects.
  package init(_ family: Family, on loop: EventLoop) throws(Errno) {
    descriptor = try PolledDescriptor(try Self.open(family), on: loop)
  }

  private static func open(_ family: Family) throws(Errno) -> FileDescriptor {
    FileDescriptor(owning: try Errno.check(linux_udp_socket(family == .v4 ? 4 : 6)))
  }

  package var loop: EventLoop { descriptor.loop }

  package func interest(in readiness: Readiness) -> Interest { descriptor.interest(in: readiness) }

  /// From now on it receives from `address` only, sends there unless told otherwise, and hears that nobody listens there.
  ///
  /// - Throws: `networkUnreachable` also when this machine has no address to reach `address` from.
  package func connect(to address: SocketAddress) throws(Errno) {
    var linux = address.linux
    try Self.checkConnected(unsafe linux_connect(descriptor.rawValue, &linux))
  }

  /// A socket for datagrams lacks no port when it connects: then connect(2) fails with `wouldBlock`. It fails with
  /// `addressNotAvailable` where this machine has no address to leave from, and with `invalidArgument` for a link-local
  /// address without a scope, and from loopback to another machine.
  private static func checkConnected(_ answer: Int32) throws(Errno) {
    do {
      _ = try Errno.check(answer)
    } catch  where [.addressNotAvailable, .invalidArgument].contains(error) {
      throw .networkUnreachable
    }
  }

  /// What it is bound to: unspecified, or port 0, before the kernel had to choose.
  package var localAddress: SocketAddress? { SocketAddress(localOf: descriptor.descriptor) }

  /// Receives one datagram from the peer that the socket is connected to, at most 64 KiB of it; `nil` when none has
  /// arrived.
  package func receive() throws(Errno) -> [UInt8]? {
    let scratch = unsafe descriptor.loop.scratch
    do {
      let count = Int(
        try Errno.check(unsafe linux_read(descriptor.rawValue, scratch.baseAddress, scratch.count)))
      return unsafe Array(scratch[..<count])
    } catch .wouldBlock {
      return nil
    }
  }

  /// Sends one datagram, to where the socket is connected to if `address` is `nil`.
  ///
  /// An error left by an earlier datagram is not taken for this one's.
  package func send(_ bytes: [UInt8], to address: SocketAddress?) throws(Errno) {
    do {
      try sendNow(bytes, to: address)
    } catch .connectionRefused {
      try sendNow(bytes, to: address)
    }
  }

  private func sendNow(_ bytes: [UInt8], to address: SocketAddress?) throws(Errno) {
    let result =
      if var linux = address?.linux {
        unsafe linux_send_to(descriptor.rawValue, bytes, bytes.count, &linux)
      } else {
        unsafe linux_send_to(descriptor.rawValue, bytes, bytes.count, nil)
      }
    _ = try Errno.check(result)
  }

  /// The address, with any port, that datagrams to `destination` leave from, as the routes are now. Nothing is sent.
  ///
  /// - Throws: `networkUnreachable` when there is no such address.
  package static func localAddress(towards destination: IPAddress) throws(Errno) -> SocketAddress {
    // Any port does, but for 0 some kernels refuse to connect.
    var linux = SocketAddress(destination, port: 9).linux
    var source = linux_address()
    try checkConnected(unsafe linux_address_towards(&linux, &source))
    guard let source = SocketAddress(source) else { throw .addressNotAvailable }
    return source
  }
}
