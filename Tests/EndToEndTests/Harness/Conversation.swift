import Testing

/// One step of a conversation, in its order.
enum Step: Sendable {
  /// The client sends these bytes at once.
  case send([UInt8])
  /// The client sends these bytes, each in a segment of its own.
  case trickle([UInt8])
  /// The server has answered exactly these.
  case expect([UInt8])
  /// The client ends its direction.
  case finish
  /// The server has ended the stream, without a byte more and without a reset.
  case closed
  /// The server has reset the stream.
  case reset

  static func client(_ bytes: UInt8...) -> Step { .send(bytes) }
  static func client(_ bytes: [UInt8]) -> Step { .send(bytes) }
  static func server(_ bytes: UInt8...) -> Step { .expect(bytes) }
  static func server(_ bytes: [UInt8]) -> Step { .expect(bytes) }
}

/// Holds a conversation with whoever listens on `address`; what differs from the script is an issue of the test.
func conversation(
  with address: String, _ steps: Step..., sourceLocation: SourceLocation = #_sourceLocation
) throws {
  try conversation(with: address, steps, sourceLocation: sourceLocation)
}

func conversation(
  with address: String, _ steps: [Step], sourceLocation: SourceLocation = #_sourceLocation
) throws {
  let socket = try Socket(to: address)
  for (number, step) in steps.enumerated() {
    switch step {
    case .send(let bytes):
      // The peer may have closed already, which the next expectation tells.
      try? socket.send(bytes)
    case .trickle(let bytes):
      socket.sendWithoutDelay()
      for byte in bytes { try socket.send(byte) }
    case .expect(let bytes):
      let received = try socket.receive(exactly: bytes.count)
      #expect(received == bytes, "step \(number)", sourceLocation: sourceLocation)
      guard received == bytes else { return }
    case .finish:
      socket.finish()
    case .closed:
      let rest = try socket.receiveToEnd()
      #expect(
        rest.bytes == [] && rest.closing == .end, "step \(number): \(rest)", sourceLocation: sourceLocation)
    case .reset:
      let rest = try socket.receiveToEnd()
      #expect(rest.closing == .reset, "step \(number): \(rest)", sourceLocation: sourceLocation)
    }
  }
}
