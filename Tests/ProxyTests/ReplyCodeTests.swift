import DNS
import Proxy
import Testing
import Transport
import Wire

/// What a client is told of each way to fail; a code is all that RFC 1928 §6 lets it know.
struct ReplyCodeTests {
  static let lastHop = Failure.Place.hop(1, of: 2, name: "tor")
  static let firstHop = Failure.Place.hop(0, of: 2, name: "office")

  @Test(
    arguments: [
      (.connectionRefused, .connectionRefused), (.connectionReset, .connectionRefused),
      (.networkUnreachable, .networkUnreachable), (.networkDown, .networkUnreachable),
      (.hostUnreachable, .hostUnreachable), (.hostDown, .hostUnreachable),
      (.timedOut, .ttlExpired),
      (.addressFamilyNotSupported, .addressTypeNotSupported),
      (.addressNotAvailable, .generalFailure), (.outOfMemory, .generalFailure),
      (.permissionDenied, .generalFailure), (.notPermitted, .generalFailure),
      (.tooManyOpenFiles, .generalFailure), (.tooManyOpenFilesInSystem, .generalFailure),
      (.noBufferSpace, .generalFailure), (.cancelled, .generalFailure),
    ] as [(Errno, SOCKS5.ReplyCode)])
  func `a failure to reach the destination is told as what it is`(error: Errno, code: SOCKS5.ReplyCode) {
    #expect(SOCKS5.ReplyCode(Failure(.destination, .connect, .system(error))) == code)
    // The same of a hop is nothing the destination did, and nothing a client could do anything about.
    #expect(SOCKS5.ReplyCode(Failure(Self.firstHop, .connect, .system(error))) == .generalFailure)
    #expect(SOCKS5.ReplyCode(Failure(Self.lastHop, .connect, .system(error))) == .generalFailure)
  }

  @Test(
    arguments: [
      .notFound, .noData, .serverFailure, .malformed, .timedOut,
    ] as [ResolutionFailure])
  func `a destination's name without an address is 04, a hop's is 01`(failure: ResolutionFailure) {
    #expect(SOCKS5.ReplyCode(Failure(.destination, .resolve, .resolution(failure))) == .hostUnreachable)
    #expect(SOCKS5.ReplyCode(Failure(Self.firstHop, .resolve, .resolution(failure))) == .generalFailure)
  }

  @Test(arguments: [.overloaded(limit: 1), .cancelled, .shortage(.tooManyOpenFiles)] as [ResolutionFailure])
  func `a name that we had no time for is no fault of its own: 01`(failure: ResolutionFailure) {
    #expect(SOCKS5.ReplyCode(Failure(.destination, .resolve, .resolution(failure))) == .generalFailure)
  }

  @Test func `what the rules refuse late is 02 all the same`() {
    #expect(SOCKS5.ReplyCode(Failure(.destination, .connect, .rejected(route: "private"))) == .notAllowed)
    #expect(SOCKS5.ReplyCode(Failure(.destination, .connect, .ownListener)) == .notAllowed)
    #expect(SOCKS5.ReplyCode(Failure(.destination, .connect, .notDialable)) == .notAllowed)
    #expect(SOCKS5.ReplyCode(Failure(Self.firstHop, .connect, .ownListener)) == .generalFailure)
    #expect(SOCKS5.ReplyCode(Failure(Self.firstHop, .connect, .notDialable)) == .generalFailure)
  }

  @Test func `the last hop speaks for the destination`() {
    for octet in UInt8(1)...255 {
      let code = SOCKS5.ReplyCode(rawValue: octet)
      let told = octet <= 8 ? code : .generalFailure
      #expect(SOCKS5.ReplyCode(Failure(Self.lastHop, .request, .reply(code))) == told)
      // What a hop says of the next one concerns the chain.
      #expect(SOCKS5.ReplyCode(Failure(Self.lastHop, .connect, .reply(code))) == .generalFailure)
      #expect(SOCKS5.ReplyCode(Failure(Self.firstHop, .request, .reply(code))) == .generalFailure)
    }
    #expect(SOCKS5.ReplyCode(Failure(Self.lastHop, .request, .system(.timedOut))) == .ttlExpired)
    #expect(SOCKS5.ReplyCode(Failure(Self.firstHop, .request, .system(.timedOut))) == .generalFailure)
  }

