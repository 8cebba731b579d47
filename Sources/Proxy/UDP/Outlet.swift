import Transport

/// A socket by which datagrams leave, and answers come back.
final class Outlet {
  let socket: UDPSocket

  init(_ socket: consuming UDPSocket) {
    self.socket = socket
  }
}

extension UDPSocket {
  /// How many batches are taken before others on the loop have their turn.
  private static let rounds = 4

  /// Takes what has arrived, one batch of the loop's after another: `take` is given each datagram's slot, and `flush`
  /// ends each batch. True when there may be more.
  func receive(_ take: (Int) -> Void, flush: () -> Void) throws(Errno) -> Bool {
    let batch = loop.datagrams
    for _ in 0..<Self.rounds {
      let count = try batch.receive(from: self)
      guard count > 0 else { return false }
      for slot in 0..<count { take(slot) }
      flush()
      if count < DatagramBatch.capacity { return false }
    }
    return true
  }
}
