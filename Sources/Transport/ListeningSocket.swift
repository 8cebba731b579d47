import Addresses
import CLinux

/// A socket that listens and that no loop watches yet: so several can be opened before the first of them serves.
///
/// It has no owner, and closes with none: make a `TCPListener` of it, or `close` it.
package struct ListeningSocket: Sendable {
  let rawValue: Int32
  /// Where it listens: the real port, when 0 was asked for. `nil` for a Unix-domain socket.
  package let localAddress: SocketAddress?
  /// The file of a Unix-domain socket, which is removed when this closes.
  let path: String?
  /// The service manager has it too, and keeps it.
  package let isPassed: Bool

  /// How many connections may wait to be accepted; the kernel's `somaxconn` bounds it too.
  static let backlog: Int32 = 4096

  /// - Parameter joins: the address, or one that includes it, has listeners of this program already, with which it shares
  ///   the port. Without that, an address where anybody listens answers `addressInUse`.
  package init(on address: SocketAddress, joins: Bool) throws(Errno) {
    var linux = address.linux
    let socket = FileDescriptor(
      owning: try Errno.check(unsafe linux_listen(&linux, Self.backlog, joins ? LINUX_JOINS : LINUX_SHARED)))
    // getsockname(2) fails only for want of memory. Without its port a listener would be of no use.
    guard let bound = SocketAddress(localOf: socket) else { throw .noBufferSpace }
    localAddress = bound
    path = nil
    isPassed = false
    rawValue = socket.release()
  }

  /// A socket file left by a program that has ended is replaced; a living one answers `addressInUse`.
  ///
  /// - Parameter mode: who may connect, from which the umask is taken.
  package init(unixPath path: String, mode: UInt32 = 0o777) throws(Errno) {
    rawValue = try Errno.check(unsafe linux_listen_unix(path, Self.backlog, mode))
    localAddress = nil
    self.path = path
    isPassed = false
  }

  /// Another descriptor of a passed socket, which closes alone.
  package init(_ passed: PassedSocket) throws(Errno) {
    rawValue = try Errno.check(linux_duplicate(passed.rawValue))
    localAddress = if case .tcp(let address) = passed.address { address } else { nil }
    path = nil
    isPassed = true
  }

  package func close() {
    _ = linux_close(rawValue)
    if let path { _ = unsafe linux_unlink(path) }
  }
}
