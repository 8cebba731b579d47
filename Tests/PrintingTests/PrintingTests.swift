import Printing
import Testing

@Test(arguments: [
  ("office", "office"), ("büro 東京 \\", "büro 東京 \\"), ("a\u{1b}[31mb", "a\\u{1b}[31mb"),
  ("a\nb\r", "a\\u{a}b\\u{d}"),
  ("a\u{200b}\u{200f}\u{feff}b\u{2066}", "a\\u{200b}\\u{200f}\\u{feff}b\\u{2066}"),
  ("a\u{3164}\u{fe0f}\u{e0041}", "a\\u{3164}\\u{fe0f}\\u{e0041}"),
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

/// One set: what a log in one format shows, the same in the other must not obey.
@Test func `text and JSON escape the same characters`() {
  for value in UInt32(0)...0x10ffff {
    guard let scalar = Unicode.Scalar(value), !"\"\\".unicodeScalars.contains(scalar) else { continue }
    let text = String(scalar)
    let isEscaped = text.printable != text
    #expect((JSON.string(text).description != "\"\(text)\"") == isEscaped, "U+\(String(value, radix: 16))")
    if isEscaped { #expect(JSON.string(text).description.utf8.allSatisfy { (0x20...0x7e).contains($0) }) }
  }
  #expect(JSON.string("\u{e0041}").description == #""\udb40\udc41""#)
}

@Test(arguments: ["a\u{a0}b", "a\u{3000}b", "\u{2003}"])
func `a log value with a blank of any kind is quoted`(text: String) {
  #expect(text.logValue == "\"\(text)\"")
}

@Test func `JSON is written on one line, with its members in order`() {
  let value: JSON = ["b": [1, -2, true, nil], "a": ["c": "é\n\u{2028}\u{1}\"\\"], "d": []]
  #expect(value.description == #"{"b":[1,-2,true,null],"a":{"c":"é\n\u2028\u0001\"\\"},"d":[]}"#)
}
