import Addresses
import CLinux

/// The datagrams a loop has in its hands: received by one call, changed in place, sent by another.
///
/// There is one per loop (`EventLoop.datagrams`). What it holds is valid until the task suspends, or receives again.
/// Each datagram stands behind free room, so that headers are taken off and put on without moving what they wrap.
///
/// `@safe` holds because every function checks the index of a datagram, and that what is taken off or put on leaves its
/// octets within its slot. The kernel is given a length that the slot has room for.
@safe package final class DatagramBatch {
  /// How many datagrams are received at once.
  package static let capacity = Int(LINUX_DATAGRAM_BATCH)

  /// Free room before each datagram: the headers of a chain of 31 hops, of 260 octets each, and more.
  ///
  /// Not a multiple of the page: in slots of whole pages, all datagrams would compete for the same lines of the cache.
  private static let headroom = 12 * 1024 + 128
  /// More than any UDP datagram can have.
  private static let room = 65_536
  private static let slotSize = headroom + room

  // Datagrams of the usual size touch two pages a slot.
  private let memory: ReservedMemory
  private let datagrams: UnsafeMutablePointer<linux_datagram>
  /// The datagrams to send, in order.
  private var staged: [UInt8] = []

  init() throws(Errno) {
    // The slots, and behind them the descriptions of what they hold.
    let size = Self.capacity * Self.slotSize
    memory = try unsafe ReservedMemory(byteCount: size + Self.capacity * MemoryLayout<linux_datagram>.stride)
    unsafe datagrams = (memory.start + size).bindMemory(
      to: linux_datagram.self, capacity: Self.capacity)
    unsafe datagrams.initialize(repeating: linux_datagram(), count: Self.capacity)
    staged.reserveCapacity(Self.capacity)
    for index in 0..<Self.capacity { empty(index) }
  }

  /// Gives the datagram all of its room.
  private func empty(_ index: Int) {
    unsafe datagrams[index].bytes = slot(index).advanced(by: Self.headroom)
    unsafe datagrams[index].count = Self.room
  }

  private func slot(_ index: Int) -> UnsafeMutablePointer<UInt8> {
    unsafe (memory.start + index * Self.slotSize).assumingMemoryBound(to: UInt8.self)
  }

  private func check(_ index: Int) {
    precondition(0 <= index && index < Self.capacity, "the batch has no such datagram")
  }

  // MARK: Receiving

  /// Receives what has arrived, up to `capacity` datagrams, in place of all that was here; answers how many.
  ///
  /// Fewer than `capacity` mean that the socket was empty: the next arrival is a new edge. What ICMP reported of
  /// datagrams sent before is thrown (`connectionRefused`, ...): nothing is lost by it, receive again.
  package func receive(from socket: borrowing UDPSocket) throws(Errno) -> Int {
    staged.removeAll(keepingCapacity: true)
    for index in 0..<Self.capacity { empty(index) }
    do {
      let count = unsafe linux_receive_datagrams(
        socket.descriptor.rawValue, datagrams, Int32(Self.capacity))
      return Int(try Errno.check(count))
    } catch .wouldBlock {
      return 0
    }
  }

  /// Puts a datagram that was kept (`copy`) in place of all that was here; answers where it stands.
  package func load(_ bytes: [UInt8]) -> Int {
    precondition(bytes.count <= Self.room, "no datagram is that long")
    staged.removeAll(keepingCapacity: true)
    empty(0)
    unsafe datagrams[0].bytes.update(from: bytes, count: bytes.count)
    unsafe datagrams[0].count = bytes.count
    return 0
  }

  /// Who sent it. An IPv4-mapped address is unmapped.
  package func source(of index: Int) -> SocketAddress {
    check(index)
    // The kernel names the source of every datagram: there is no other case.
    return SocketAddress(unsafe datagrams[index].source) ?? SocketAddress(.unspecified4, port: 0)
  }

  package func byteCount(of index: Int) -> Int {
    check(index)
    return unsafe datagrams[index].count
  }

  /// Lends the datagram's octets.
  @inlinable
  package func withBytes<Result, Failure>(
    of index: Int, _ body: (Span<UInt8>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try body(unsafe bytes(of: index).span)
  }

  @usableFromInline
  func bytes(of index: Int) -> UnsafeBufferPointer<UInt8> {
    check(index)
    return unsafe UnsafeBufferPointer(start: datagrams[index].bytes, count: datagrams[index].count)
  }

  /// A copy of the datagram's octets, to be kept.
  package func copy(of index: Int) -> [UInt8] {
    unsafe Array(bytes(of: index))
  }

  // MARK: Taking headers off and putting them on

  /// Takes off the first `count` octets.
  package func dropFirst(_ count: Int, of index: Int) {
    precondition(0 <= count && count <= byteCount(of: index), "the datagram is shorter")
    unsafe datagrams[index].bytes += count
    unsafe datagrams[index].count -= count
  }

  /// What fits into one datagram to `destination`, in octets (RFC 768, RFC 8200).
  package static func largestByteCount(towards destination: IPAddress) -> Int {
    switch destination {
    case .v4: 65_535 - 20 - 8
    case .v6: 65_535 - 8
    }
  }

  /// Puts `header` before the datagram. False, and nothing is changed, when the whole would not fit into a datagram
  /// to `destination`, the one it will be sent to in the end.
  package func prepend(_ header: [UInt8], to index: Int, towards destination: IPAddress) -> Bool {
    prepend(count: header.count, to: index, towards: destination) { output in
      for octet in header { output.append(octet) }
    }
  }

  /// Puts `count` octets before the datagram, which `write` must write. False, and nothing is changed, when the whole
  /// would not fit into a datagram to `destination`, the one it will be sent to in the end.
  package func prepend(
    count: Int, to index: Int, towards destination: IPAddress, _ write: (inout OutputSpan<UInt8>) -> Void
  ) -> Bool {
    check(index)
    let free = unsafe datagrams[index].bytes - slot(index)
    guard 0 <= count, count <= free,
      byteCount(of: index) + count <= Self.largestByteCount(towards: destination)
    else { return false }
    let header = unsafe UnsafeMutableBufferPointer(start: datagrams[index].bytes - count, count: count)
    var output = unsafe OutputSpan(buffer: header, initializedCount: 0)
    write(&output)
    let written = unsafe output.finalize(for: header)
    precondition(written == count, "a header of another length was announced")
    unsafe datagrams[index].bytes -= count
    unsafe datagrams[index].count += count
    return true
  }

  // MARK: Sending

  /// Marks the datagram to be sent behind those marked before, to where the socket is connected to if `destination` is
  /// `nil`. Each may be marked once.
  package func stage(_ index: Int, to destination: SocketAddress?) {
    check(index)
    precondition(staged.count < Self.capacity, "a datagram was staged twice")
    unsafe datagrams[index].destination = destination?.linux ?? linux_address()
    staged.append(UInt8(index))
  }

  /// What became of the datagrams that were staged.
  package struct SendResult {
    package fileprivate(set) var sent = 0
    /// Those that were not sent, in order.
    package fileprivate(set) var failures: [(index: Int, error: Errno)] = []
  }

  /// Sends what is staged, in order, and clears the stage.
  ///
  /// A datagram that the kernel refuses for its own sake is left out and the others follow. When there is no room
  /// (`wouldBlock`, `noBufferSpace`), the rest is dropped. An error that ICMP left on the socket is no datagram's fault.
  package func send(on socket: borrowing UDPSocket) -> SendResult {
    var result = SendResult()
    var next = 0
    var isRepeated = false
    while next < staged.count {
      do {
        let count = try sendNow(from: next, on: socket)
        result.sent += count
        next += count
        isRepeated = false
      } catch .connectionRefused where !isRepeated {
        isRepeated = true
      } catch {
        let isFull = error == .wouldBlock || error == .noBufferSpace
        let end = isFull ? staged.count : next + 1
        for index in staged[next..<end] { result.failures.append((Int(index), error)) }
        next = end
        isRepeated = false
      }
    }
    staged.removeAll(keepingCapacity: true)
    return result
  }

  private func sendNow(from start: Int, on socket: borrowing UDPSocket) throws(Errno) -> Int {
    try unsafe staged.withUnsafeBufferPointer { order throws(Errno) in
      let rest = unsafe UnsafeBufferPointer(rebasing: order[start...])
      return Int(
        try Errno.check(
          unsafe linux_send_datagrams(
            socket.descriptor.rawValue, datagrams, rest.baseAddress, Int32(rest.count))))
    }
  }
}
