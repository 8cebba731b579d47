import Passwords
import Settings

/// Who may use a listener: its users, and how a name and a password are compared with theirs.
struct Authenticator: Sendable {
  private enum Secret {
    case password([UInt8])
    case hash(PasswordHash)
  }

  private let secrets: [[UInt8]: Secret]
  /// What an unknown name is compared with, so that the time taken does not tell which names exist.
  private let decoy: Secret

  init(_ users: [User]) {
    var secrets: [[UInt8]: Secret] = [:]
    for user in users {
      switch user.secret {
      case .password(let password): secrets[user.name] = .password(password)
      case .hash(let text): secrets[user.name] = PasswordHash(text).map(Secret.hash)
      }
    }
    self.secrets = secrets
    decoy =
      secrets.values.first {
        if case .hash = $0 { true } else { false }
      } ?? .password([])
  }

  /// Why a name and a password are not admitted; `nil` if they are.
  ///
  /// A crypt(3) hash costs milliseconds: it is computed off the loop, which serves others meanwhile.
  func refusal(of username: [UInt8], password: [UInt8]) async -> Event.LoginFailure? {
    let known = secrets[username]
    let matches =
      switch known ?? decoy {
      case .password(let secret): areEqualInConstantTime(secret, password)
      case .hash(let hash): await Task.detached { hash.matches(password) }.value
      }
    guard known != nil else { return .unknownUser }
    return matches ? nil : .wrongPassword
  }
}
