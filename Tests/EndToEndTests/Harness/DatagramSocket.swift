import Foundation

/// One datagram and the address it came from.
struct Datagram: Hashable, Sendable, CustomStringConvertible {
  let source: String
  let bytes: [UInt8]

  var description: String {
    "\(bytes.count) bytes \(bytes.prefix(32)) from \(source)"
  }
}

/// A blocking UDP socket whose every wait ends after `patience`.
final class DatagramSocket: Sendable {
  private let socket: Socket

  init(on address: String = "127.0.0.1:0") throws {
    socket = try withSocketAddress(address) { pointer, length in
      let family = Int32(pointer.pointee.sa_family)
      let descriptor = Glibc.socket(family, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
      var one: Int32 = 1
      if family == AF_INET6 {
        setsockopt(
          descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, &one, socklen_t(MemoryLayout<Int32>.size))
      }
      // Room for a few of the largest datagrams.
      var size: Int32 = 1 << 20
      setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
      setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &size, socklen_t(MemoryLayout<Int32>.size))
      guard bind(descriptor, pointer, length) == 0 else {
        let error = SocketError("bind to \(address)")
        close(descriptor)
        throw error
      }
      return Socket(taking: descriptor)
    }
  }

  var address: String { socket.localAddress }
  var port: UInt16 { portNumber(of: address) }

  func waitWithoutEnd() { socket.setTimeouts(0) }

  /// Wakes whoever waits on it.
  func hangUp() { socket.hangUp() }

  /// From now on it sends there, hears only from there, and learns when nobody listens there.
  func connect(to address: String) throws {
    guard try withSocketAddress(address, { Glibc.connect(socket.descriptor, $0, $1) }) == 0 else {
      throw SocketError("connect to \(address)")
    }
  }

  func send(_ bytes: [UInt8], to address: String) throws {
    let count = try withSocketAddress(address) { pointer, length in
      sendto(socket.descriptor, bytes, bytes.count, 0, pointer, length)
    }
    guard count == bytes.count else { throw SocketError("send \(bytes.count) bytes to \(address)") }
  }

  /// To whom it is connected.
  func send(_ bytes: some ContiguousBytes) throws {
    let isSent = bytes.withUnsafeBytes {
      Glibc.send(socket.descriptor, $0.baseAddress, $0.count, 0) == $0.count
    }
    guard isSent else { throw SocketError("send a datagram") }
  }

  func receive() throws -> Datagram {
    var bytes = [UInt8](repeating: 0, count: 65_536)
    let (count, source) = withAddressText { address, length in
      var count = -1
      repeat {
        count = recvfrom(socket.descriptor, &bytes, bytes.count, 0, address, &length.pointee)
      } while count < 0 && errno == EINTR
      return count
    }
    if count < 0, errno == EAGAIN { throw NeverHappened(description: "no datagram came to \(address)") }
    guard count >= 0 else { throw SocketError("receive a datagram") }
    return Datagram(source: source, bytes: Array(bytes[..<count]))
  }

  func hasSomethingToRead(within milliseconds: Int32 = 0) -> Bool {
    socket.hasSomethingToRead(within: milliseconds)
  }
}
