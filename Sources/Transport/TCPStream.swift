import Addresses
import CLinux
import TLS

/// A connected stream socket, TCP or Unix-domain, on one loop, with or without TLS. It closes when this value ends.
package struct TCPStream: ~Copyable {
  package let descriptor: PolledDescriptor
  /// Through which all bytes go once it is `secured`; the innermost, where there are several.
  private var session: TLSSession?

  /// Takes over an accepted connection.
  package init(_ connection: TCPListener.Connection, on loop: EventLoop) throws(Errno) {
    descriptor = try PolledDescriptor(FileDescriptor(owning: connection.rawValue), on: loop)
  }

  private init(_ descriptor: consuming PolledDescriptor) {
    self.descriptor = descriptor
  }

  package var loop: EventLoop { descriptor.loop }

  /// An interest in reading or writing on: what it takes of the descriptor is the session's business, and there is
  /// nothing to wait for as long as the session has something left.
  package func interest(in readiness: Readiness) -> Interest {
    guard let session else { return descriptor.interest(in: readiness) }
    var interest = descriptor.interest(in: session.readiness(for: readiness))
    interest.isReady = session.isReady(for: readiness)
    return interest
  }

  /// Returns when it may be possible to go on reading or writing; throws `timedOut` or `cancelled`.
  package func wait(for readiness: Readiness, until deadline: Deadline) async throws(Errno) {
    try await loop.wait(for: interest(in: readiness), until: deadline).check()
  }

  // MARK: Connecting

  /// Begins to connect; `isConnected` tells how it goes, whenever the descriptor is writable.
  ///
  /// The socket is not bound first: that would take a local port away from every other destination.
  ///
  /// - Throws: `addressNotAvailable` when no local port is left towards `address`; `networkUnreachable` also when this
  ///   machine has no address to reach it from, for which connect(2) has the same error, and for a link-local address
  ///   without a scope, for which it has `invalidArgument`.
  package static func beginConnecting(
    to address: SocketAddress, on loop: EventLoop
  ) throws(Errno) -> TCPStream {
    var linux = address.linux
    let socket = FileDescriptor(owning: try Errno.check(linux_tcp_socket(Int32(linux.family))))
    let result = unsafe linux_connect(socket.rawValue, &linux)
    guard result == 0 || -result == Errno.inProgress.rawValue else {
      let error = Errno(rawValue: -result)
      if error == .invalidArgument { throw .networkUnreachable }
      guard error == .addressNotAvailable else { throw error }
      do {
        _ = try UDPSocket.localAddress(towards: address.address)
      } catch .networkUnreachable {
        throw .networkUnreachable
      } catch {}
      throw error
    }
    return TCPStream(try PolledDescriptor(socket, on: loop))
  }

  /// The kernel chooses none below to connect from (`ip_local_port_range`), unless it is told to.
  private static let firstFreePort: UInt16 = 1024

  /// False while connecting lasts; throws why it failed.
  ///
  /// A second connect(2) answers this in one call, where SO_ERROR alone cannot tell success from "not yet".
  package func isConnected(to address: SocketAddress) throws(Errno) -> Bool {
    var linux = address.linux
    let error = Errno(rawValue: -(unsafe linux_connect(descriptor.rawValue, &linux)))
    switch error {
    case .none, .isConnected:
      // Towards a port of this host that nobody listens on, the kernel may choose that very port to connect from, and
      // connect the socket to itself by a simultaneous open (RFC 9293 §3.5).
      if address.port >= Self.firstFreePort, localAddress == address { throw Errno.connectionRefused }
      return true
    case .alreadyInProgress, .inProgress: return false
    default: throw error
    }
  }

  /// Connects, or throws why not; `timedOut` when the deadline passes first.
  package static func connect(
    to address: SocketAddress, on loop: EventLoop, until deadline: Deadline
  ) async throws(Errno) -> TCPStream {
    let stream = try beginConnecting(to: address, on: loop)
    while try !stream.isConnected(to: address) {
      try await stream.descriptor.wait(for: .writable, until: deadline)
    }
    return stream
  }

  /// Connects to a Unix-domain socket; `wouldBlock` when more wait there than it has room for.
  package init(connectingToUnix path: String, on loop: EventLoop) throws(Errno) {
    let socket = FileDescriptor(owning: try Errno.check(unsafe linux_connect_unix(path)))
    descriptor = try PolledDescriptor(socket, on: loop)
  }

  // MARK: Bytes

  /// Appends what has arrived, at least one byte and at most `limit`, to `input`; false at the end of the stream.
  package func read(
    into input: inout [UInt8], atMost limit: Int = 4096, until deadline: Deadline
  ) async throws(Errno) -> Bool {
    while true {
      do {
        let scratch = unsafe loop.scratch
        let room = unsafe UnsafeMutableRawBufferPointer(rebasing: scratch[..<min(limit, scratch.count)])
        let count = try unsafe readNow(into: room)
        unsafe input.append(contentsOf: scratch[..<count])
        return count > 0
      } catch .wouldBlock {
        try await wait(for: .readable, until: deadline)
      }
    }
  }

  /// Reads what is there, up to a scratch buffer, and forgets it; answers how many bytes, 0 at the end of the stream,
  /// and throws `wouldBlock` when nothing has arrived.
  package func discard() throws(Errno) -> Int {
    try unsafe readNow(into: loop.scratch)
  }

  /// Writes all of `bytes`.
  package func write(_ bytes: [UInt8], until deadline: Deadline) async throws(Errno) {
    var written = 0
    while written < bytes.count {
      do {
        written += try unsafe writeNow(bytes.span.bytes.extracting(droppingFirst: written))
      } catch .wouldBlock {
        try await wait(for: .writable, until: deadline)
      }
    }
  }

  /// Reads what is there; 0 at the end of the stream, `wouldBlock` when nothing has arrived.
  ///
  /// The corresponding C function is `read`.
  func readNow(into buffer: UnsafeMutableRawBufferPointer) throws(Errno) -> Int {
    if let session { return try unsafe session.readNow(into: buffer) }
    return Int(try Errno.check(unsafe linux_read(descriptor.rawValue, buffer.baseAddress, buffer.count)))
  }

  /// Writes what the kernel takes; `wouldBlock` when that is nothing. What was not taken must be what is written next.
  ///
  /// The corresponding C function is `send`, which unlike `write` raises no SIGPIPE here.
  func writeNow(_ bytes: RawSpan) throws(Errno) -> Int {
    try unsafe bytes.withUnsafeBytes { bytes throws(Errno) in
      if let session { return try unsafe session.writeNow(bytes) }
      return Int(try Errno.check(unsafe linux_send(descriptor.rawValue, bytes.baseAddress, bytes.count)))
    }
  }

  // MARK: Ending

  /// How many bytes, with those that TLS adds, were written and have not been acknowledged by the peer's kernel: a reset
  /// destroys them (tcp(7), SIOCOUTQ). 0 on a Unix-domain socket, where what was written has arrived.
  package var unacknowledgedCount: Int { max(0, Int(linux_unacknowledged(descriptor.rawValue))) }

  /// Whether the peer has reset the connection, or the kernel has given it up.
  package var hasFailed: Bool { linux_send(descriptor.rawValue, nil, 0) < 0 }

  /// Probes the peer whenever it has been silent for `seconds`: after four that nobody answers, reading fails.
  package func keepAlive(seconds: Int) {
    _ = linux_keep_alive(descriptor.rawValue, Int32(seconds))
  }

  /// Tells the peer that no more bytes will follow. Reading goes on.
  ///
  /// False when it has to be told again once the stream is writable: TLS has words of its own for it, and there may be
  /// no room for them.
  ///
  /// - Throws: when the peer cannot be told, and would wait for more. One that is gone does not.
  package func shutdownWriting() throws(Errno) -> Bool {
    if let session, case .awaits = session.end() { return false }
    do {
      _ = try Errno.check(linux_shutdown_write(descriptor.rawValue))
    } catch  where error == .notConnected {}
    return true
  }

  /// Makes the close a reset, so that the peer cannot take a cut transfer for a whole one.
  package func resetOnClose() {
    _ = linux_reset_on_close(descriptor.rawValue)
  }

  /// The shortest time there and back that the kernel has measured, whatever the programs at both ends were busy with;
  /// `nil` on a Unix-domain socket.
  package var roundTrip: Duration? {
    let microseconds = linux_round_trip_microseconds(descriptor.rawValue)
    return microseconds < 0 ? nil : .microseconds(microseconds)
  }

  /// True while the peer's kernel has not acknowledged everything that was written: the peer's host may be gone. False on
  /// a Unix-domain socket.
  package var isUnacknowledged: Bool { linux_unacknowledged_segments(descriptor.rawValue) > 0 }

  /// The address of our end; `nil` on a Unix-domain socket.
  package var localAddress: SocketAddress? { SocketAddress(localOf: descriptor.descriptor) }

  /// The address of the other end; `nil` on a Unix-domain socket, or once the connection is gone.
  package var peerAddress: SocketAddress? {
    var linux = linux_address()
    guard unsafe linux_peer_address(descriptor.rawValue, &linux) == 0 else { return nil }
    return SocketAddress(linux)
  }

  /// The number of the user who opened the other end of a Unix-domain socket.
  package var peerUser: UInt32? {
    (try? Errno.check(linux_peer_user(descriptor.rawValue))).map { UInt32($0) }
  }
}

