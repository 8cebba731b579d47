import Config
import Testing

/// Files that no operator writes: they give errors, and nothing else.
@Suite struct HostileTests {
  private func load(_ bytes: [UInt8]) -> ConfigurationLoader.Result {
    loader(files: ["users": Surroundings.File(bytes: [])]).load(
      Surroundings.File(bytes: bytes), named: "t.yaml")
  }

  @Test func `a table cut at any octet gives errors or a configuration, never both, never neither`() {
    let bytes = Array(fullExample.utf8)
    for count in 0...bytes.count {
      let result = load(Array(bytes[..<count]))
      let hasErrors = result.diagnostics.contains { $0.severity == .error }
      #expect((result.configuration == nil) == hasErrors, "after \(count) octets")
    }
  }

  @Test func `random octets, and a table with some of them in it, give errors`() {
    var generator = Generator(state: 7)
    for _ in 0..<500 {
      let count = Int.random(in: 0...200, using: &generator)
      let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
      #expect(load(bytes).configuration == nil)
    }
    let table = Array(fullExample.utf8)
    for _ in 0..<500 {
      var bytes = table
      for _ in 0..<3 {
        bytes[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(
          in: 0...255, using: &generator)
      }
      let result = load(bytes)
      #expect((result.configuration == nil) == result.diagnostics.contains { $0.severity == .error })
    }
  }

  @Test func `random words of YAML give errors or a configuration`() {
    let words = [
      "default", "direct", "routes", "listen", "- ", ": ", "\n", "\n  ", "\n    ", "{", "}", "[", "]", ", ",
      "&a ",
      "*a", "<<", "|", ">", "\"", "'", "#", "? ", "!t ", "${", "}", "$$", "\t", "---\n", "...\n", "%", "@",
      "via",
      "any", "not", "~", "null", "upstreams", "a", "chains", "socks5://h:1", "tests", "to", "é", "\u{85}",
      "\u{2028}",
    ]
    var generator = Generator(state: 11)
    for _ in 0..<3000 {
      let count = Int.random(in: 0...30, using: &generator)
      let text = (0..<count).compactMap { _ in words.randomElement(using: &generator) }.joined()
      let result = load(Array(text.utf8))
      #expect(
        (result.configuration == nil) == result.diagnostics.contains { $0.severity == .error }, "\(text)")
    }
  }

  @Test(arguments: [
    "[", "{", "- ", "? ", "a: {", "a: [", "&a ", "!", "\"", "'", "|\n", "%TAG !a! b\n", "---\n", "...\n",
    "\t\n", "\tx\n",
    "a:\n", "- a\n", "x", " ", "\n", "#\n", "\0", "\u{ff}", "*a ", "${A}", "a: ${\n", "<<: a\n", "a", "? a\n",
    ", ",
  ])
  func `endless repetitions of anything give errors`(unit: String) {
    let result = load(Array(repeatElement(Array(unit.utf8), count: 20_000).joined()))
    #expect(result.configuration == nil)
    #expect((1...1001).contains(result.diagnostics.count))
  }

  @Test func `aliases that multiply are refused before they do`() {
    var yaml = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    for level in 1...20 {
      let aliases = Array(repeating: "*a\(level - 1)", count: 10).joined(separator: ", ")
      yaml += "a\(level): &a\(level) [\(aliases)]\n"
    }
    #expect(
      diagnostics(of: yaml) == [
        "7:58: error: there are more than 4000000 values, aliases expanded (no route table needs that many)"
      ])
  }

  @Test func `aliases that nest deeper and deeper are refused`() {
    var yaml = "a0: &a0 [x]\n"
    for level in 1...100 { yaml += "a\(level): &a\(level) [*a\(level - 1)]\n" }
    #expect(
      diagnostics(of: yaml) == [
        "64:12: error: values are nested more than 64 deep (no route table needs that many)"
      ])
  }

  @Test func `conditions nest as deep as values may, and no deeper`() {
    func table(_ depth: Int) -> String {
      let open = String(repeating: "{not: ", count: depth)
      return
        "routes: {not: \(open){port: 1}\(String(repeating: "}", count: depth)), via: direct}\ndefault: direct"
    }
    #expect(diagnostics(of: table(60)) == [])
    #expect(
      diagnostics(of: table(100)) == [
        "1:387: error: values are nested more than 64 deep (no route table needs that many)"
      ])
  }

  @Test func `chains that nest deeper and deeper are refused, from either end`() {
    for reversed in [false, true] {
      let lines = (0..<5000).map { "  c\($0): [c\($0 + 1)]" } + ["  c5000: a"]
      let chains = (reversed ? lines.reversed() : lines).joined(separator: "\n")
      let messages = diagnostics(of: "default: direct\nupstreams: {a: \"socks5://h:1\"}\nchains:\n\(chains)")
      #expect(!messages.isEmpty)
      #expect(
        messages.allSatisfy {
          $0.hasSuffix("error: groups and chains are nested more than 32 deep (write the hops out)")
        })
    }
  }

  @Test func `a chain has at most 32 hops`() {
    func table(_ count: Int) -> String {
      let upstreams = (0..<count).map { "  u\($0): socks5://h:\($0 + 1)" }.joined(separator: "\n")
      return "upstreams:\n\(upstreams)\ndefault: [\((0..<count).map { "u\($0)" }.joined(separator: ", "))]"
    }
    #expect(diagnostics(of: table(32)) == [])
    #expect(diagnostics(of: table(33)) == ["35:161: error: a chain has at most 32 hops (remove some)"])
  }

  @Test func `after a thousand errors the rest is counted`() {
    let yaml = "default: direct\nroutes:\n" + String(repeating: "- {via: nowhere}\n", count: 1500)
    let messages = diagnostics(of: yaml)
    #expect(messages.count == 1001)
    #expect(messages[999].hasPrefix("1002:9: error: there is no upstream"))
    #expect(
      messages[1000]
        == " error: there are 500 more errors and warnings (mend the first ones and run again)")
  }

  @Test func `what a file holds cannot reach the terminal as a command`() {
    let messages = diagnostics(of: "default: \"\\e[31mred\\n\\u202e\"\n\"\\e]0;x\\a\": 1")
    #expect(messages.count == 2)
    #expect(!messages.joined().unicodeScalars.contains { $0.value < 0x20 || $0 == "\u{202e}" }, "\(messages)")
  }

  @Test func `a file may have a hundred thousand names and twenty thousand prefixes`() throws {
    let names = (0..<100_000).map { "      - host-\($0).example" }.joined(separator: "\n")
    let prefixes = (0..<20_000).map { "      - 10.\($0 / 256).\($0 % 256).0/24" }.joined(separator: "\n")
    let yaml =
      "routes:\n  - via: reject\n    domain:\n\(names)\n  - via: drop\n    ip:\n\(prefixes)\ndefault: direct\n"
    let result = load(Array(yaml.utf8))
    #expect(result.diagnostics.isEmpty)
    #expect(result.configuration?.table.routes.count == 2)
  }
}

/// The same numbers every time: a failure can be looked at again (SplitMix64).
private struct Generator: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var word = state
    word = (word ^ (word >> 30)) &* 0xbf58_476d_1ce4_e5b9
    word = (word ^ (word >> 27)) &* 0x94d0_49bb_1331_11eb
    return word ^ (word >> 31)
  }
}
