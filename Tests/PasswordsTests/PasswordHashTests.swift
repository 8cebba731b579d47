import Passwords
import Testing

@Suite struct PasswordHashTests {
  /// Hashes of `hunter2`, as Debian's libcrypt makes them.
  static let hashes = [
    "$6$rounds=1000$saltsalt$"
      + "gqUcWLKt3d1wsoaFq/ZlFXJndu400B3QqT3noJu6R/eEGKKt5.bf/H7jRZdxjThW3JpMB1IX.1Z2f5cgwsF710",
    "$6$saltsalt$8iYtNHxjWRl.NF6oNZ5tF.iKFlQREaXBLlSmZKP6dy9l5z3vsooWNW0/GZ6Nej73/TFug6pIPSqbJoCT6dfnj.",
    "$5$rounds=1000$saltsalt$f25dkPYTm952Io0nI9FgssYnbY.87HWdiFw89b8zOR8",
    "$y$j75$saltsaltsalt$ysK3YuJ93.0jGj2uXnnZXVRNYzT.DezhepCpKFfiYs6",
    "$gy$j75$saltsaltsalt$/FSV1mQpnsp5UDO91D25bhzj2S6E12IAUpnkC03DSr8",
    "$2b$04$abcdefghijklmnopqrstuuV3duMsC0HpUex6N9qapiuOHHWkwRXVm",
    "$1$saltsalt$ZliGyAN3DciDHEkDboonh/",
  ]

  private func octets(_ text: String) -> [UInt8] { Array(text.utf8) }

  @Test(arguments: hashes)
  func `a hash matches its password and no other`(text: String) throws {
    let hash = try #require(PasswordHash(text))
    #expect(try hash.matches(octets("hunter2")))
    for other in ["", "hunter", "hunter22", "Hunter2", "hunter2 ", "hunter3", text] {
      #expect(try !hash.matches(octets(other)), "\(other)")
    }
  }

  @Test(arguments: hashes)
  func `B4, T5: a NUL does not end a password`(text: String) throws {
    let hash = try #require(PasswordHash(text))
    #expect(try !hash.matches(octets("hunter2\0")))
    #expect(try !hash.matches(octets("hunter2\0x")))
    #expect(try !hash.matches(octets("\0hunter2")))
  }

  @Test func `B4: a password need not be UTF-8`() throws {
    let hash = try #require(
      PasswordHash(
        "$6$rounds=1000$saltsalt$"
          + "e.SxDAZSOM37mWYaj/K64/klNRvGWW3j8SU5yWtVsZyfZCVZQnckBd6VvAZSIala0wqkTDO1sQhbfQH7TdRdL0"))
    #expect(try hash.matches([0x70, 0xff, 0xe9]))
    #expect(try !hash.matches([0x70, 0xff, 0xe8]))
  }

  @Test func `an empty password matches its own hash alone`() throws {
    let hash = try #require(
      PasswordHash(
        "$6$rounds=1000$saltsalt$"
          + "VEHSITfYmhRDpD6t31S9LUhNne.FOx10qNSjfu2skYK5wKPYCkdF/995SUbfpqIy5BFbEit9G4aDmW4aq4oX9."))
    #expect(try hash.matches([]))
    #expect(try !hash.matches([0]))
    #expect(try !hash.matches(octets("hunter2")))
  }

  @Test func `B5: a password of 255 octets is hashed, not cut`() throws {
    let hash = try #require(PasswordHash(Self.hashes[0]))
    #expect(try !hash.matches(octets("hunter2" + String(repeating: "x", count: 248))))
    #expect(try !hash.matches(Array(repeating: 0x78, count: 100_000)))
  }

  @Test(
    arguments: [
      "", "$", "$$", "hunter2", "*0", "*", "!", "x", "$6$", "$6$saltsalt", "$6$saltsalt$",
      "$6$saltsalt$short",
      "$9$saltsalt$f25dkPYTm952Io0nI9FgssYnbY.87HWdiFw89b8zOR8",
      "$2z$04$abcdefghijklmnopqrstuuV3duMsC0HpUex6N9qapiu",
      "$6$sa:t$f25dkPYTm952Io0nI9FgssYnbY.87HWdiFw89b8zOR8", "!" + hashes[0], hashes[0] + "\n",
      hashes[0] + "\0",
      " " + hashes[0], "$6$saltsalt$" + String(repeating: "é", count: 43),
      "$6$saltsalt$" + String(repeating: "a", count: 300),
    ])
  func `what libcrypt cannot verify is refused`(text: String) {
    #expect(PasswordHash(text) == nil)
  }

  @Test(arguments: ["ab0ozUNIgzCZ.", "_J9..rasmZ9PwMUN0zKg", "correcthorses", "correcthorsebatterystaple"])
  func `the DES hashes, which any word may look like, are refused`(text: String) {
    #expect(PasswordHash(text) == nil)
  }

  @Test(
    arguments: [
      "$y$jXT$saltsaltsalt$ysK3YuJ93.0jGj2uXnnZXVRNYzT.DezhepCpKFfiYs6",
      "$gy$jXT$saltsaltsalt$/FSV1mQpnsp5UDO91D25bhzj2S6E12IAUpnkC03DSr8",
      "$7$YU..../....saltsaltsalt$ysK3YuJ93.0jGj2uXnnZXVRNYzT.DezhepCpKFfiYs6",
    ])
  func `a hash for which there is no memory is not computed, which is no wrong password`(text: String) throws
  {
    let hash = try #require(PasswordHash(text))
    #expect(hash.memory == 1 << 62)
    #expect(throws: PasswordHash.NotComputed.self) { _ = try hash.matches(octets("hunter2")) }
  }

  @Test(
    arguments: [
      ("$y$j9T$saltsaltsalt$ysK3YuJ93.0jGj2uXnnZXVRNYzT.DezhepCpKFfiYs6", 16 << 20),
      ("$gy$j9T$saltsaltsalt$/FSV1mQpnsp5UDO91D25bhzj2S6E12IAUpnkC03DSr8", 16 << 20),
      ("$y$j75$saltsaltsalt$ysK3YuJ93.0jGj2uXnnZXVRNYzT.DezhepCpKFfiYs6", 1 << 20),
      ("$7$C6..../....saltsaltsalt$ysK3YuJ93.0jGj2uXnnZXVRNYzT.DezhepCpKFfiYs6", 16 << 20),
      (hashes[0], 0), (hashes[5], 0),
    ])
  func `a hash tells how much memory its computation takes`(text: String, memory: Int) throws {
    #expect(try #require(PasswordHash(text)).memory == memory)
  }

  @Test func `many threads may verify at once`() async throws {
    let hash = try #require(PasswordHash(Self.hashes[0]))
    try await withThrowingTaskGroup(of: Bool.self) { group in
      for attempt in 0..<64 {
        let password = octets(attempt.isMultiple(of: 2) ? "hunter2" : "hunter\(attempt)")
        group.addTask { try hash.matches(password) == attempt.isMultiple(of: 2) }
      }
      for try await isRight in group { #expect(isRight) }
    }
  }

  @Test func `B9: however it is printed, the hash does not show`() throws {
    let hash = try #require(PasswordHash(Self.hashes[0]))
    var dumped = ""
    dump(hash, to: &dumped)
    for text in ["\(hash)", String(reflecting: hash), "\([hash])", dumped] {
      #expect(!text.contains("$6$"))
    }
  }
}