// MARK: - TLS

extension TCPStream {
  package var isSecured: Bool { session != nil }

  /// Why its innermost session failed: what an `Errno` of reading or writing has no words for.
  package var sessionFailure: TLSFailure? { session?.failure }

  /// The version of TLS that its innermost session speaks, as in `TLSv1.3`.
  package var sessionVersion: String? { session?.version }

  /// Agrees with the peer on TLS, and from then on passes all bytes through it. A stream that is secured already leads
  /// to another peer now, whose TLS is inside that of the one before.
  ///
  /// - Precondition: nothing has been read of what belongs to the handshake.
  /// - Parameter host: what was dialled: the peer's certificate must be made for it.
  package mutating func secure(
    with context: TLSContext, to host: Host, until deadline: Deadline
  ) async throws(SecuringError) {
    let session: TLSSession
    do throws(TLSFailure) {
      session = try TLSSession(context, to: host, over: descriptor.rawValue, within: self.session)
    } catch {
      throw .tls(error)
    }
    self.session = session
    while true {
      let awaited: TLSSession.Awaited
      do throws(TLSFailure) {
        guard case .awaits(let readiness) = try session.handshake() else { return }
        awaited = readiness
      } catch {
        throw .tls(error)
      }
      do throws(Errno) {
        var interest = descriptor.interest(in: Readiness(awaited))
        interest.isReady = awaited == .turn
        try await loop.wait(for: interest, until: deadline).check()
      } catch {
        throw .system(error)
      }
    }
  }

  /// Why a stream was not secured.
  package enum SecuringError: Error, Hashable, Sendable {
    /// It was not in time.
    case system(Errno)
    case tls(TLSFailure)
  }
}

extension Errno {
  fileprivate static let none = Errno(rawValue: 0)
  fileprivate static let isConnected = Errno(rawValue: 106)
  fileprivate static let alreadyInProgress = Errno(rawValue: 114)
}
