import Addresses
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
      Failure(firstHop, .tls, .tls(.notTLS)),
      Failure(lastHop, .connect, .reply(.connectionRefused)),
      Failure(firstHop, .greet, .closed), Failure(lastHop, .greet, .system(.timedOut)),
      Failure(lastHop, .authenticate, .credentials),
    ])
  func `a hop that cannot be connected to, or does not admit us, is down`(failure: Failure) {
    #expect(failure.blame == .hop)
  }

  @Test(
    arguments: [
      (.connect, .reply(.connectionRefused), .hop), (.connect, .status(.notFound), .hop),
      (.authenticate, .credentials, .hop),
      // No answer, or none to what was asked: the request may be the reason.
      (.connect, .system(.timedOut), .suspect), (.greet, .closed, .suspect),
      (.greet, .violation(.version(72)), .suspect), (.greet, .method(.noneAcceptable), .suspect),
      (.authenticate, .system(.connectionReset), .suspect),
      (.authenticate, .status(.init(rawValue: 407)), .suspect),
      (.resolve, .resolution(.notFound), .hop),
    ] as [(Failure.Phase, Failure.Cause, Failure.Blame)])
  func `a clear answer before the client's request takes a hop down, also in one flight with it`(
    phase: Failure.Phase, cause: Failure.Cause, blame: Failure.Blame
  ) {
    var failure = Failure(Self.lastHop, phase, cause)
    failure.noteRequestUnderway()
    #expect(failure.blame == blame)
    // As an HTTP hop's refusal of a login, which answers the request.
    guard phase == .authenticate else { return }
    failure.hasRequestUnderway = true
    #expect(failure.blame == .suspect)
  }

  @Test(
    arguments: [
      .closed, .system(.connectionReset), .system(.brokenPipe), .system(.timedOut), .violation(.version(4)),
      .http(.notHTTP), .tls(.notTLS), .socks4Reply(.identUnreachable), .socks4Reply(.identMismatch),
    ] as [Failure.Cause])
  func `a hop that does not answer a request is suspect, and not down`(cause: Failure.Cause) {
    #expect(Failure(Self.lastHop, .request, cause).blame == .suspect)
    // To a request for datagrams any reply is one.
    if case .socks4Reply = cause { return }
    #expect(Failure(Self.lastHop, .associate, cause).blame == .suspect)
    #expect(Failure(Self.firstHop, .relay, cause).blame == .suspect)
  }

  @Test(
    arguments: [
      .closed, .system(.connectionReset), .system(.brokenPipe), .system(.timedOut), .violation(.version(4)),
      .http(.notHTTP),
    ] as [Failure.Cause])
  func `a hop that does not open the way to the next one takes neither down`(
    cause: Failure.Cause
  ) {
    let failure = Failure(Self.firstHop, .request, cause)
    #expect(failure.blame == .suspect)
    let findings = (0..<2).map { Failure.Finding(of: failure, as: failure.blame, at: $0) }
    #expect(findings == [.shown(.admission), .doubtful(hasAdmitted: false)])
    // Of the last hop it is the destination that was asked for.
    let last = Failure(Self.lastHop, .request, cause)
    #expect(
      (0..<2).map { Failure.Finding(of: last, as: last.blame, at: $0) }
        == [.shown(.answer), .doubtful(hasAdmitted: true)])
  }

  @Test
  func `an answer that may be the hop's own failure does not take the next hop down`() {
    let clear: [Failure.Cause] =
      [.networkUnreachable, .hostUnreachable, .connectionRefused, .ttlExpired].map { .reply($0) }
      + [.status(.notFound)]
    let codes = ([1, 2, 7, 8, 9, 255] as [UInt8]).map { SOCKS5.ReplyCode(rawValue: $0) }
    let statuses = [302, 400, 403, 500, 502, 503, 504].map { HTTP.Status(rawValue: $0) }
    let own: [Failure.Cause] =
      codes.map { .reply($0) } + statuses.map { .status($0) }
      + ([91, 92, 93, 99] as [UInt8]).map { .socks4Reply(SOCKS4.ReplyCode(rawValue: $0)) }
    for (causes, isClear) in [(clear, true), (own, false), ([.system(.timedOut)], false)] {
      for cause in causes {
        let failure = Failure(Self.lastHop, .connect, cause)
        #expect(failure.blame == (isClear ? .hop : .suspect), "\(cause)")
        #expect(failure.unopened == (isClear ? nil : 1) && failure.culprit == 1, "\(cause)")
        let findings = (0..<2).map { Failure.Finding(of: failure, as: failure.blame, at: $0) }
        let isAnswer = cause != .system(.timedOut)
        #expect(
          findings == [
            .shown(isAnswer ? .answer : .admission), isClear ? .failed : .doubtful(hasAdmitted: false),
          ], "\(cause)")
        // A check that is no proof, and a tunnel beside others.
        for blame in [.ours, .refusal] as [Failure.Blame] where !isClear {
          #expect(Failure.Finding(of: failure, as: blame, at: 1) == .nothing)
        }
      }
    }
  }

  @Test(arguments: [.connect, .tls, .greet, .authenticate] as [Failure.Phase])
  func `a hop that a dial left less time than its own timeout is not down by that`(phase: Failure.Phase) {
    let chain = Chain(["office", "tor"].map { Upstream(name: $0, endpoint: Endpoint(.loopback4, port: 1)) })
    let start = Deadline.now
    for (place, index) in [(Self.firstHop, 0), (Self.lastHop, 1)] where phase != .connect || index == 0 {
      var failure = Failure(place, phase, .system(.timedOut))
      // All of its time, or as much up to rounding; and the time that is not over.
      for (deadline, timeout) in [
        (start, Duration.zero), (start, start.since(start)), (.never, .seconds(10)),
        (.after(.seconds(1)), .seconds(10)),
      ] {
        failure.noteEnd(of: deadline, since: start, outOf: timeout, afterStall: false)
        #expect(!failure.isCutShort && failure.blame == .hop)
        // The hop answered, but this program did not run.
        failure.noteEnd(of: deadline, since: start, outOf: timeout, afterStall: true)
        #expect(failure.isCutShort)
      }
      failure.noteEnd(of: start, since: start, outOf: .seconds(10), afterStall: false)
      #expect(failure.isCutShort && failure.blame(in: chain) == .suspect && !failure.isFinal)
      // A check gives its members the time that the table says, and no other hop.
      #expect(failure.blame(inCheckOf: chain, behind: 1) == (index == 0 ? .suspect : .hop))
      #expect(failure.blame(inCheckOf: chain, behind: 0) == .hop)
      // Whatever the time, a word of the hop is a word.
      var closed = Failure(place, phase, .closed)
      closed.noteEnd(of: start, since: start, outOf: .seconds(10), afterStall: true)
      #expect(closed.blame == .hop)
    }
  }

  @Test func `a hop that may be full is suspect, but fails a check of its own group`() {
    let chain = Chain(["office", "tor"].map { Upstream(name: $0, endpoint: Endpoint(.loopback4, port: 1)) })
    for (place, index) in [(Self.firstHop, 0), (Self.lastHop, 1)] {
      var failure = Failure(place, .greet, .closed)
      failure.mayBeFull = true
      #expect(failure.blame(in: chain) == .suspect && !failure.isFinal)
      let finding = Failure.Finding(of: failure, as: .suspect, at: index)
      #expect(finding == .doubtful(hasAdmitted: false))
      #expect(failure.blame(inCheckOf: chain, behind: 1) == (index == 0 ? .suspect : .hop))
      #expect(failure.blame(inCheckOf: chain, behind: 0) == .hop)
    }
  }

  @Test func `tunnels at rest give back descriptors and memory, and nothing else that runs short`() {
    for error in [.tooManyOpenFiles, .tooManyOpenFilesInSystem, .outOfMemory, .noBufferSpace] as [Errno] {
      #expect(Failure.Cause.system(error).isShortage)
      #expect(Failure.Cause.resolution(.shortage(error)).isShortage)
    }
    for cause in [
      .system(.addressNotAvailable), .system(.invalidArgument), .resolution(.overloaded(limit: 4096)),
      .resolution(.shortage(.addressNotAvailable)), .resolution(.timedOut), .system(.timedOut), .closed,
    ] as [Failure.Cause] {
      #expect(!cause.isShortage, "\(cause)")
    }
  }

  @Test(arguments: 1...9 as ClosedRange<UInt8>)
  func `a SOCKS5 reply is the destination's word from 02 to 06, else a refusal`(code: UInt8) {
    let failure = Failure(Self.lastHop, .request, .reply(SOCKS5.ReplyCode(rawValue: code)))
    #expect(failure.blame == ((2...6).contains(code) ? .destination : .refusal))
  }

  @Test(
    arguments: [
      (.forbidden, .destination), (.notFound, .destination), (.badGateway, .refusal),
      (.serviceUnavailable, .refusal), (.gatewayTimeout, .refusal), (.badRequest, .refusal),
      (.init(rawValue: 302), .refusal),
    ] as [(HTTP.Status, Failure.Blame)])
  func `a gateway that fails is no word on the destination`(status: HTTP.Status, blame: Failure.Blame) {
    #expect(Failure(Self.lastHop, .request, .status(status)).blame == blame)
  }

  @Test(arguments: [.timedOut, .serverFailure, .unreachable, .malformed] as [ResolutionFailure])
  func `a name server that fails takes no hop down`(failure: ResolutionFailure) {
    let failure = Failure(Self.firstHop, .resolve, .resolution(failure))
    #expect(failure.blame == .suspect)
    let chain = Chain([Upstream(name: "office", endpoint: Endpoint(.loopback4, port: 1))])
    #expect(failure.blame(inCheckOf: chain, behind: 0) == .suspect)
  }

  @Test func `SOCKS4 has one word for all that destinations and hops do, and another is asked`() {
    for code in [.rejected, .init(rawValue: 99)] as [SOCKS4.ReplyCode] {
      #expect(Failure(Self.lastHop, .request, .socks4Reply(code)).blame == .refusal)
    }
  }

  @Test func `a login refused to one identity takes the hop away from no other`() {
    let plain = Upstream(name: "tor", endpoint: Endpoint(.loopback4, port: 1))
    var isolated = plain
    isolated.isolation = Isolation(by: [.client])
    let failure = Failure(.hop(0, of: 1, name: "tor"), .authenticate, .credentials)
    #expect(failure.blame(in: Chain([plain])) == .hop)
    #expect(failure.blame(in: Chain([isolated])) == .suspect)
    let unreachable = Failure(.hop(0, of: 1, name: "tor"), .connect, .system(.connectionRefused))
    #expect(unreachable.blame(in: Chain([isolated])) == .hop)
  }

  @Test func `of several failures the truest is told`() {
    let ordered: [Failure] = [
      Failure(Self.firstHop, .connect, .system(.timedOut)),
      Failure(Self.lastHop, .request, .reply(.generalFailure)),
      Failure(Self.lastHop, .request, .system(.timedOut)),
      Failure(Self.lastHop, .request, .reply(.commandNotSupported)),
      Failure(Self.lastHop, .request, .status(.badGateway)),
      Failure(Self.lastHop, .request, .reply(.connectionRefused)),
    ]
    #expect(ordered.map(\.truth) == Array(0...5))
  }

  @Test(
    arguments: [
      Failure(firstHop, .connect, .system(.tooManyOpenFiles)),
      Failure(firstHop, .connect, .system(.tooManyOpenFilesInSystem)),
      Failure(firstHop, .connect, .system(.addressNotAvailable)),
      Failure(firstHop, .connect, .system(.noBufferSpace)),
      Failure(firstHop, .connect, .system(.outOfMemory)), Failure(firstHop, .connect, .system(.noSpace)),
      Failure(firstHop, .resolve, .resolution(.shortage(.tooManyOpenFiles))),
      Failure(firstHop, .connect, .system(.cancelled)),
      Failure(firstHop, .resolve, .resolution(.overloaded(limit: 1))),
      Failure(.destination, .connect, .system(.timedOut)),
      Failure(.client, .relay, .closed),
    ])
  func `what is ours or the destination's is not tried another way`(failure: Failure) {
    #expect(failure.blame == (failure.place.hopIndex == nil ? .destination : .ours))
    #expect(failure.isFinal)
  }

  @Test(
    arguments: [
      Failure(lastHop, .associate, .reply(.commandNotSupported)),
      Failure(lastHop, .request, .beyondSOCKS4(.name)), Failure(lastHop, .request, .beyondHTTP),
    ])
  func `what a hop cannot do for this request does not mean that it is down`(failure: Failure) {
    #expect(failure.blame == .refusal)
  }
}
