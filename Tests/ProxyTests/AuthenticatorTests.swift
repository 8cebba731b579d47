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
    case .computed(let compute): (compute(), true)
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
    guard case .computed(let waiting) = judge("bob", "correct horse"),
      case .computed(let wrong) = judge("bob", "correct hors")
    else { throw Unexpected() }
    #expect(decide("bob", "correct horse") == (nil, true))
    #expect(waiting() == nil)
    #expect(wrong() == .wrongPassword)
  }

  @Test func `a new table knows nothing of the logins before`() {
    #expect(decide("bob", "correct horse") == (nil, true))
    let next = Authenticator([User(name: Array("bob".utf8), secret: .hash(Self.hash))])
    guard case .computed = next.judge(Array("bob".utf8), password: Array("correct horse".utf8)) else {
      Issue.record("it is decided without a hash")
      return
    }
  }

  private struct Unexpected: Error {}
}
