import Addresses
import Routing
import Testing
import Transport
import Wire

@testable import Proxy

struct OutagesTests {
  static let chain = Chain([Upstream(name: "a", endpoint: Endpoint(.loopback4, port: 1))])
  static let other = Chain([Upstream(name: "b", endpoint: Endpoint(.loopback4, port: 1))])
  static let client = Client(at: .v4(0xcb00_7101))
  static let otherClient = Client(at: .v4(0xcb00_7102))
  static let dead = failure(.connect, .system(.connectionRefused))

  static func failure(_ phase: Failure.Phase, _ cause: Failure.Cause, at index: Int = 0) -> Failure {
    Failure(.hop(index, of: 2, name: "a"), phase, cause)
  }

  /// As an identity comes through the chain.
  static func identity(_ name: String) -> Chain {
    let credentials = Credentials(username: Array(name.utf8), password: [])
    return Chain([
      Upstream(name: "a", endpoint: Endpoint(.loopback4, port: 1), credentials: credentials)
    ])
  }

  @Test(arguments: [
    failure(.resolve, .notDialable), failure(.connect, .system(.connectionRefused)),
    failure(.connect, .reply(.hostUnreachable), at: 1), failure(.tls, .closed), failure(.greet, .closed),
    failure(.authenticate, .credentials), failure(.associate, .reply(.commandNotSupported)),
  ])
  func `a hop that was not passed, or carries no UDP, is left alone by all clients`(failure: Failure) {
    let outages = Outages()
    #expect(outages.failure(of: Self.chain, as: Self.chain) == nil)
    outages.note(failure, of: Self.chain, as: Self.chain, by: Self.client)
    #expect(outages.failure(of: Self.chain, as: Self.chain) == failure)
    #expect(outages.failure(of: Self.other, as: Self.other) == nil)
    outages.enter(Self.chain, as: Self.chain)
    #expect(outages.failure(of: Self.chain, as: Self.chain) == nil)
  }

  @Test(
    arguments: [
      failure(.resolve, .resolution(.timedOut)), failure(.resolve, .resolution(.serverFailure)),
      failure(.resolve, .resolution(.unreachable)), failure(.resolve, .resolution(.overloaded(limit: 4096))),
      failure(.connect, .system(.tooManyOpenFiles)),
    ], [client, otherClient])
  func `a name server that fails, or what we lack, keeps no client from a chain`(
    failure: Failure, second: Client
  ) {
    let outages = Outages()
    outages.note(failure, of: Self.chain, as: Self.chain, by: Self.client)
    outages.note(failure, of: Self.chain, as: Self.chain, by: second)
    #expect(outages.failure(of: Self.chain, as: Self.chain) == nil)
  }

  @Test func `a hop that a route left less time than its own timeout keeps no client from a chain`() {
    let outages = Outages()
    for phase in [.connect, .tls, .greet, .authenticate] as [Failure.Phase] {
      var failure = Self.failure(phase, .system(.timedOut))
      failure.isCutShort = true
      for client in [Self.client, Self.otherClient] {
        outages.note(failure, of: Self.chain, as: Self.chain, by: client)
      }
      #expect(outages.failure(of: Self.chain, as: Self.chain) == nil)
    }
  }

  static let full = {
    var full = failure(.greet, .closed)
    full.mayBeFull = true
    return full
  }()

  static let refusals = [
    full, failure(.associate, .reply(.generalFailure)), failure(.associate, .reply(.notAllowed)),
    failure(.associate, .closed), failure(.associate, .system(.timedOut)),
    failure(.associate, .reply(.generalFailure), at: 1),
    failure(.connect, .reply(.generalFailure), at: 1), failure(.connect, .system(.timedOut), at: 1),
  ]

  @Test(arguments: refusals, [client, otherClient])
  func `what one client met concerns others when a second has met it`(failure: Failure, second: Client) {
    let outages = Outages()
    outages.note(failure, of: Self.chain, as: Self.chain, by: Self.client)
    #expect(outages.failure(of: Self.chain, as: Self.chain) == nil)
    outages.note(failure, of: Self.chain, as: Self.chain, by: second)
    #expect(outages.failure(of: Self.chain, as: Self.chain) == (second != Self.client ? failure : nil))
  }

