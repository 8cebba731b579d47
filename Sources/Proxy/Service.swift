/// What a session is once its client has been answered.
enum Service {
  case tunnel(TCPRelay)
  case association(Association, ControlConnection)

  /// Serves until the end.
  func run() async {
    switch self {
    case .tunnel(let relay): await relay.run()
    case .association(let association, let control): await association.run(control)
    }
  }

  /// Enters into the closing event how it went.
  func tell(_ event: inout Event) {
    switch self {
    case .tunnel(let relay):
      event.ending = relay.ending.map(Event.Ending.init) ?? .stopped
      event.up = relay.up.byteCount
      event.down = relay.down.byteCount
    case .association(let association, _):
      event.ending = association.ending ?? .stopped
      event.up = association.up.bytes
      event.down = association.down.bytes
      event.datagrams = Event.Datagrams(
        up: association.up.datagrams, down: association.down.datagrams, drops: association.drops)
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
