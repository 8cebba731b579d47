import CLinux

/// One direction of a relay: what one stream receives goes out on another.
///
/// Bytes are read into the loop's scratch buffer and written at once; only what a slow receiver did not take is kept,
/// so an idle direction holds no buffer. A busy one, known by two full reads in a row, moves through a pipe with
/// splice(2), which copies nothing, until it slows down; the pipe goes back whenever it runs dry.
package struct RelayDirection {
  package enum Progress: Hashable, Sendable {
    /// Nothing more has arrived.
    case awaitsSource
    /// The receiver takes no more for now.
    case awaitsSink
    /// There is more to move, but others on the loop have a turn first.
    case more
    /// The source ended, and the sink was told so after its last byte.
    case ended
  }

  /// Which end failed, and how.
  package struct Fault: Error, Hashable, Sendable {
    package let isSource: Bool
    package let error: Errno
  }

  /// Bytes the sink has taken, and that no reset took back.
  package private(set) var byteCount: UInt64 = 0
  private(set) var pipe: Pipe?
  /// What the sink did not take of a read.
  private var kept: [UInt8]
  /// Bytes in the pipe, or the start of what is left of `kept`.
  private(set) var position: Int32 = 0
  package private(set) var progress = Progress.more
  /// The last read filled the scratch buffer.
  private var hasReadFully = false
  private var isBusy = false
  private var isLast = false
  /// The source ended, and the sink has still to be told.
  private var isEnding = false
  /// Only what is held already goes out.
  private var readsNoMore = false

  /// How much one step may move before others have a turn, in bytes.
  private static let turn = 1 << 20
  /// A step that moves less than this has nothing left to save by splicing, in bytes.
  private static let trickle = 16 * 1024

  /// - Parameter early: bytes the source sent before the relay began; they go first.
  package init(early: [UInt8] = []) {
    kept = early
  }

  /// Moves bytes until either end would block, the source ends, or the turn is over.
  ///
  /// - Parameter isLast: the other direction has ended, so that both streams are closed when this one ends too: the
  ///   sink need not be told twice.
  package mutating func step(
    from source: borrowing TCPStream, to sink: borrowing TCPStream, isLast: Bool = false
  ) throws(Fault) {
    progress = .more
    self.isLast = isLast
    let start = byteCount
    while progress == .more, byteCount - start < Self.turn {
      if isEnding {
        try end(sink)
        break
      }
      if isBusy, pipe == nil, kept.isEmpty {
        pipe = source.loop.takePipe()
        position = 0
        isBusy = pipe != nil
      }
      if pipe != nil {
        try spliceOnce(from: source, to: sink)
        // Unlike read(2), splice(2) does not get past an urgent octet.
        if progress == .awaitsSource, byteCount == start {
          isBusy = false
          progress = .more
        }
      } else if !kept.isEmpty {
        try flush(to: sink)
      } else if readsNoMore {
        progress = .awaitsSource
      } else {
        try copyOnce(from: source, to: sink)
      }
    }
    // A trickle is cheaper to copy than to splice.
    if progress == .awaitsSource, byteCount - start < Self.trickle { isBusy = false }
  }

  /// Lets only that go out which was read before.
  package mutating func stopReading() { readsNoMore = true }

  /// Counts `count` bytes no more that the sink's kernel took, and that a reset is about to destroy.
  package mutating func takeBack(_ count: Int) {
    byteCount -= min(byteCount, UInt64(count))
  }

  /// Gives the pipe back; to be called when the relay ends.
  package mutating func release(on loop: EventLoop) {
    // A pipe that still holds bytes must not serve another tunnel: it is closed.
    if let pipe, position == 0 { loop.returnPipe(pipe) }
    pipe = nil
  }
}

// MARK: - Copying

extension RelayDirection {
  private mutating func copyOnce(
    from source: borrowing TCPStream, to sink: borrowing TCPStream
  ) throws(Fault) {
    let scratch = unsafe source.loop.scratch
    guard
      let count = try Self.attempt(
        isSource: true, { () throws(Errno) in try unsafe source.readNow(into: scratch) })
    else {
      progress = .awaitsSource
      return
    }
    guard count > 0 else { return try end(sink) }

    let bytes = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(rebasing: scratch[..<count]))
    let written = try Self.attempt(isSource: false) { () throws(Errno) in try sink.writeNow(bytes) } ?? 0
    byteCount += UInt64(written)
    if written < count {
      kept = unsafe Array(scratch[written..<count])
      position = 0
      progress = .awaitsSink
    } else if count < scratch.count {
      // A short read has emptied the socket: whatever comes next is a new edge.
      hasReadFully = false
      progress = .awaitsSource
    } else {
      // What is encrypted passes through here.
      isBusy = hasReadFully && !source.isSecured && !sink.isSecured
      hasReadFully = true
    }
  }

  private mutating func flush(to sink: borrowing TCPStream) throws(Fault) {
    let written = try Self.attempt(isSource: false) { () throws(Errno) in
      try unsafe sink.writeNow(kept.span.bytes.extracting(droppingFirst: Int(position)))
    }
    guard let written else {
      progress = .awaitsSink
      return
    }
    byteCount += UInt64(written)
    position += Int32(written)
    if position == kept.count {
      kept = []
      position = 0
    }
  }

  private mutating func end(_ sink: borrowing TCPStream) throws(Fault) {
    var isTold = true
    // With TLS, a stream that closes without a word has been cut.
    if !isLast || sink.isSecured {
      isTold = try Self.attempt(isSource: false) { () throws(Errno) in try sink.shutdownWriting() } ?? false
    }
    isEnding = !isTold
    progress = isTold ? .ended : .awaitsSink
  }
}

// MARK: - Splicing

extension RelayDirection {
  private mutating func spliceOnce(
    from source: borrowing TCPStream, to sink: borrowing TCPStream
  ) throws(Fault) {
    guard let pipe else { return }
    if position > 0 {
      let moved = try Self.attempt(isSource: false) { () throws(Errno) in
        try Self.splice(pipe.readEnd, sink.descriptor.descriptor)
      }
      guard let moved else {
        progress = .awaitsSink
        return
      }
      byteCount += UInt64(moved)
      position -= Int32(moved)
      return
    }
    if readsNoMore {
      progress = .awaitsSource
      return
    }

    // The pipe is empty, so "would block" can only mean the source.
    let moved = try Self.attempt(isSource: true) { () throws(Errno) in
      try Self.splice(source.descriptor.descriptor, pipe.writeEnd)
    }
    if let moved, moved > 0 {
      position = Int32(moved)
      return
    }
    release(on: source.loop)
    if moved == nil { progress = .awaitsSource } else { try end(sink) }
  }

  private static func splice(
    _ source: borrowing FileDescriptor, _ sink: borrowing FileDescriptor
  ) throws(Errno) -> Int {
    Int(try Errno.check(linux_splice(source.rawValue, sink.rawValue, Pipe.capacity)))
  }

  /// The answer, `nil` for "would block", or the fault of that end.
  private static func attempt<Result>(
    isSource: Bool, _ body: () throws(Errno) -> Result
  ) throws(Fault) -> Result? {
    do {
      return try body()
    } catch .wouldBlock {
      return nil
    } catch {
      throw Fault(isSource: isSource, error: error)
    }
  }
}
