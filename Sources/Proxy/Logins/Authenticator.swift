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
  private let prover: PasswordProver
  /// Of the whole process.
  private static let memory = HashMemory()

  /// - Parameter previous: that of the same listener in the table before. The proofs of users whose hash is the same are
  ///   taken over from it.
  init(_ users: [User], after previous: Authenticator? = nil) {
    var secrets: [[UInt8]: Secret] = [:]
    for user in users {
      switch user.secret {
      case .password(let password): secrets[user.name] = .password(password)
      case .hash(let text): secrets[user.name] = PasswordHash(text).map(Secret.hash)
      }
    }
    self.secrets = secrets
    prover = previous?.prover ?? PasswordProver()
    if let previous {
      let kept = previous.proofs.withLock { $0 }.filter { name, _ in
        guard case .hash(let old)? = previous.secrets[name], case .hash(let new)? = secrets[name] else {
          return false
        }
        return old == new
      }
      proofs.withLock { $0 = kept }
    }
    decoy =
      secrets.values.first {
        if case .hash = $0 { true } else { false }
      } ?? .password([])
  }

  enum Judgement {
    /// Why they are not admitted; `nil` if they are.
    case decided(Event.LoginFailure?)
    /// The same, after a crypt(3) hash that blocks for milliseconds to seconds: not to be computed on a loop.
    case computed(Claim?, @Sendable () -> Event.LoginFailure?)
  }

  /// A name and a password, as one authenticator compares them: equal claims have equal hashes, so that one computation
  /// decides all of them.
  struct Claim: Hashable, Sendable {
    private let authenticator: ObjectIdentifier
    private let name: [UInt8]
    private let proof: PasswordProof

    fileprivate init(_ authenticator: Authenticator, _ name: [UInt8], _ proof: PasswordProof) {
      self.authenticator = ObjectIdentifier(authenticator)
      self.name = name
      self.proof = proof
    }
  }

  /// How much memory the computation of a hash takes at most, in octets.
  var hashMemory: Int {
    secrets.values.map { if case .hash(let hash) = $0 { hash.memory } else { 0 } }.max() ?? 0
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
      let proof = prover.proof(of: password)
      if isProven(username, proof) { return .decided(nil) }
      return .computed(proof.map { Claim(self, username, $0) }) { [self] in
        // While this login waited, another one may have proven the password.
        if isProven(username, proof) { return nil }
        let computed = Self.memory.compute(taking: hash.memory) { try? hash.matches(password) }
        guard case .some(.some(let matches)) = computed else { return .outOfMemory }
        guard known != nil else { return .unknownUser }
        guard matches else { return .wrongPassword }
        if let proof { proofs.withLock { $0[username] = proof } }
        return nil
      }
    }
  }

  private func isProven(_ username: [UInt8], _ proof: PasswordProof?) -> Bool {
    guard let proof else { return false }
    return proof == proofs.withLock { $0[username] } ?? prover.nobodysProof
  }
}
