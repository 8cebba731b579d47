import Settings
import Testing

@testable import Proxy

/// Which logins take a hash, and how they are decided.
struct AuthenticatorTests {
  /// Of `correct horse`.
  private static let hash = "$2b$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2"

  private let authenticator = Authenticator([
    User(name: Array("bob".utf8), secret: .hash(hash)), User(name: Array("eve".utf8), secret: .hash(hash)),
  ])

  private func judge(_ user: String, _ password: String) -> Authenticator.Judgement {
    authenticator.judge(Array(user.utf8), password: Array(password.utf8))
  }

  /// The decision, and whether it took a hash.
  private func decide(_ user: String, _ password: String) -> (failure: Event.LoginFailure?, isComputed: Bool)
  {
    switch judge(user, password) {
    case .decided(let failure): (failure, false)
    case .computed(_, let compute): (compute(), true)
    }
  }

  @Test func `a right password is hashed once, and a wrong one each time`() {
    #expect(decide("bob", "correct horse") == (nil, true))
    for _ in 0..<3 {
      #expect(decide("bob", "correct horse") == (nil, false))
      #expect(decide("bob", "correct hors") == (.wrongPassword, true))
      // The time does not tell who has logged in: everybody else is hashed too.
      #expect(decide("mallory", "correct horse") == (.unknownUser, true))
      #expect(decide("mallory", "") == (.unknownUser, true))
    }
    #expect(decide("eve", "correct horse") == (nil, true))
    #expect(decide("eve", "correct horse") == (nil, false))
  }

  @Test func `a login that waited while another proved the password takes no hash`() throws {
    guard case .computed(_, let waiting) = judge("bob", "correct horse"),
      case .computed(_, let wrong) = judge("bob", "correct hors")
    else { throw Unexpected() }
    #expect(decide("bob", "correct horse") == (nil, true))
    #expect(waiting() == nil)
    #expect(wrong() == .wrongPassword)
  }

  @Test func `a reload keeps what is known of a password, where the hash is the same`() {
    #expect(decide("bob", "correct horse") == (nil, true))
    let same = Authenticator([User(name: Array("bob".utf8), secret: .hash(Self.hash))], after: authenticator)
    guard case .decided(nil) = same.judge(Array("bob".utf8), password: Array("correct horse".utf8)) else {
      Issue.record("the hash is computed again")
      return
    }
    let otherHash = Self.hash.dropLast() + "3"
    let other = Authenticator([User(name: Array("bob".utf8), secret: .hash(String(otherHash)))], after: same)
    guard
      case .computed(_, let compute) = other.judge(Array("bob".utf8), password: Array("correct horse".utf8))
    else {
      Issue.record("the password of the hash before is taken")
      return
    }
    #expect(compute() == .wrongPassword)
  }

  @Test func `a hash that cannot be computed is not a wrong password`() {
    // 256 TiB, more than a process can address.
    let hash = "$y$jXT$saltsaltsalt$ysK3YuJ93.0jGj2uXnnZXVRNYzT.DezhepCpKFfiYs6"
    let authenticator = Authenticator([User(name: Array("bob".utf8), secret: .hash(hash))])
    for user in ["bob", "mallory"] {
      guard case .computed(_, let compute) = authenticator.judge(Array(user.utf8), password: [1]) else {
        Issue.record("it is decided without a hash")
        return
      }
      #expect(compute() == .outOfMemory)
    }
  }

  private struct Unexpected: Error {}
}
