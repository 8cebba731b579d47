import Foundation

/// The receiving end of sd_notify(3).
final class NotifySocket: Sendable {
  let messages = Recorder<String>()
  let path: String
  private let directory: TemporaryDirectory
  private let socket: Socket

  /// - Parameter isFull: other messages wait there, as many as there is room for, until `read` is called.
  init(isFull: Bool = false) throws {
    directory = try TemporaryDirectory()
    path = "\(directory.path)/notify"
    socket = try withSocketAddress("unix:\(path)") { pointer, length in
      let descriptor = Glibc.socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
      guard bind(descriptor, pointer, length) == 0 else { throw SocketError("bind") }
      return Socket(taking: descriptor)
    }
    socket.setTimeouts(0)
    if isFull { try fill() } else { read() }
  }

  private func fill() throws {
    try withSocketAddress("unix:\(path)") { pointer, length in
      let type = Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
      let descriptor = Glibc.socket(AF_UNIX, type, 0)
      defer { close(descriptor) }
      while sendto(descriptor, "STATUS=", 7, 0, pointer, length) == 7 {}
      guard errno == EAGAIN else { throw SocketError("sendto") }
    }
  }

  /// Begins to read what comes.
  func read() {
    Thread.detachNewThread { [socket, messages] in
      while case .bytes(let bytes)? = try? socket.receive() {
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
          messages.record(String(line))
        }
      }
    }
  }

  deinit { socket.hangUp() }

  func wait(for message: String) throws {
    try messages.wait(for: message) { $0.contains(message) ? () : nil }
  }
}
