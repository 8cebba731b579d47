import Chance
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

  @Test(arguments: [freshSeed])
  func `random octets, and a table with some of them in it, give errors`(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
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

  @Test(arguments: [freshSeed])
  func `random words of YAML give errors or a configuration`(seed: UInt64) {
    let words = [
      "default", "direct", "routes", "listen", "- ", ": ", "\n", "\n  ", "\n    ", "{", "}", "[", "]", ", ",
      "&a ",
      "*a", "<<", "|", ">", "\"", "'", "#", "? ", "!t ", "${", "}", "$$", "\t", "---\n", "...\n", "%", "@",
      "via",
      "any", "not", "~", "null", "upstreams", "a", "chains", "socks5://h:1", "tests", "to", "é", "\u{85}",
      "\u{2028}",
    ]
    var generator = SeededGenerator(seed: seed)
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
        "7:20: error: there are more than 4000000 values, aliases expanded (no route table needs that many)"
      ])
  }

  @Test(arguments: [
    "routes", "tests", "listen", "upstreams", "groups", "chains", "hosts", "default", "log", "control", "x",
  ])
  func `aliases that multiply below a key are refused before they do`(key: String) {
    var yaml = "\(key == "default" ? "log: {}" : "default: direct")\n\(key):\n"
    yaml += "- &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    // With 64-bit numbers, the 20th level is more than they hold.
    for level in 1...24 {
      let aliases = Array(repeating: "*a\(level - 1)", count: 10).joined(separator: ", ")
      yaml += "- &a\(level) [\(aliases)]\n"
    }
    #expect(
      diagnostics(of: yaml) == [
        "9:18: error: there are more than 4000000 values, aliases expanded (no route table needs that many)"
      ])
  }

  @Test func `a long variable that is named many times is refused before memory runs out`() {
    let value = String(repeating: "x", count: 1 << 20)
    let yaml = "default: direct\nhosts: \"\(String(repeating: "${V}", count: 200))\""
    #expect(
      diagnostics(of: yaml, variables: ["V": value]) == [
        "2:8: error: there are more than 128 MiB of values (no route table needs that many)"
      ])
  }

  @Test(arguments: [
    // Behind a remark, between values, before a directive, in a plain value, and in a block.
    ("# a remark\u{2028}routes: []\ndefault: direct", ["1:11"]),
    ("default: direct # a remark\u{85}limits: {connections: 1}", ["1:27"]),
    ("default: direct\u{2029}", ["1:16"]),
    ("# a\n\u{85}%TAG !a! b\ndefault: direct", ["2:2"]),
    ("default: dir\u{2028}ect", ["1:13"]),
    ("hosts: |\n  a\u{85}b\ndefault: direct", ["2:4"]),
    ("log: 'a\u{85}b'\n#\u{2028}\nx: \"\u{2029}\"\n#\u{2029}\ndefault: direct", ["2:2", "4:2"]),
  ])
  func `a line separator outside quotes is an error where it is`(yaml: String, places: [String]) {
    let found = diagnostics(of: yaml).filter {
      $0.contains("there is a line separator here, U+") || $0.contains("directives are not supported")
    }
    #expect(found.map { $0.prefix { $0 != " " } } == places.map { "\($0):" }, "\(diagnostics(of: yaml))")
    #expect(load(Array(yaml.utf8)).configuration == nil)
  }

  @Test func `a line separator between quotes is a part of the value, and an escape too`() {
    let quoted = "routes: [{port: 1, via: direct, note: \"a\u{2028}b\", name: 'c\u{2029}d'}]\ndefault: direct"
    #expect(diagnostics(of: quoted) == [])
    #expect(diagnostics(of: #"{default: direct, hosts: {}, log: {level: "in\u0066o"}}"#) == [])
    let message = diagnostics(of: "# a\u{2028}\ndefault: direct")
    #expect(
      message == [
        "1:4: error: there is a line separator here, U+2028, which ends a line that looks like one (remove it,"
          + " or write \\u2028 between double quotes)"
      ])
  }

  @Test(arguments: [
    ("default: direct\n# a\u{9b}", "2:4: error: there is a control character here, U+009B (remove it)"),
    ("default: direct\n# é\u{80}", "2:4: error: there is a control character here, U+0080 (remove it)"),
    (
      "default: direct\n# a\u{feff}",
      "2:4: error: there is a byte order mark here, behind the start of the file (remove it)"
    ),
    ("default: direct\n# \u{ffff}", "2:3: error: there is no character here, but U+FFFF (remove it)"),
  ])
  func `what libyaml takes for no character is reported where it is`(yaml: String, message: String) {
    #expect(diagnostics(of: yaml) == [message])
  }

  @Test func `more than a thousand warnings are no error, and hide none`() {
    let routes = (0..<1500).map { _ in "- {domain: a.example, via: reject}\n" }.joined()
    let warned = load(Array("routes:\n\(routes)default: direct".utf8))
    #expect(warned.configuration != nil)
    #expect(warned.diagnostics.count == 1001)
    #expect(warned.diagnostics.allSatisfy { $0.severity == .warning })
    #expect(
      warned.diagnostics.last?.description
        == "t.yaml: warning: there are 499 more warnings (mend the first ones and run again)")
    var log = DiagnosticLog()
    for line in 1...1200 {
      log.append(
        Diagnostic(
          severity: line == 1200 ? .error : .warning, file: "t.yaml",
          position: Position(line: line, column: 1),
          message: "m"))
    }
    let sorted = log.sorted(startingWith: "t.yaml")
    #expect(sorted.contains { $0.severity == .error && $0.position?.line == 1200 })
    #expect(sorted.last?.severity == .warning)
  }

  @Test func `of thousands of errors only the first ones are compared with thousands of names`() {
    let upstreams = (0..<20_000).map { "  name\($0): socks5://h:1\n" }.joined()
    let routes = String(repeating: "- {via: nome0}\n", count: 3000)
    let messages = diagnostics(of: "default: direct\nupstreams:\n\(upstreams)routes:\n\(routes)")
    #expect(messages.count == 1001)
    #expect(messages.count { $0.contains("did you mean") } == 100)
    #expect(messages[0].hasSuffix("named 'nome0' (did you mean 'name0'?)"))
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
        == " error: there are 500 more errors (mend the first ones and run again)")
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
