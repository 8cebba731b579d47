import Addresses
import Routing
import Testing
import Transport

@testable import Proxy

struct OutagesTests {
  static let chain = Chain([Upstream(name: "a", endpoint: Endpoint(.loopback4, port: 1))])
  static let other = Chain([Upstream(name: "b", endpoint: Endpoint(.loopback4, port: 1))])
  static let dead = Failure(.hop(0, of: 1, name: "a"), .connect, .system(.connectionRefused))
  static let ended = Failure(.hop(0, of: 1, name: "a"), .relay, .closed)

  @Test func `a chain that could not be opened is out of use, and that is told once`() {
    let outages = Outages()
    #expect(outages.failure(of: Self.chain) == nil)
    #expect(outages.note(Self.dead, of: .chain(Self.chain), isOutage: true))
    #expect(outages.failure(of: Self.chain) == Self.dead)
    #expect(outages.failure(of: Self.other) == nil)
    #expect(!outages.note(Self.dead, of: .chain(Self.chain), isOutage: true))
    #expect(!outages.note(Self.ended, of: .chain(Self.chain), isOutage: false))
    #expect(outages.failure(of: Self.chain) == Self.dead)
  }

  @Test func `a chain that ended may be opened anew, and is out of use when that fails`() {
    let outages = Outages()
    #expect(outages.note(Self.ended, of: .chain(Self.chain), isOutage: false))
    #expect(outages.failure(of: Self.chain) == nil)
    #expect(!outages.note(Self.ended, of: .chain(Self.chain), isOutage: false))
    // The log knows already that it is in trouble.
    #expect(!outages.note(Self.dead, of: .chain(Self.chain), isOutage: true))
    #expect(outages.failure(of: Self.chain) == Self.dead)
  }

  @Test(arguments: [.tooManyOpenFiles, .tooManyOpenFilesInSystem, .outOfMemory, .noBufferSpace] as [Errno])
  func `what we lack says nothing of a hop`(error: Errno) {
    #expect(Failure(.hop(0, of: 1, name: "a"), .connect, .system(error)).isOurs)
    #expect(!Self.dead.isOurs)
    #expect(!Self.ended.isOurs)
  }
}