  @Test(
    arguments: [
      (.greet, .method(.noneAcceptable)), (.greet, .method(.gssapi)), (.greet, .violation(.version(4))),
      (.greet, .closed), (.greet, .system(.timedOut)), (.authenticate, .credentials), (.request, .closed),
      (.request, .violation(.addressType(9))), (.request, .system(.connectionReset)),
    ] as [(Failure.Phase, Failure.Cause)])
  func `a hop that breaks the protocol or refuses us is 01`(phase: Failure.Phase, cause: Failure.Cause) {
    #expect(SOCKS5.ReplyCode(Failure(Self.lastHop, phase, cause)) == .generalFailure)
    #expect(SOCKS5.ReplyCode(Failure(Self.firstHop, phase, cause)) == .generalFailure)
  }

  @Test(
    arguments: [
      (.forbidden, .notAllowed), (.badGateway, .hostUnreachable), (.serviceUnavailable, .hostUnreachable),
      (.notFound, .hostUnreachable), (.gatewayTimeout, .ttlExpired), (.badRequest, .generalFailure),
      (HTTP.Status(rawValue: 500), .generalFailure), (.switchingProtocols, .generalFailure),
    ] as [(HTTP.Status, SOCKS5.ReplyCode)])
  func `the last hop speaks for the destination in HTTP too`(status: HTTP.Status, code: SOCKS5.ReplyCode) {
    #expect(SOCKS5.ReplyCode(Failure(Self.lastHop, .request, .status(status))) == code)
    #expect(SOCKS5.ReplyCode(Failure(Self.lastHop, .connect, .status(status))) == .generalFailure)
    #expect(SOCKS5.ReplyCode(Failure(Self.firstHop, .request, .status(status))) == .generalFailure)
  }

  @Test func `HTTP knows one command: 07 for all others`() {
    #expect(SOCKS5.ReplyCode(Failure(Self.lastHop, .request, .beyondHTTP)) == .commandNotSupported)
  }

  @Test(
    arguments: [
      (.destination, .connect, .system(.connectionRefused), .badGateway),
      (.destination, .connect, .system(.hostUnreachable), .badGateway),
      (.destination, .connect, .system(.timedOut), .gatewayTimeout),
      (.destination, .resolve, .resolution(.notFound), .badGateway),
      (.destination, .resolve, .resolution(.timedOut), .gatewayTimeout),
      (.destination, .resolve, .resolution(.overloaded(limit: 1)), .serviceUnavailable),
      (.destination, .resolve, .resolution(.shortage(.outOfMemory)), .serviceUnavailable),
      (.destination, .connect, .system(.tooManyOpenFiles), .serviceUnavailable),
      (.destination, .connect, .system(.addressNotAvailable), .serviceUnavailable),
      (.destination, .connect, .rejected(route: "private"), .forbidden),
      (.destination, .connect, .ownListener, .forbidden), (.destination, .connect, .notDialable, .forbidden),
      (lastHop, .request, .reply(.notAllowed), .forbidden),
      (lastHop, .connect, .reply(.notAllowed), .badGateway),
      (firstHop, .request, .reply(.notAllowed), .badGateway),
      (lastHop, .request, .status(.forbidden), .forbidden),
      (lastHop, .connect, .status(.forbidden), .badGateway),
      (lastHop, .request, .reply(.connectionRefused), .badGateway),
      (lastHop, .request, .reply(.ttlExpired), .gatewayTimeout),
      (lastHop, .request, .status(.gatewayTimeout), .gatewayTimeout),
      (lastHop, .request, .status(.serviceUnavailable), .badGateway),
      (firstHop, .connect, .system(.timedOut), .gatewayTimeout),
      (firstHop, .connect, .ownListener, .badGateway),
      (firstHop, .authenticate, .credentials, .badGateway), (lastHop, .request, .closed, .badGateway),
    ] as [(Failure.Place, Failure.Phase, Failure.Cause, HTTP.Status)])
  func `a client that speaks HTTP is told by a status`(
    place: Failure.Place, phase: Failure.Phase, cause: Failure.Cause, status: HTTP.Status
  ) {
    #expect(HTTP.Status(Failure(place, phase, cause)) == status)
  }
}
