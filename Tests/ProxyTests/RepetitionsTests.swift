import Addresses
import Settings
import Testing
import Transport

@testable import Proxy

/// What is told of what clients repeat.
struct RepetitionsTests {
  private let start = Deadline(nanoseconds: 1_000_000_000_000)

  private func client(_ number: UInt32) -> Client { Client(at: .v4(0xC000_0200 + number)) }

  private func isNews(
    _ repetitions: inout Repetitions, _ kind: Repetitions.Kind, _ user: String = "", after seconds: Int
  ) -> Bool {
    repetitions.isNews(kind, user, at: start + .seconds(seconds)) {
      .loginsRefused(client: nil, user: user, .wrongPassword, count: $0)
    }
  }

  /// The counts and the last users.
  private func told(_ repetitions: inout Repetitions, after seconds: Int) -> [String] {
    repetitions.notices(at: start + .seconds(seconds)).map { notice in
      guard case .loginsRefused(_, let user, _, let count) = notice else { return "another" }
      return "\(count) \(user ?? "")"
    }
  }

  @Test func `the first is told at once, the rest with their number when a minute is over`() {
    var repetitions = Repetitions()
    let kind = Repetitions.Kind.refusedLogin(client(1))
    #expect(isNews(&repetitions, kind, "alice", after: 0))
    #expect(repetitions.nextNotice == nil)
    for second in 0..<59 { #expect(!isNews(&repetitions, kind, "alice", after: second)) }
    #expect(repetitions.nextNotice == start + .seconds(60))
    #expect(told(&repetitions, after: 59) == [])
    #expect(told(&repetitions, after: 60) == ["59 alice"])
    #expect(repetitions.nextNotice == nil)
  }

  @Test func `what goes on is told once a minute, and is news again after a minute of silence`() {
    var repetitions = Repetitions()
    let kind = Repetitions.Kind.turnedAway(.tooManyOpenFiles)
    #expect(isNews(&repetitions, kind, after: 0))
    var told: [String] = []
    for second in 0..<180 {
      told += self.told(&repetitions, after: second)
      if isNews(&repetitions, kind, after: second) { told.append("news") }
    }
    told += self.told(&repetitions, after: 180)
    #expect(told == ["60 ", "60 ", "60 "])
    #expect(isNews(&repetitions, kind, after: 240))
  }

  @Test func `of one client four users are told at once, and all others with their number`() {
    var repetitions = Repetitions()
    let users = (0..<1000).filter { number in
      isNews(&repetitions, .refusedLogin(client(1)), "user \(number)", after: 0)
    }
    #expect(users == [0, 1, 2, 3])
    #expect(told(&repetitions, after: 60) == ["996 user 999"])
    #expect(isNews(&repetitions, .refusedLogin(client(2)), "user 1", after: 0))
  }

  @Test func `of clients without end 64 are told at once, and all others with their number`() {
    var repetitions = Repetitions()
    let news = (0..<10_000 as Range<UInt32>).filter { number in
      isNews(&repetitions, .refusedLogin(client(number)), "eve", after: 0)
    }
    // The last is the first of those beyond.
    #expect(news == Array(0...64))
    #expect(told(&repetitions, after: 60) == ["9935 eve"])
    #expect(isNews(&repetitions, .refusedLogin(client(20_000)), "eve", after: 61))
  }
}
