import DNS
import Transport

extension Failure {
  /// This machine ran short of something, or a limit of this program was reached: that says nothing of the hop, nor of the
  /// destination.
  package var isOurs: Bool { cause.isOurs }
}

extension Failure.Cause {
  /// No memory or descriptor is left, which closing warm tunnels gives back.
  var isShortage: Bool {
    switch self {
    case .system(let error), .resolution(.shortage(let error)): error.isShortage
    default: false
    }
  }

  /// connect(2) found no local port that is not taken towards the same endpoint.
  var isLackOfPorts: Bool { self == .system(.addressNotAvailable) || self == .system(.wouldBlock) }

  /// This machine ran short of something, or a limit of this program was reached.
  package var isOurs: Bool {
    switch self {
    case .system(let error): error.isOurs
    case .resolution(let failure): failure.isOurs
    case .overLimit, .noPort: true
    default: false
    }
  }
}

extension Errno {
  /// What the machine ran short of, for an error that is its own: `no local port is left`.
  package var shortage: String {
    switch self {
    case .addressNotAvailable, .wouldBlock: "no local port is left"
    case .tooManyOpenFiles, .tooManyOpenFilesInSystem: "no descriptor is left"
    case .noSpace: "no more descriptors can be watched"
    case .outOfMemory, .noBufferSpace: "no memory is left"
    default: "the system failed (\(self))"
    }
  }
}