  @Test
  func
    `that a hop carries no UDP is a refusal while it carries some and for 10 minutes, unless the table has another hop`()
  {
    let outages = Outages()
    var lack = Self.failure(.associate, .reply(.commandNotSupported))
    let (soon, later) = (Deadline.after(.seconds(300)), Deadline.after(.seconds(3600)))
    #expect(!outages.hasCarried(at: lack.place, of: Self.chain))
    #expect(lack.isLackOfUDP)
    for name in ["alice", "bob"] { outages.enter(Self.chain, as: Self.identity(name)) }
    outages.leave(Self.chain)
    #expect(outages.hasCarried(at: lack.place, of: Self.chain, now: later))
    outages.leave(Self.chain)
    #expect(outages.hasCarried(at: lack.place, of: Self.chain, now: soon))
    #expect(!outages.hasCarried(at: lack.place, of: Self.chain, now: later))
    #expect(!outages.hasCarried(at: lack.place, of: Self.other))
    lack.hasCarriedUDP = true
    #expect(!lack.isLackOfUDP)
    outages.note(lack, of: Self.chain, as: Self.chain, by: Self.client)
    #expect(outages.failure(of: Self.chain, as: Self.chain) == nil)
    outages.keep(Self.chain.hops)
    #expect(outages.hasCarried(at: lack.place, of: Self.chain))
    outages.keep(Self.other.hops)
    #expect(!outages.hasCarried(at: lack.place, of: Self.chain))
  }

  @Test func `one that gets through takes away what another has met`() {
    let outages = Outages()
    outages.note(Self.refusals[0], of: Self.chain, as: Self.chain, by: Self.client)
    outages.enter(Self.chain, as: Self.chain)
    outages.note(Self.refusals[0], of: Self.chain, as: Self.chain, by: Self.otherClient)
    #expect(outages.failure(of: Self.chain, as: Self.chain) == nil)
  }

  @Test(arguments: [
    (failure(.authenticate, .credentials), false),
    (failure(.associate, .reply(.commandNotSupported)), false),
    (failure(.connect, .reply(.hostUnreachable), at: 1), false),
    (dead, true), (failure(.tls, .closed), true),
  ])
  func `a hop may refuse one identity and serve another`(failure: Failure, isForAll: Bool) {
    let outages = Outages()
    outages.note(failure, of: Self.chain, as: Self.identity("alice"), by: Self.client)
    #expect(outages.failure(of: Self.chain, as: Self.identity("alice")) == failure)
    #expect(outages.failure(of: Self.chain, as: Self.identity("bob")) == (isForAll ? failure : nil))
  }

  static let refusedLogin = failure(.authenticate, .closed)

  private func refuseLogins(of identities: Range<Int>, at outages: Outages, by client: Client) {
    for number in identities {
      outages.note(Self.refusedLogin, of: Self.chain, as: Self.identity("\(number)"), by: client)
    }
  }

  @Test func `identities without end are not remembered, and do not hide what concerns all`() {
    let outages = Outages()
    refuseLogins(of: 0..<5000, at: outages, by: Self.client)
    #expect(outages.failure(of: Self.chain, as: Self.identity("0")) != nil)
    #expect(outages.failure(of: Self.chain, as: Self.identity("4999")) == nil)
    outages.note(Self.dead, of: Self.chain, as: Self.identity("4999"), by: Self.client)
    #expect(outages.failure(of: Self.chain, as: Self.identity("another")) == Self.dead)
  }

  @Test func `a client has a share of the identities that are remembered, and gives places back`() {
    let outages = Outages()
    func isKnown(_ name: String) -> Bool { outages.failure(of: Self.chain, as: Self.identity(name)) != nil }
    refuseLogins(of: 0..<5000, at: outages, by: Self.client)
    refuseLogins(of: 5000..<5001, at: outages, by: Self.otherClient)
    #expect([0, 255, 256, 5000].map { isKnown("\($0)") } == [true, true, false, true])
    outages.enter(Self.chain, as: Self.identity("0"))
    refuseLogins(of: 256..<258, at: outages, by: Self.client)
    #expect([0, 255, 256, 257].map { isKnown("\($0)") } == [false, true, true, false])
    // Beyond all places, the oldest entries make room.
    for client in 1...5 {
      refuseLogins(
        of: client * 10_000..<client * 10_000 + 256, at: outages, by: Client(at: .v4(UInt32(client))))
    }
    #expect([255, 5000, 10_255, 50_255].map { isKnown("\($0)") } == [false, false, false, true])
  }

  @Test func `the log hears of each chain once in a while`() {
    let outages = Outages()
    #expect(outages.isNews(.chain(Self.chain)))
    #expect(!outages.isNews(.chain(Self.chain)))
    #expect(outages.isNews(.chain(Self.other)))
  }

  @Test(arguments: [.tooManyOpenFiles, .tooManyOpenFilesInSystem, .outOfMemory, .noBufferSpace] as [Errno])
  func `what we lack says nothing of a hop`(error: Errno) {
    #expect(Self.failure(.connect, .system(error)).isOurs)
    #expect(!Self.dead.isOurs)
    #expect(!Self.failure(.relay, .closed).isOurs)
  }
}
