import DNS
import Routing
import Testing
import Transport
import Wire

@testable import Proxy

/// Whose a failure is, and so whether another way is tried.
struct BlameTests {
  static let lastHop = Failure.Place.hop(1, of: 2, name: "tor")
  static let firstHop = Failure.Place.hop(0, of: 2, name: "office")

  @Test(
    arguments: [
      Failure(firstHop, .connect, .system(.connectionRefused)),
      Failure(firstHop, .resolve, .resolution(.notFound)),
      Failure(lastHop, .connect, .reply(.connectionRefused)),
      Failure(firstHop, .greet, .closed), Failure(lastHop, .greet, .system(.timedOut)),
      Failure(lastHop, .authenticate, .credentials), Failure(lastHop, .request, .closed),
      Failure(firstHop, .request, .system(.timedOut)), Failure(firstHop, .request, .reply(.notAllowed)),
      Failure(lastHop, .request, .violation(.version(4))),
      Failure(lastHop, .request, .socks4Reply(.identMismatch)),
    ])
  func `a hop that fails in a phase of its own is down`(failure: Failure) {
    #expect(failure.blame == .hop)
  }

  @Test(arguments: 1...8 as ClosedRange<UInt8>)
  func `what the last hop says of the destination is no failure of the hop`(code: UInt8) {
    let failure = Failure(Self.lastHop, .request, .reply(SOCKS5.ReplyCode(rawValue: code)))
    #expect(failure.blame == ([1, 7, 8].contains(code) ? .nobody : .destination))
  }

  @Test(
    arguments: [
      (.forbidden, true), (.badGateway, true), (.gatewayTimeout, true), (.serviceUnavailable, false),
    ] as [(HTTP.Status, Bool)])
  func `so is what a gateway says of it`(status: HTTP.Status, isDestination: Bool) {
    let failure = Failure(Self.lastHop, .request, .status(status))
    #expect(failure.blame == (isDestination ? .destination : .nobody))
  }

  @Test func `SOCKS4 has one word for all that destinations do`() {
    #expect(Failure(Self.lastHop, .request, .socks4Reply(.rejected)).blame == .destination)
  }

  @Test func `that nothing is heard may be the destination's or the last hop's`() {
    #expect(Failure(Self.lastHop, .request, .system(.timedOut)).blame == .silence)
  }

  @Test(
    arguments: [
      Failure(firstHop, .connect, .system(.tooManyOpenFiles)),
      Failure(firstHop, .connect, .system(.cancelled)),
      Failure(firstHop, .resolve, .resolution(.overloaded)),
      Failure(.destination, .connect, .system(.timedOut)),
      Failure(.client, .relay, .closed),
    ])
  func `what is ours or the destination's is not tried another way`(failure: Failure) {
    #expect(failure.blame == .destination)
  }

  @Test(
    arguments: [
      Failure(lastHop, .associate, .reply(.commandNotSupported)),
      Failure(lastHop, .request, .beyondSOCKS4(.name)), Failure(lastHop, .request, .beyondHTTP),
    ])
  func `what a hop cannot do for this request does not mean that it is down`(failure: Failure) {
    #expect(failure.blame == .nobody)
  }
}
