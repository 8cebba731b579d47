import Transport

/// How to leave a client that is not served.
extension TCPStream {
  /// How long a refused client is listened to, so that the answer is not destroyed by a reset (RFC 1928 §6 allows ten
  /// seconds).
  private static let lingerTime = Duration.seconds(2)
  /// How many bytes are read only to be forgotten: a client that floods must not keep the loop from others.
  private static let forgottenBytes = 64 * 1024

  /// Sends the last words, and is then ready to be closed: bytes left unread would turn the close into a reset.
  func close(saying answer: [UInt8]) async {
    let deadline = Deadline.after(Self.lingerTime)
    do {
      try await write(answer, until: deadline)
    } catch {
      return
    }
    _ = try? shutdownWriting()
    _ = await forget(until: deadline)
  }

  /// Leaves the client without an answer until it goes away or the deadline passes.
  func hold(until deadline: Deadline) async {
    if await forget(until: deadline) { try? await loop.sleep(until: deadline) }
  }

  /// Reads what the client sends, for nothing; true when it sends without end.
  private func forget(until deadline: Deadline) async -> Bool {
    var count = 0
    while count < Self.forgottenBytes {
      var input: [UInt8] = []
      // Whether it ended, failed or took too long: there is no more to come.
      guard (try? await read(into: &input, until: deadline)) == true else { return false }
      count += input.count
    }
    return true
  }
}
