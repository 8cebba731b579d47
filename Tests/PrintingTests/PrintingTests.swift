import Printing
import Testing

@Test(arguments: [
  ("office", "office"), ("büro 東京 \\", "büro 東京 \\"), ("a\u{1b}[31mb", "a\\u{1b}[31mb"),
  ("a\nb\r", "a\\u{a}b\\u{d}"),
  ("\u{7f}\u{9b}", "\\u{7f}\\u{9b}"), ("a\u{202e}b\u{2028}", "a\\u{202e}b\\u{2028}"), ("", ""),
])
func `printable text shows what a terminal would obey`(text: String, expected: String) {
  #expect(text.printable == expected)
}

@Test(arguments: [
  ("office", "office"), ("example.com:443", "example.com:443"), ("", #""""#), ("a b", #""a b""#),
  ("a=b", #""a=b""#), (#"a"b\"#, #""a\"b\\""#), ("a\nb", #""a\nb""#), ("\u{1b}", #""\u001b""#),
])
func `a log value is quoted where it could be mistaken`(text: String, expected: String) {
  #expect(text.logValue == expected)
}

@Test func `JSON is written on one line, with its members in order`() {
  let value: JSON = ["b": [1, -2, true, nil], "a": ["c": "é\n\u{2028}\u{1}\"\\"], "d": []]
  #expect(value.description == #"{"b":[1,-2,true,null],"a":{"c":"é\n\u2028\u0001\"\\"},"d":[]}"#)
}
