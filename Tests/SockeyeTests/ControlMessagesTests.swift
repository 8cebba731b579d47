import Testing

@testable import sockeye

/// What passes between the running program and the one that asks it.
@Suite struct ControlMessagesTests {
  @Test func `an answer arrives as it was given`() {
    let answer = ControlAnswer(
      [
        ControlAnswer.Line(.heading, "A  B"), ControlAnswer.Line(.output, ""),
        ControlAnswer.Line(.alarm, " x "), ControlAnswer.Line(.error, "exit 0"),
      ], .failed)
    #expect(ControlAnswer(parsing: answer.bytes) == answer)
    #expect(ControlAnswer(parsing: ControlAnswer([]).bytes) == ControlAnswer([]))
  }

  @Test func `an answer that is cut anywhere is none`() {
    let whole = ControlAnswer(
      [ControlAnswer.Line(.output, "one"), ControlAnswer.Line(.error, "two")], .failed
    ).bytes
    for length in 0..<whole.count { #expect(ControlAnswer(parsing: Array(whole[..<length])) == nil) }
  }

  @Test(arguments: [
    "", "\n", "exit\n", "exit 3\n", "exit -1\n", "exit x\n", "exit 0 \n", "hello\nexit 0\n",
    "output\nexit 0\n", "shout x\nexit 0\n", "exit 0\nexit 0\n",
  ])
  func `what is no answer is not taken for one`(text: String) {
    #expect(ControlAnswer(parsing: Array(text.utf8)) == nil)
  }

  @Test func `no line reaches into another, or into a terminal`() {
    let answer = ControlAnswer([ControlAnswer.Line(.output, "a\nexit 0\n\u{1b}[31m")], .failed)
    #expect(
      String(decoding: answer.bytes, as: UTF8.self) == "output a\\u{a}exit 0\\u{a}\\u{1b}[31m\nexit 1\n")
    let hostile = ControlAnswer(parsing: Array("output \u{1b}[2J\nexit 0\n".utf8))
    #expect(hostile?.lines == [ControlAnswer.Line(.output, "\\u{1b}[2J")])
  }

  @Test(arguments: [
    "", " ", "status ", "Status", "status --json --json", "reload t.yaml", "rel\u{0}oad", "rotate ",
    "rotate  a", "rotated",
  ])
  func `what is no request is not guessed at`(line: String) {
    #expect(ControlRequest(line) == nil)
  }
}
