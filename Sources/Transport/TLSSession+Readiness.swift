import TLS

/// How a session looks to a stream: it answers as the kernel would.
extension TLSSession {
  /// What the descriptor has to become before the stream can be read or written on.
  func readiness(for wanted: Readiness) -> Readiness {
    // What is asked of the connection itself is no business of the session's.
    var readiness = wanted.subtracting([.readable, .writable])
    if wanted.contains(.readable) { readiness.formUnion(Readiness(readingAwaits)) }
    if wanted.contains(.writable) { readiness.formUnion(Readiness(writingAwaits)) }
    return readiness
  }

  /// Whether there is no need to wait for the descriptor: the session may go on with what it has, or in its next turn.
  func isReady(for wanted: Readiness) -> Bool {
    wanted.contains(.readable) && !isDrained || wanted.contains(.writable) && writingAwaits == .turn
  }

  func readNow(into buffer: UnsafeMutableRawBufferPointer) throws(Errno) -> Int {
    try Self.count { () throws(TLSFailure) in try unsafe read(into: buffer) }
  }

  func writeNow(_ bytes: UnsafeRawBufferPointer) throws(Errno) -> Int {
    try Self.count { () throws(TLSFailure) in try unsafe write(bytes) }
  }

  private static func count(_ operation: () throws(TLSFailure) -> Progress) throws(Errno) -> Int {
    let progress: Progress
    do throws(TLSFailure) {
      progress = try operation()
    } catch {
      throw Errno(error)
    }
    switch progress {
    case .moved(let count): return count
    case .awaits: throw .wouldBlock
    }
  }
}

extension Readiness {
  init(_ awaited: TLSSession.Awaited) {
    self =
      switch awaited {
      case .readable: .readable
      case .writable: .writable
      case .turn: []
      }
  }
}

extension Errno {
  /// What comes closest: a stream that ended without a word was reset, since it may have been cut.
  init(_ failure: TLSFailure) {
    self =
      switch failure {
      case .system(let error): Errno(rawValue: error)
      case .truncated: .connectionReset
      case .alert, .certificate, .notTLS, .flood, .violation: .protocolError
      }
  }
}
