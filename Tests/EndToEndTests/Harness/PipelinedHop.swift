import Foundation
import Testing

/// A SOCKS5 server that reads as its kind does, and answers for the destination itself.
final class PipelinedHop: Sendable {
  static let target = "127.0.0.9:80"
  static let success: [UInt8] = [5, 0, 0, 1, 127, 0, 0, 9, 0, 80]

  enum Kind {
    /// Takes what comes, message by message.
    case honest
    /// Takes a packet for a message, as microsocks does: what comes behind it is lost.
    case forgetful
    /// Closes where more comes than it has asked for.
    case strict
    /// Takes no more connections: it closes them.
    case full
  }

  /// What came first, of each client.
  let first = Recorder<[UInt8]>()
  /// Of requests.
  let destinations = Recorder<String>()
  let kind: Locked<Kind>
  /// It closes what asks for that destination in one flight.
  let closesFlightsTo = Locked<String?>(nil)
  private let server: Server

  init(_ kind: Kind) throws {
    let kind = Locked(kind)
    self.kind = kind
    server = try Server { [first, destinations, closesFlightsTo] client in
      guard case .bytes(let bytes) = try client.receive(upTo: 1024) else { return }
      let closesAtOnce = kind.withLock { $0 == .full || $0 == .strict && bytes.count > 3 }
      first.record(bytes)
      if closesAtOnce { return }
      let closes = closesFlightsTo.withLock { $0 }.map {
        Array(bytes.dropFirst(3)) == SOCKS.connect(to: $0)
      }
      if closes == true { return }
      try client.send(5, 0)
      if kind.withLock({ $0 == .honest }), bytes.count > 3 {
        let name = "pipelining.invalid"
        let isTrial = String(decoding: bytes, as: UTF8.self).contains(name)
        destinations.record(isTrial ? name : "another")
        try client.send(isTrial ? SOCKS.failure(4) : PipelinedHop.success + Array("hi".utf8))
      } else {
        destinations.record(try client.receiveRequest())
        try client.send(PipelinedHop.success + Array("hi".utf8))
      }
      _ = try client.receiveToEnd()
    }
  }

  var address: String { server.address }
}

/// Tests with such hops.
protocol VisitingHops {}

extension VisitingHops {
  typealias Hop = PipelinedHop

  static var target: String { Hop.target }

  static var success: [UInt8] { Hop.success }

  /// Through `sockeye` to the destination that answers "hi".
  static func visit(_ sockeye: Sockeye) throws {
    let client = try Socket(to: sockeye.address)
    #expect(try client.requestConnect(to: target).code == 0)
    #expect(try client.receive(exactly: 2) == Array("hi".utf8))
  }

  /// What clients caused: Sockeye's own trials ask for a name that does not exist.
  static func withoutTrials(_ hop: Hop) -> [[UInt8]] {
    hop.first.all.filter { !String(decoding: $0, as: UTF8.self).contains("pipelining.invalid") }
  }

  /// Visits until that takes one connection, which is asked one thing at a time.
  static func waitForLockstep(_ sockeye: Sockeye, _ hop: Hop) throws {
    try eventually("the hop is still told everything at once") {
      let before = withoutTrials(hop).count
      let client = try Socket(to: sockeye.address)
      let code = try client.requestConnect(to: target).code
      return code == 0 && withoutTrials(hop).dropFirst(before).map(\.count) == [3]
    }
  }
}
