import Addresses
import CLinux

/// A socket that accepts TCP or Unix-domain connections on one loop.
///
/// Every loop opens its own on the same address (SO_REUSEPORT), and the kernel spreads the connections.
package final class TCPListener {
  private let descriptor: PolledDescriptor
  /// Where it listens: the real port, when 0 was asked for. `nil` for a Unix-domain socket.
  package let localAddress: SocketAddress?
  private var spare = TCPListener.openSpare()
  /// The file of a Unix-domain socket, which is removed with the listener.
  private var path: String?
  /// The service manager has the socket too: what waits there is for the next program that it is passed to.
  package let isPassed: Bool
  /// Until then it is left alone, since it could not accept.
  package private(set) var restsUntil: Deadline?

  private static let rest = Duration.milliseconds(100)

  /// Takes over a socket that listens.
  ///
  /// - Parameter keepsFile: that of a Unix-domain socket is for the caller to remove.
  package init(_ socket: ListeningSocket, keepsFile: Bool = false, on loop: EventLoop) throws(Errno) {
    localAddress = socket.localAddress
    path = keepsFile ? nil : socket.path
    isPassed = socket.isPassed
    descriptor = try PolledDescriptor(FileDescriptor(owning: socket.rawValue), on: loop)
  }

  /// Listens on an address; `joins` as for `ListeningSocket`.
  package convenience init(on address: SocketAddress, joins: Bool = false, loop: EventLoop) throws(Errno) {
    try self.init(try ListeningSocket(on: address, joins: joins), on: loop)
  }

  /// For one expected connection, on an address nobody shares: its own port, or a free one of `ports`. When all of these
  /// are taken, `addressInUse`.
  package init(
    bindingTo address: SocketAddress, ports: ClosedRange<UInt16>? = nil, on loop: EventLoop
  ) throws(Errno) {
    let socket = try address.withFreePort(of: ports) { address throws(Errno) in
      var linux = address.linux
      return FileDescriptor(owning: try Errno.check(unsafe linux_listen(&linux, 1, LINUX_ALONE)))
    }
    localAddress = SocketAddress(localOf: socket)
    path = nil
    isPassed = false
    descriptor = try PolledDescriptor(socket, on: loop)
  }

  /// Listens at a path, as `ListeningSocket` does. Unix-domain sockets know no SO_REUSEPORT: one loop listens.
  package convenience init(unixPath path: String, loop: EventLoop) throws(Errno) {
    try self.init(try ListeningSocket(unixPath: path), on: loop)
  }

  /// Lets no more connections come in, before the last are accepted and this value ends. To close at once would reset
  /// those that wait. Not for a passed socket, which goes on listening.
  ///
  /// The file of a Unix-domain socket goes now. For TCP the kernel drops what arrives from now on: a client whose
  /// request to connect is dropped sends it again after a second, to whatever listens there by then.
  package func stopListening() {
    precondition(!isPassed, "a passed socket stays as it is")
    if let path {
      _ = unsafe linux_unlink(path)
      self.path = nil
    } else {
      _ = linux_drop_connection_requests(descriptor.rawValue)
    }
  }

  deinit {
    // The kernel goes on watching a socket that is open elsewhere.
    if isPassed { descriptor.loop.forget(descriptor.rawValue) }
    if let path { _ = unsafe linux_unlink(path) }
  }

  /// An accepted connection that nobody owns yet: make a `TCPStream` of it in the task that serves it.
  package struct Connection: Sendable {
    package let rawValue: Int32
    /// `nil` for a Unix-domain client.
    package let peer: SocketAddress?

    /// Whose connection it is. Users of Unix-domain sockets whom the kernel does not tell are one client.
    package var client: Client {
      if let peer { return Client(at: peer) }
      let user = try? Errno.check(linux_peer_user(rawValue))
      return Client(user: user.map { UInt32($0) } ?? .max)
    }

    /// Closes a connection that nobody will serve.
    package func close() {
      _ = linux_close(rawValue)
    }
  }

  package var interest: Interest { descriptor.interest(in: .readable) }

  /// The next waiting connection; `nil` when there is none, or while the listener rests.
  ///
  /// When it cannot accept, it rests a moment: what runs keeps running, and nothing spins. When the process is out of
  /// descriptors or memory, one newcomer is turned away first. The error is thrown each time, ten times a second at most.
  ///
  /// - Parameter makeRoom: gives descriptors back that are not needed now; false when there are none.
  package func accept(makeRoom: () -> Bool = { false }) throws(Errno) -> Connection? {
    if let end = restsUntil {
      guard end <= .now else { return nil }
      restsUntil = nil
    }
    var broken = 0
    while true {
      do {
        return try acceptNow()
      } catch .wouldBlock {
        return nil
      } catch  where error.isOfTheConnection && broken < Self.brokenLimit {
        broken += 1
      } catch  where error.isShortage && makeRoom() {
        continue
      } catch {
        if error.isShortage { turnOneAway() }
        restsUntil = .after(Self.rest)
        throw error
      }
    }
  }

  /// After so many connections in a row that broke before they were accepted, others on the loop have their turn.
  private static let brokenLimit = 64

  private func acceptNow() throws(Errno) -> Connection {
    var peer = linux_address()
    let socket = try Errno.check(unsafe linux_accept(descriptor.rawValue, &peer))
    let connection = Connection(rawValue: socket, peer: SocketAddress(peer))
    guard !descriptor.loop.isShortOfMemory else {
      connection.close()
      throw .outOfMemory
    }
    return connection
  }

  /// Without a descriptor a waiting connection can be neither served nor refused: the spare one makes room to close it.
  private func turnOneAway() {
    spare = nil
    if let connection = try? acceptNow() { _ = FileDescriptor(owning: connection.rawValue) }
    spare = Self.openSpare()
  }

  private static func openSpare() -> FileDescriptor? {
    guard let rawValue = try? Errno.check(linux_open_null()) else { return nil }
    return FileDescriptor(owning: rawValue)
  }
}

extension Errno {
  /// accept(2) also reports errors that the new connection already had; the next one may be well.
  fileprivate var isOfTheConnection: Bool {
    [
      .connectionAborted, .notPermitted, .networkDown, .networkUnreachable, .hostDown, .hostUnreachable,
      .protocolError,
    ].contains(self)
  }
}
