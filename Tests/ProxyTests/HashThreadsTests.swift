import Addresses
import Settings
import Synchronization
import Testing
import Transport

@testable import Proxy

/// Threads that compute hashes, with hashes that take as long as a test likes.
struct HashThreadsTests {
  private let one = Client(at: .v4(0xC000_0201))
  private let two = Client(at: .v4(0xC000_0202))

  /// What was computed, in order.
  private final class Course: Sendable {
    private let (names, name) = AsyncStream<String>.makeStream()
    private let (starts, start) = AsyncStream<Void>.makeStream()
    private let started = Mutex<[String]>([])

    var all: [String] { started.withLock { $0 } }

    /// A login that is computed when `gate` opens.
    func login(
      _ name: String, after gate: Gate? = nil, claim: Authenticator.Claim? = nil
    ) -> HashThreads.Login {
      HashThreads.Login(
        claim: claim,
        compute: { [self] in
          started.withLock { $0.append(name) }
          start.yield()
          gate?.bell.wait(atMost: .seconds(600))
          return .wrongPassword
        }, tell: { [self] failure in self.name.yield("\(name): \(failure?.rawValue ?? "admitted")") })
    }

    /// Returns when another login has begun.
    func awaitStart() async { for await _ in starts { return } }

    func next(_ count: Int) async -> [String] {
      var told: [String] = []
      for await name in names {
        told.append(name)
        if told.count == count { break }
      }
      return told
    }
  }

  private final class Gate: Sendable {
    let bell: Bell
    init() throws { bell = try Bell() }
  }

  @Test func `the hash of another client is computed next, and not behind those of the first`() async throws {
    let threads = try HashThreads(loops: 2)
    let (course, gate) = (Course(), try Gate())
    #expect(threads.submit(course.login("one 1", after: gate), of: one) != nil)
    await course.awaitStart()
    for number in 2...64 { #expect(threads.submit(course.login("one \(number)"), of: one) != nil) }
    #expect(threads.submit(course.login("two"), of: two) != nil)
    gate.bell.ring()
    _ = await course.next(65)
    #expect(course.all == ["one 1", "two"] + (2...64).map { "one \($0)" })
  }

  @Test func `a client has one thread, and others the rest`() async throws {
    let threads = try HashThreads(loops: 4)
    let (course, gate) = (Course(), try Gate())
    _ = threads.submit(course.login("one 1", after: gate), of: one)
    await course.awaitStart()
    _ = threads.submit(course.login("one 2"), of: one)
    for number in 1...3 { _ = threads.submit(course.login("two \(number)"), of: two) }
    #expect(await course.next(3) == (1...3).map { "two \($0): wrong password" })
    #expect(!course.all.contains("one 2"))
    gate.bell.ring()
    #expect(await course.next(2) == ["one 1: wrong password", "one 2: wrong password"])
  }

  @Test func `a login that is withdrawn is not computed, and one too many is refused`() async throws {
    let threads = try HashThreads(loops: 1, limits: .init(perClient: 3, all: 4))
    let (course, gate) = (Course(), try Gate())
    _ = threads.submit(course.login("two 1", after: gate), of: two)
    await course.awaitStart()
    let tickets = (1...3).map { threads.submit(course.login("one \($0)"), of: one) }
    #expect(threads.submit(course.login("one 4"), of: one) == nil)
    _ = threads.submit(course.login("two 2"), of: two)
    // A fifth of all: the last of the client with the most gives way.
    _ = threads.submit(course.login("two 3"), of: two)
    #expect(await course.next(1) == ["one 3: too many logins wait"])
    threads.withdraw(try #require(tickets[0]))
    gate.bell.ring()
    _ = await course.next(4)
    #expect(Set(course.all) == ["two 1", "one 2", "two 2", "two 3"])
  }

  private let authenticator = Authenticator([
    User(
      name: Array("bob".utf8),
      secret: .hash("$2b$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2"))
  ])

  private func claim(_ password: String) throws -> Authenticator.Claim {
    guard
      case .computed(let claim?, _) = authenticator.judge(Array("bob".utf8), password: Array(password.utf8))
    else { throw CancellationError() }
    return claim
  }

  @Test func `200 logins of one client with one password take one place and one hash`() async throws {
    let threads = try HashThreads(loops: 2)
    let (course, gate) = (Course(), try Gate())
    _ = threads.submit(course.login("two", after: gate), of: two)
    await course.awaitStart()
    let (right, wrong) = (try claim("right"), try claim("wrong"))
    for number in 1...200 {
      #expect(threads.submit(course.login("\(number)", claim: right), of: one) != nil)
    }
    _ = threads.submit(course.login("wrong", claim: wrong), of: one)
    // Another client shares nothing with the first.
    _ = threads.submit(course.login("two's", claim: right), of: two)
    gate.bell.ring()
    #expect(Set(await course.next(203)).count == 203)
    #expect(course.all == ["two", "1", "two's", "wrong"])
  }

  @Test func `a computation goes on while one of the logins that share it is left`() async throws {
    let threads = try HashThreads(loops: 2)
    let (course, gate) = (Course(), try Gate())
    _ = threads.submit(course.login("two", after: gate), of: two)
    await course.awaitStart()
    let (first, second) = (try claim("first"), try claim("second"))
    let gone = ["a", "b"].map { threads.submit(course.login($0, claim: first), of: one) }
    let left = threads.submit(course.login("c", claim: second), of: one)
    _ = threads.submit(course.login("d", claim: second), of: one)
    for ticket in gone + [left] { threads.withdraw(try #require(ticket)) }
    gate.bell.ring()
    #expect(await course.next(2) == ["two: wrong password", "d: wrong password"])
    #expect(course.all == ["two", "c"])
    #expect(threads.isIdle)
  }
}
