import Testing

@testable import Wire

@Suite struct UsernamePasswordTests {
  typealias Credentials = SOCKS5.UsernamePassword

  @Test func `a name and a password`() throws {
    let message = Credentials(username: ascii("alice"), password: ascii("secret"))
    let bytes = [1, 5] + ascii("alice") + [6] + ascii("secret")
    try expect(bytes, parseAs: message)
    #expect(message.bytes == bytes)
  }

  @Test(arguments: [0, 2, 5, 0xff] as [UInt8])
  func `B1, B6: another version, such as that of a request sent too early, is a violation`(version: UInt8)
    throws
  {
    try expect([version], of: Credentials.self, violate: .version(version))
  }

  @Test func `B2: an empty name and an empty password are read`() throws {
    try expect([1, 0, 0], parseAs: Credentials(username: [], password: []))
    try expect([1, 0, 1, 0x78], parseAs: Credentials(username: [], password: ascii("x")))
    try expect([1, 1, 0x78, 0], parseAs: Credentials(username: ascii("x"), password: []))
  }

  @Test func `B4: credentials are octets, NUL and bad UTF-8 among them`() throws {
    let message = Credentials(username: [0xff, 0, 0xc3], password: [0x70, 0, 0x0d, 0x0a])
    try expect([1, 3, 0xff, 0, 0xc3, 4, 0x70, 0, 0x0d, 0x0a], parseAs: message)
  }

  @Test func `B5, T36: 255 octets each`() throws {
    let message = Credentials(
      username: Array(repeating: 1, count: 255), password: Array(repeating: 2, count: 255))
    let bytes = [1, 255] + message.username + [255] + message.password
    try expect(bytes, parseAs: message)
    #expect(message.bytes == bytes)
  }

  @Test(arguments: [0, 1, 0xff] as [UInt8])
  func `B3: every status but 00 is a refusal`(status: UInt8) throws {
    let answer = SOCKS5.UsernamePasswordStatus(rawValue: status)
    try expect([1, status], parseAs: answer)
    #expect(answer.bytes == [1, status])
    #expect((answer == .success) == (status == 0))
  }

  @Test func `a failure is told as 01 01`() {
    #expect(SOCKS5.UsernamePasswordStatus.failure.bytes == [1, 1])
  }

  @Test(arguments: [0, 1, 5, 0xff] as [UInt8])
  func `B1: the version of a status is not looked at`(version: UInt8) throws {
    try expect([version, 0], parseAs: SOCKS5.UsernamePasswordStatus.success)
    try expect([version, 1], parseAs: SOCKS5.UsernamePasswordStatus.failure)
  }

  @Test func `B9: however they are printed, no password shows`() {
    let message = Credentials(username: ascii("alice\n"), password: ascii("hunter2"))
    var dumped = ""
    dump(message, to: &dumped)
    for text in [
      "\(message)", String(reflecting: message), "\([message])", "\(Optional(message) as Any)", dumped,
    ] {
      #expect(!text.contains("hunter2"))
      #expect(!text.contains("104"))  // its first octet in decimal
      #expect(text.contains(#"alice\n"#))
    }
  }
}
