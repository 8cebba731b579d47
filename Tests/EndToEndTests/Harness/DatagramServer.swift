import Foundation

/// A UDP socket of the test's own that answers as the test says, on a thread of its own.
final class DatagramServer: Sendable {
  /// What has come, in its order, if that is recorded.
  let received = Recorder<Datagram>()
  private let socket: DatagramSocket

  init(
    on address: String = "127.0.0.1:0", recording: Bool = true,
    answer: @escaping @Sendable (Datagram, DatagramSocket) throws -> Void
  ) throws {
    socket = try DatagramSocket(on: address)
    socket.waitWithoutEnd()
    let opened = socket.address
    Thread.detachNewThread { [socket, received] in
      // The owner wakes us with nothing to read and from nowhere.
      while let datagram = try? socket.receive(), datagram.source != "nowhere" {
        if recording { received.record(datagram) }
        do { try answer(datagram, socket) } catch { print("\(opened) could not answer: \(error)") }
      }
    }
  }

  deinit { socket.hangUp() }

  var address: String { socket.address }
  var port: UInt16 { socket.port }

  /// The bytes of everything received.
  var payloads: [[UInt8]] { received.all.map(\.bytes) }

  /// Sends one back.
  func answer(_ datagram: Datagram) throws { try socket.send(datagram.bytes, to: datagram.source) }

  /// Sends everything back.
  static func echo(on address: String = "127.0.0.1:0", recording: Bool = true) throws -> DatagramServer {
    try DatagramServer(on: address, recording: recording) { try $1.send($0.bytes, to: $0.source) }
  }

  /// Sends everything back from another socket.
  static func echo(on address: String = "127.0.0.1:0", from other: DatagramSocket) throws -> DatagramServer {
    try DatagramServer(on: address) { datagram, _ in try other.send(datagram.bytes, to: datagram.source) }
  }

  /// Answers nothing.
  static func silent(on address: String = "127.0.0.1:0") throws -> DatagramServer {
    try DatagramServer(on: address) { _, _ in }
  }
}

/// An address at which no datagram is taken, and which nobody else can get as long as the value lives.
final class DeadDatagramPort: Sendable {
  private let holder: DatagramSocket

  init() throws {
    holder = try DatagramSocket()
    // For whoever is not its peer, a connected socket is not there.
    try holder.connect(to: "127.0.0.1:9")
  }

  var address: String { holder.address }
}
