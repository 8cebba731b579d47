import Passwords
import Testing

struct PasswordProofTests {
  @Test func `a proof is of one password, and of one prover`() throws {
    let prover = PasswordProver()
    let proof = try #require(prover.proof(of: Array("secret".utf8)))
    #expect(proof == prover.proof(of: Array("secret".utf8)))
    for other in ["", "Secret", "secret\0", "secrets", String(repeating: "s", count: 1000)] {
      #expect(proof != prover.proof(of: Array(other.utf8)))
    }
    #expect(proof != PasswordProver().proof(of: Array("secret".utf8)))
    #expect(proof != prover.nobodysProof)
    #expect(prover.nobodysProof != PasswordProver().nobodysProof)
  }

  @Test func `B9: however it is printed, a proof does not show`() throws {
    let proof = try #require(PasswordProver().proof(of: Array("secret".utf8)))
    var dumped = ""
    dump(proof, to: &dumped)
    #expect(["\(proof)", String(reflecting: proof)] == ["password proof", "password proof"])
    #expect(dumped == "- password proof\n")
  }
}
