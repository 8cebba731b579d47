/// Why a system call failed.
///
/// A deadline that passed is `timedOut` and a cancelled task `cancelled`, as if the kernel had said so.
package struct Errno: Error, Hashable, Sendable {
  package let rawValue: Int32

  package init(rawValue: Int32) {
    self.rawValue = rawValue
  }

  package static let noSuchFile = Errno(rawValue: 2)
  package static let permissionDenied = Errno(rawValue: 13)
  package static let notPermitted = Errno(rawValue: 1)
  package static let wouldBlock = Errno(rawValue: 11)
  package static let outOfMemory = Errno(rawValue: 12)
  package static let invalidArgument = Errno(rawValue: 22)
  package static let noSpace = Errno(rawValue: 28)
  package static let tooManyOpenFilesInSystem = Errno(rawValue: 23)
  package static let tooManyOpenFiles = Errno(rawValue: 24)
  package static let brokenPipe = Errno(rawValue: 32)
  package static let protocolError = Errno(rawValue: 71)
  package static let messageTooLarge = Errno(rawValue: 90)
  package static let addressFamilyNotSupported = Errno(rawValue: 97)
  package static let addressInUse = Errno(rawValue: 98)
  package static let addressNotAvailable = Errno(rawValue: 99)
  package static let networkDown = Errno(rawValue: 100)
  package static let networkUnreachable = Errno(rawValue: 101)
  package static let connectionAborted = Errno(rawValue: 103)
  package static let connectionReset = Errno(rawValue: 104)
  package static let noBufferSpace = Errno(rawValue: 105)
  package static let notConnected = Errno(rawValue: 107)
  package static let timedOut = Errno(rawValue: 110)
  package static let connectionRefused = Errno(rawValue: 111)
  package static let hostDown = Errno(rawValue: 112)
  package static let hostUnreachable = Errno(rawValue: 113)
  package static let inProgress = Errno(rawValue: 115)
  package static let cancelled = Errno(rawValue: 125)

  /// The process or the system has no room for another descriptor or buffer, or to watch one (`noSpace`, epoll_ctl(2)).
  package var isShortage: Bool {
    [.tooManyOpenFiles, .tooManyOpenFilesInSystem, .noBufferSpace, .outOfMemory, .noSpace].contains(self)
  }

  /// The peer, or the network towards it, made a system call on a socket fail. `permissionDenied` and `notPermitted` are
  /// the words of a local firewall for a peer that may not be reached.
  package var isPeers: Bool {
    switch self {
    case .connectionRefused, .connectionReset, .connectionAborted, .notConnected, .brokenPipe, .timedOut,
      .protocolError, .networkDown, .networkUnreachable, .hostDown, .hostUnreachable,
      .addressFamilyNotSupported,
      .permissionDenied, .notPermitted:
      true
    // ENONET, ENOPROTOOPT and EOPNOTSUPP: what the kernel makes of ICMP's unreachable codes 8, 2 and 5.
    default: [64, 92, 95].contains(rawValue)
    }
  }

  /// A system call on a socket failed for a reason of this machine: memory, descriptors, local ports
  /// (`addressNotAvailable`, or `wouldBlock`, from connect(2)), or one that only its kernel knows. That says nothing of
  /// the peer.
  package var isOurs: Bool { !isPeers && self != .cancelled }

  /// The answer of a `CLinux` call, of which negative ones are errors.
  @inline(__always)
  static func check<Answer: SignedInteger>(_ answer: Answer) throws(Errno) -> Answer {
    guard answer < 0 else { return answer }
    throw Errno(rawValue: Int32(-answer))
  }
}

extension Errno: CustomStringConvertible {
  /// A few lower-case words, as the log writes them: `connection refused`.
  package var description: String {
    switch self {
    case .noSuchFile: "no such file"
    case .permissionDenied: "permission denied"
    case .wouldBlock: "resource temporarily unavailable"
    case .notPermitted: "operation not permitted"
    case .outOfMemory: "out of memory"
    case .invalidArgument: "invalid argument"
    case .noSpace: "too many watched descriptors"
    case .tooManyOpenFilesInSystem, .tooManyOpenFiles: "too many open files"
    case .brokenPipe: "broken pipe"
    case .protocolError: "protocol error"
    case .messageTooLarge: "message too large"
    case .addressFamilyNotSupported: "address family not supported"
    case .addressInUse: "address already in use"
    case .addressNotAvailable: "address not available"
    case .networkDown: "network down"
    case .networkUnreachable: "network unreachable"
    case .connectionAborted: "connection aborted"
    case .connectionReset: "connection reset"
    case .noBufferSpace: "no buffer space"
    case .notConnected: "not connected"
    case .timedOut: "timed out"
    case .connectionRefused: "connection refused"
    case .hostDown: "host down"
    case .hostUnreachable: "host unreachable"
    case .cancelled: "cancelled"
    default: "errno \(rawValue)"
    }
  }
}
