import Passwords
import Settings
import Synchronization

/// Who may use a listener: its users, and how a name and a password are compared with theirs.
final class Authenticator: Sendable {
  private enum Secret {
    case password([UInt8])
    case hash(PasswordHash)
  }

  private let secrets: [[UInt8]: Secret]
  /// What an unknown name is compared with, so that the time taken does not tell which names exist.
  private let decoy: Secret
  /// Of each user with a hash, the password that matched last. A browser logs in for each of its connections: the hash
  /// is computed for the first.
  private let proofs = Mutex<[[UInt8]: PasswordProof]>([:])
  private let prover = PasswordProver()

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

  enum Judgement {
    /// Why they are not admitted; `nil` if they are.
    case decided(Event.LoginFailure?)
    /// The same, after a crypt(3) hash that blocks for milliseconds to seconds: not to be computed on a loop.
    case computed(@Sendable () -> Event.LoginFailure?)
  }

  /// Judges a name and a password.
  ///
  /// An unknown name takes the same steps as a known name with a wrong password, whether or not the user has logged in.
  func judge(_ username: [UInt8], password: [UInt8]) -> Judgement {
    let known = secrets[username]
    switch known ?? decoy {
    case .password(let secret):
      let matches = areEqualInConstantTime(secret, password)
      guard known != nil else { return .decided(.unknownUser) }
      return .decided(matches ? nil : .wrongPassword)
    case .hash(let hash):
      if isProven(username, password) { return .decided(nil) }
      return .computed { [self] in
        // While this login waited, another one may have proven the password.
        if isProven(username, password) { return nil }
        let matches: Bool
        do {
          matches = try hash.matches(password)
        } catch {
          return .outOfMemory
        }
        guard known != nil else { return .unknownUser }
        guard matches else { return .wrongPassword }
        if let proof = prover.proof(of: password) { proofs.withLock { $0[username] = proof } }
        return nil
      }
    }
  }

  private func isProven(_ username: [UInt8], _ password: [UInt8]) -> Bool {
    guard let proof = prover.proof(of: password) else { return false }
    return proof == proofs.withLock { $0[username] } ?? prover.nobodysProof
  }
}
