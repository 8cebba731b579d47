/// What a session is once its client has been answered.
enum Service {
  case tunnel(TCPRelay)

  /// Serves until the end.
  func run() async {
    switch self {
    case .tunnel(let relay): await relay.run()
    }
  }

  /// Enters into the closing event how it went.
  func tell(_ event: inout Event) {
    switch self {
    case .tunnel(let relay):
      event.ending = relay.ending.map(Event.Ending.init) ?? .stopped
      event.up = relay.up.byteCount
      event.down = relay.down.byteCount
    }
  }
}

extension Event.Ending {
  fileprivate init(_ ending: TCPRelay.Ending) {
    self =
      switch ending {
      case .finished: .finished
      case .reset: .reset
      case .idle: .idle
      case .stopped: .stopped
      }
  }
}
