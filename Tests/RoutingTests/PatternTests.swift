import Addresses
import Patterns
import Testing

@testable import Routing

@Suite struct PatternTests {
  @Test(arguments: [
    ("ads", "www.ads.test", true), ("^ads", "www.ads.test", false), ("^ADS", "ads.test", true),
    ("\\.test$", "a.test", true), ("\\.test$", "a.test.org", false), ("^(a|b)\\1\\.", "bb.test", true),
    ("", "a.test", true),
  ])
  func `an expression is found`(pattern: String, text: String, isFound: Bool) throws {
    #expect(try RegularExpression(pattern).match(text) == (isFound ? .matched : .notMatched))
  }

  @Test(arguments: [
    ("(a", 2, "missing closing parenthesis"), ("a{2,1}", 5, "numbers out of order"), ("[z", 2, "missing"),
  ])
  func `a broken expression says what is wrong, and where`(pattern: String, offset: Int, message: String)
    throws
  {
    let violation = try #require(throws: RegularExpression.Violation.self) { try RegularExpression(pattern) }
    #expect(violation.offset == offset)
    #expect(violation.message.contains(message))
  }

  @Test(arguments: ["(a+)+$", "^(a|a)*b", "(?:a*)*b$", "^([a-z]+)*b$", "^(a|aa)+$"])
  func `an expression that explodes gives up`(pattern: String) throws {
    #expect(try RegularExpression(pattern).match(String(repeating: "a", count: 252) + "!b") == .gaveUp)
  }

  @Test func `an expression that recurses without end gives up`() throws {
    #expect(try RegularExpression("^(a(?1)|(?1)b)").match(String(repeating: "a", count: 253)) == .gaveUp)
  }

  @Test func `a pattern cannot raise its own limits`() throws {
    let expression = try RegularExpression("(*LIMIT_MATCH=4000000000)(*LIMIT_DEPTH=4000000000)(a+)+$")
    #expect(expression.match(String(repeating: "a", count: 252) + "!") == .gaveUp)
  }

  @Test(arguments: [
    ("*", "", true), ("*", "a.test", true), ("a*", "a", true), ("a*", "ba", false), ("*a", "ba", true),
    ("*a", "ab", false), ("a*a", "a", false), ("a*a", "aa", true), ("a*b*c", "a.b.c", true),
    ("a*b*c", "acb", false),
    ("*.test", "test", false), ("*.test", "a.b.test", true), ("*ab*ab*", "abab", true),
    ("*ab*ab*", "aba", false),
    ("a**b", "ab", true), ("*aab*", "aaab", true), ("abc", "abc", true), ("abc", "abcd", false),
  ])
  func `a star is any run`(pattern: String, text: String, matches: Bool) {
    let result = Glob(pattern).matches(text.utf8Span.span)
    #expect(result == matches)
  }

  @Test func `a glob of many stars does not explode`() {
    let glob = Glob(String(repeating: "*a", count: 120) + "*b")
    let result = glob.matches(String(repeating: "a", count: 253).utf8Span.span)
    #expect(!result)
  }

  @Test(arguments: [
    ("WWW.Example.COM.", "www.example.com"), ("10.0.0.1", "10.0.0.1"), ("::FFFF:10.0.0.1", "10.0.0.1"),
    ("2001:DB8::1", "2001:db8::1"), ("[2001:DB8::1]", "2001:db8::1"), ("*.Example.com.", "*.example.com"),
    ("cdn*", "cdn*"), ("163.*", "163.*"),
    ("/^a\\.b$/", "/^a\\.b$/"), ("/a/b/", "/a/b/"),
  ])
  func `a host pattern is read`(text: String, normalized: String) throws {
    #expect(try HostPattern(text).description == normalized)
  }

  @Test(
    arguments: [
      ("", .malformed), ("a b", .malformed), ("127.1", .malformed), ("*..a", .malformed), (".*", .malformed),
      ("[::1%lo]", .malformed), ("*/a", .malformed), ("fe80::*", .malformed), ("b\u{fc}*", .malformed),
      (String(repeating: "a", count: 64), .tooLong), (String(repeating: "a.", count: 127) + "*", .tooLong),
      ("10.0.0.*", .addressPattern), ("10.*.*.*", .addressPattern), ("*.1", .addressPattern),
      ("/a", .unfinishedExpression), ("/", .unfinishedExpression), ("//", .unfinishedExpression),
    ] as [(String, HostPattern.Violation)])
  func `what is no host pattern is refused`(text: String, violation: HostPattern.Violation) {
    #expect(throws: violation) { try HostPattern(text) }
  }

  @Test func `a host pattern passes on what is wrong with its expression`() throws {
    let text = "/(a/"
    let violation = try #require(throws: HostPattern.Violation.self) { try HostPattern(text) }
    #expect(violation.description == "missing closing parenthesis, at offset 2")
  }
}
